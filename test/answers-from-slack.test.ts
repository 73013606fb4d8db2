import { expect, it, onTestFinished, vi } from "vitest";
import {
  type FakeSlack,
  SLACK_APP_TOKEN,
  SLACK_BOT_TOKEN,
  startFakeSlack,
} from "../mocks/integrations/slack.js";
import { type AskedOutside, askOutside, GATED_PLAN } from "./support/asked-outside.js";
import { COMPLETE, until } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";
import { storedDeliveries } from "./support/notices.js";

const PERMISSION = { tools: [{ name: "Bash", input: { command: "npm publish" }, run: false }] };
const ANN = { id: "U0ANN", name: "Ann" };
const STRANGER = { id: "U0BAD", name: "Mallory" };

async function begin(more: Record<string, string> = {}, elsewhere?: { url: string; key: string }) {
  const slack = await startFakeSlack();
  onTestFinished(() => slack.close());
  const asked = await askOutside(
    {
      SLACK_APP_TOKEN,
      SLACK_BOT_TOKEN,
      SLACK_URL: slack.url,
      SLACK_CHANNEL: "C0123",
      SLACK_ANSWERERS: "U0ANN,U0BEN",
      DASHBOARD_URL: "https://mcp.example.org/dashboard",
      ...more,
    },
    elsewhere,
  );
  return { slack, ...asked };
}

const shown = ({ messages }: FakeSlack) =>
  messages.map(({ blocks, text }) => [text, ...blocks.map((block) => JSON.stringify(block))].join("\n"));
const untilShown = (slack: FakeSlack, text: string) =>
  until(() => shown(slack).some((one) => one.includes(text)) && slack.connections() > 0, text);
const stateOf = async (call: AskedOutside["call"], planId: string) =>
  (await call({ action: "status", plan_id: planId, wait_seconds: 0 })).data.plan?.status;

it("a gate is asked in Slack; a stranger's button is refused, the right one goes on with the plan", async () => {
  const { slack, world, begin: beginPlan, call, lines, folder } = await begin();
  world.script({ result: "A design <!channel>" });
  const { data } = await beginPlan(GATED_PLAN);
  const planId = data.plan.plan_id as string;
  await untilShown(slack, "Build this?");
  expect(slack.messages).toHaveLength(1);
  expect(shown(slack)[0]).toContain("A design &lt;!channel&gt;");
  expect(shown(slack)[0]).toContain(`https://mcp.example.org/dashboard/#/plans/${planId}`);
  slack.press("Approve", STRANGER);
  await until(() => slack.whispers.length > 0, "the refusal");
  expect(slack.whispers).toEqual(["You are not among those who may answer here. Nothing was changed."]);
  expect(await stateOf(call, planId)).toBe("waiting");
  // The same click is delivered twice: it counts once.
  slack.press("Approve", ANN, 2);
  await vi.waitFor(async () => expect(await stateOf(call, planId)).toBe("completed"), { timeout: 30_000 });
  await untilShown(slack, "Ann by Slack: Approved at gate ok.");
  expect(slack.messages).toHaveLength(1);
  expect(shown(slack)[0]).not.toContain('"actions"');
  expect(slack.acknowledged).toEqual(expect.arrayContaining(slack.sent));
  const status = await call({ action: "status", plan_id: planId, wait_seconds: 0 });
  expect(JSON.stringify(status.data)).toContain("Ann");
  // A button that is pressed late changes nothing, and says so.
  expect(lines()).toContain("Somebody who may not answer has tried to by Slack: Mallory (U0BAD).");
  expect(JSON.stringify(storedDeliveries(folder)) + lines()).not.toMatch(/secretsecret/);
});

it("words that send a gate back are written in a form", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  slack.press("Send back", ANN);
  await until(() => slack.views.length > 0, "the form");
  slack.submit("Use JWT", ANN);
  await untilShown(slack, "Ann by Slack: Sent back at gate ok: Use JWT.");
  // The next opening of the gate is another question.
  await until(() => slack.messages.length === 2, "the next question");
  slack.press("Stop", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("killed"), {
    timeout: 30_000,
  });
});

it("what is decided elsewhere is shown there, with who has, and its buttons go", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  const planId = data.plan.plan_id as string;
  await untilShown(slack, "Build this?");
  const [{ question_id } = { question_id: "" }] = (
    await call({ action: "status", plan_id: planId, wait_seconds: 0 })
  ).data.plan.waiting_for;
  await call({ action: "answer", plan_id: planId, question_id, answer: "approve", confirm: true });
  await untilShown(slack, "Approved in a chat.");
  expect(shown(slack)[0]).not.toContain('"actions"');
});

it("a question is asked and answered also by the process that comes after the one that has asked it", async () => {
  const { slack, world, begin: beginPlan, call, restart } = await begin();
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  await restart();
  await until(() => slack.connections() === 1, "the next connection");
  slack.press("Approve", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("completed"), {
    timeout: 30_000,
  });
  expect(slack.messages).toHaveLength(1);
});

it("the connection is made anew before Slack ends it, and after it was lost", async () => {
  const { slack, world, begin: beginPlan, call } = await begin();
  await until(() => slack.connections() === 1, "the connection");
  slack.refresh();
  await until(() => slack.accepted() === 2 && slack.connections() === 1, "the next connection");
  slack.drop();
  await until(() => slack.accepted() === 3 && slack.connections() === 1, "another connection");
  world.script({ result: "A design" });
  const { data } = await beginPlan(GATED_PLAN);
  await untilShown(slack, "Build this?");
  slack.press("Approve", ANN);
  await vi.waitFor(async () => expect(await stateOf(call, data.plan.plan_id)).toBe("completed"), {
    timeout: 30_000,
  });
});

it("a permission is answered from outside only where that is allowed, and is seen whole", async () => {
  const { folder, remove } = engineFolder();
  const engine = await startLocalEngine(folder);
  onTestFinished(async () => {
    await engine.close();
    remove();
  });
  for (const permissions of ["off", "on"]) {
    const { slack, call } = await begin(
      { ANSWER_PERMISSIONS: permissions },
      { url: engine.url, key: ENGINE_KEY },
    );
    const message = withScript("Go", { steps: [PERMISSION] });
    const args = { ...COMPLETE, session_name: `run-${permissions}`, message, wait_seconds: 0 };
    const runId = (await call(args)).data.run.run_id as string;
    await untilShown(slack, "npm publish");
    const of = () => shown(slack).find((one) => one.includes(`session run-${permissions}`)) ?? "";
    await until(() => of() !== "", "the permission");
    if (permissions === "off") {
      expect(of()).toContain(
        "Permissions are not given from here. Answer it in a chat window or the dashboard.",
      );
      expect(of()).not.toContain('"actions"');
      await call({ action: "answer", run_id: runId, answer: "deny" });
      await until(() => of().includes("answered in another place"), "what has come of it");
    } else {
      slack.press("Deny", ANN);
      await until(() => of().includes("Ann by Slack: Answered for the"), "what has come of it");
    }
    expect(of()).not.toContain('"actions"');
  }
});
