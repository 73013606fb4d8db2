import { expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import type { PlanDetail } from "../src/dashboard/views/plan.js";
import { replay } from "../src/plans/machine/apply.js";
import { describePlan } from "../src/plans/machine/describe-plan.js";
import type { PlanEvent } from "../src/plans/machine/events.js";
import { planStatus } from "../src/plans/machine/plan-status.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { inviteByToken, openDashboard } from "./support/dashboard.js";
import { connectHttp, startServeBin } from "./support/http.js";
import { sendModern } from "./support/modern-http.js";
import { endAll, processesWith } from "./support/one-machine.js";
import { planOf } from "./support/plan-place.js";
import { openStoredPlans } from "./support/stored-plans.js";

// Who has decided: whoever has a token is known by its name, on this machine nobody is.

const ADA = "a-token-of-ada-0123456789";
const BOB = "a-token-of-bob-0123456789";
const GATES = ["first", "second", "third"];
const PLAN = {
  name: "release",
  steps: GATES.map((id, at) => ({ id, gate: `Go on, ${id}?`, needs: GATES.slice(0, at).slice(-1) })),
};

/** A machine with `serve` of the built bin, and its plans. */
async function serve(settings: Record<string, string>) {
  const api = await serveSimulatedApi({ describe: true, paceMs: 0, apiKey: "test-key" });
  onTestFinished(() => api.close());
  const home = temporaryFolder();
  onTestFinished(() => endAll(processesWith(home)));
  const own = { STATE_DIR: home, BASE_URL: api.url, API_KEY: "test-key", POLLING_INTERVAL: "0.2" };
  const { url } = await startServeBin({
    settings: { ...own, ERA: "auto", ...settings },
    env: { HOME: home },
  });
  const plans = await openStoredPlans(home, api.url);
  const planId = await plans.begin(PLAN);
  const show = () => runBin(["plan", "show", "release"], { HOME: home, ...toVariables(own) });
  /** Waits for a gate to be open, and gives what decides it. */
  async function approve(step: string) {
    const { steps } = await plans.until(planId, (state) => state.steps[step]?.open !== undefined);
    const id = `${step}/${steps[step]?.open?.attempt}`;
    return { plan_id: planId, question_id: id, answer: "approve" };
  }
  return { url, plans, planId, show, approve };
}

test("a decision has the name of the token that it was made with, whatever it came by", async () => {
  const { url, plans, planId, show, approve } = await serve({ TOKENS: `ada=${ADA},bob=${BOB}` });
  const chat = await connectHttp(url, { token: ADA });
  const first = { action: "answer", ...(await approve("first")), confirm: true };
  expect((await chat.call(first)).data).toMatchObject({ outcome: "ok" });
  const second = { action: "answer", ...(await approve("second")), confirm: true };
  const { answer } = await sendModern(
    { url },
    "tools/call",
    { name: "orchestrate_workflow", arguments: second },
    {
      headers: { authorization: `Bearer ${BOB}` },
      meta: { "io.modelcontextprotocol/clientCapabilities": {} },
    },
  );
  expect(answer.result.structuredContent).toMatchObject({ outcome: "ok" });
  const page = await openDashboard(await inviteByToken(url, { authorization: `Bearer ${ADA}` }));
  const asked = await page.act("answer", await approve("third"));
  expect(await page.say(asked, { confirm: "yes" })).toMatchObject({ outcome: "ok" });
  await plans.until(planId, (state) => planStatus(state) === "completed");
  const { gates } = await page.get<PlanDetail>(`plans/${planId}`);
  expect(gates.map(({ step, decision, via, by }) => [step, decision, via, by])).toEqual([
    ["first", "approve", "chat", "ada"],
    ["second", "approve", "chat", "bob"],
    ["third", "approve", "dashboard", "ada"],
  ]);
  expect(gates.map(({ decider }) => decider)).toEqual([
    "ada in a chat",
    "bob in a chat",
    "ada in the dashboard",
  ]);
  expect((await show()).stdout).toMatch(
    /first .*approve by ada in a chat[\s\S]*second .*approve by bob in a chat/,
  );
  const { data } = await chat.call({ action: "status", plan_id: planId, wait_seconds: 0 });
  expect(data.plan.steps[1]).toMatchObject({ id: "second", outcome: "approve by bob in a chat" });
});

test("whose form is closed since somebody else has decided is told who it was", async () => {
  const { url, planId, approve } = await serve({ TOKENS: `ada=${ADA},bob=${BOB}` });
  const decision = { action: "answer", ...(await approve("first")), confirm: true };
  const bob = await connectHttp(url, { token: BOB });
  let decided: Promise<unknown> | undefined;
  const ada = await connectHttp(url, {
    token: ADA,
    onForm(_form, signal) {
      decided ??= bob.call(decision).then(() => bob.call({ action: "kill", plan_id: planId, confirm: true }));
      return new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve({ action: "cancel" }), { once: true }),
      );
    },
  });
  const { text } = await ada.call({ action: "status", plan_id: planId, wait_seconds: 30 });
  await decided;
  expect(text).toContain("Gate first was decided meanwhile by bob in a chat: approved.");
});

test("where there are no tokens, nobody is made up", async () => {
  const { url, plans, planId, approve, show } = await serve({});
  const chat = await connectHttp(url);
  await chat.call({ action: "answer", ...(await approve("first")), confirm: true });
  const page = await openDashboard(await inviteByToken(url));
  await page.say(await page.act("answer", await approve("second")), { confirm: "yes" });
  await approve("third");
  const { steps } = (await plans.runner.look(planId))?.state ?? {};
  for (const [step, via] of [
    ["first", "chat"],
    ["second", "dashboard"],
  ] as const) {
    expect(steps?.[step]?.decisions).toMatchObject([{ decision: "approve", via }]);
    expect(steps?.[step]?.decisions[0]).not.toHaveProperty("by");
  }
  expect((await show()).stdout).not.toMatch(/ by /);
});

test("a name in a journal is shown on one line and within bounds, and journals without names replay as before", () => {
  const start = { type: "plan-started" as const, planId: "p1", plan: planOf(PLAN), inputs: {}, at: 1_000 };
  const decided = (more: object): PlanEvent => ({
    type: "gate-decided",
    step: "first",
    attempt: 1,
    commits: [],
    decision: "approve",
    at: 2_000,
    ...more,
  });
  const before = replay(start, [decided({ via: "terminal" })]);
  expect(before.steps.first?.decisions).toEqual([
    { attempt: 1, commits: [], decision: "approve", at: 2_000, via: "terminal" },
  ]);
  expect(describePlan(before).steps[0]?.outcome).toBe("approve in a terminal");
  const fanOut = {
    inputs: { parts: { type: "list", required: true } },
    steps: [{ id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" }],
  };
  const agreed = replay(
    { ...start, plan: planOf(fanOut), inputs: { parts: ["a", "b", "c"] }, agreeAbove: { runs: 1 } },
    [{ type: "fan-out-answered", step: "build", attempt: 1, runs: 3, agreed: false, by: "ada", at: 2_000 }],
  );
  expect(agreed.steps.build?.agreement).toMatchObject({ runs: 3, agreed: false, by: "ada" });
  expect(agreed.steps.build?.reason).toBe("ada did not agree to its 3 runs. Nothing was started.");
  const hostile = replay(start, [decided({ by: `ada\n\u001b[31m${"x".repeat(1_000)}` })]);
  const { by = "" } = hostile.steps.first?.decisions[0] ?? {};
  expect(by).toMatch(/^ada x+…?$/);
  expect(by.length).toBeLessThanOrEqual(100);
});
