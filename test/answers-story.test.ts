import { expect, it, onTestFinished } from "vitest";
import { SLACK_APP_TOKEN, SLACK_BOT_TOKEN, startFakeSlack } from "../mocks/integrations/slack.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { until } from "./support/harness.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";
import { closeWindow, createMachine } from "./support/one-machine.js";
import { openStoredPlans } from "./support/stored-plans.js";

// The whole way, with the published bin: its engine, and its process that drives plans and asks.

/** A machine whose windows are set for Slack. @param agent what its agents do */
async function openSlackMachine(agent: object[]) {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  const machine = createMachine({
    claudePath: SCRIPTED_AGENT,
    env: {
      SCRIPTED_AGENT: JSON.stringify(agent),
      AUTOMAGIK_WORKFLOWS_SLACK_APP_TOKEN_COMMAND: `echo ${SLACK_APP_TOKEN}`,
      AUTOMAGIK_WORKFLOWS_SLACK_BOT_TOKEN: SLACK_BOT_TOKEN,
      AUTOMAGIK_WORKFLOWS_SLACK_URL: slack.url,
      AUTOMAGIK_WORKFLOWS_SLACK_CHANNEL: "C0123",
      AUTOMAGIK_WORKFLOWS_SLACK_ANSWERERS: "U0ANN",
    },
  });
  return { ...machine, slack };
}

it("what an agent asks arrives in Slack also when the window was closed right after the start", async () => {
  const ask = { name: "Bash", input: { command: "npm publish" } };
  const { repository, openWindow, slack } = await openSlackMachine([{ tools: [ask] }, { text: "Done" }]);
  const window = await openWindow();
  const run = { action: "run", workflow_name: "implement", message: "Publish it", session_name: "publish" };
  const place = { repository_url: repository, git_branch: "", wait_seconds: 0 };
  expect((await window.call({ ...run, ...place })).data).toMatchObject({ outcome: "started" });
  await closeWindow(window);
  await until(() => slack.messages.length > 0, "the question");
  expect(slack.messages[0]?.text).toContain("npm publish");
}, 90_000);

it("a gate's question arrives in Slack when the window is closed, and its answer goes on with the plan", async () => {
  const { home, repository, openWindow, slack } = await openSlackMachine([{ text: "Done" }]);
  const plans = await openStoredPlans(home);
  const planId = await plans.begin(
    {
      name: "gated",
      steps: [
        { id: "design", run: "architect", task: "Design it" },
        { id: "ok", gate: "Build this?", needs: ["design"] },
        { id: "build", run: "implement", needs: ["ok"], task: "Build it" },
      ],
    },
    repository,
  );
  const window = await openWindow();
  await plans.until(planId, (state) => planStatus(state) === "waiting");
  await closeWindow(window);
  await until(() => slack.messages.length > 0 && slack.connections() === 1, "the question");
  slack.press("Approve", { id: "U0BAD", name: "Mallory" });
  await until(() => slack.whispers.length > 0, "the refusal");
  slack.press("Approve", { id: "U0ANN", name: "Ann" });
  const state = await plans.until(planId, (now) => planStatus(now) === "completed");
  expect(state.steps.ok?.decisions).toEqual([
    expect.objectContaining({ decision: "approve", via: "slack", by: "Ann" }),
  ]);
  await until(() => JSON.stringify(slack.messages).includes("Ann by Slack: Approved at gate ok."), "the end");
  expect(slack.messages).toHaveLength(1);
}, 90_000);
