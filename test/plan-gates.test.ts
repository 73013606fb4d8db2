import { expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { type FormAnswerer, type ShownForm, until } from "./support/harness.js";
import { connectForPlans, PLACE, type PlanChat } from "./support/plan-chat.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const sim = useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: ({ workflowName }) => ({ result: `Done by ${workflowName}`, costUsd: 0.5, actions: ["Working"] }),
});

const GATED = {
  name: "login",
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    {
      id: "ok",
      gate: "Build this design?",
      needs: ["design"],
      show: "The design: ${steps.design.result}",
      back_to: { step: "design", max: 2 },
    },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};

const messages = () =>
  sim
    .api()
    .world.runs()
    .map(({ body }) => body.message);
const decide =
  (decision: string, change = ""): FormAnswerer =>
  () => ({
    action: "accept",
    content: { decision, ...(change ? { change } : {}) },
  });

/** Begins the plan and follows it for as long as it does not wait. */
function run({ call }: Pick<PlanChat, "call">, more: Record<string, unknown> = {}) {
  return call({ action: "plan", plan: GATED, ...PLACE, wait_seconds: 20, ...more });
}

test("a gate is a form with what it is about, and the plan goes on when the person approves", async () => {
  const chat = await connectForPlans({ onForm: decide("approve") });
  const { data, text } = await run(chat);
  expect(data).toMatchObject({
    outcome: "completed",
    plan: { steps: [{}, { outcome: "approve in a chat" }, {}] },
  });
  expect(text).toContain("Approved at gate ok.");
  const [form] = chat.forms as [ShownForm];
  // What Claude Code shows of a long form are its first three lines.
  const [first, second, third, ...rest] = form.message.split("\n");
  expect(first).toBe("login: Build this design?");
  expect(second).toMatch(/^1 commit, \d+ files?, \+\d+ -\d+, on \S+: Design the login$/);
  expect(third).toContain("The design: Done by architect");
  expect(rest.join("\n")).toMatch(/1 commit on \S+:\n- .*\nLook: git diff /);
  const { decision, change } = form.schema.properties;
  // Nothing is decided by a client that begins at the first choice.
  expect(decision.oneOf.map((one: { const: string }) => one.const)).toEqual([
    "later",
    "approve",
    "send_back",
    "stop",
  ]);
  expect(change).toMatchObject({ type: "string", title: "What should change" });
});

test("what is sent back with a wish is done again with the person's words, and asked anew", async () => {
  const answers = [decide("send_back", "Use sessions, not tokens"), decide("approve")];
  const chat = await connectForPlans({
    onForm: (form, signal) => (answers.shift() ?? decide("stop"))(form, signal),
  });
  const { data, text } = await run(chat);
  expect(data.outcome, text).toBe("completed");
  expect(messages()).toHaveLength(3);
  expect(messages()[1]).toContain("Use sessions, not tokens");
  expect(chat.forms).toHaveLength(2);
  expect(chat.forms[1]?.message).toContain("asked for the second time");
});

test("stop at a gate ends the plan, and nothing more is started", async () => {
  const chat = await connectForPlans({ onForm: decide("stop") });
  const { data } = await run(chat);
  expect(data.plan.status).toBe("killed");
  expect(messages()).toHaveLength(1);
});

test.each<[string, FormAnswerer]>([
  ["closes the form", () => ({ action: "cancel" })],
  ["declines the form", () => ({ action: "decline" })],
  ["decides later", decide("later")],
  ["sends it back without a word of what should change", decide("send_back")],
  ["approves and says what should change", decide("approve", "Use sessions")],
  ["stops it and says what should change", decide("stop", "Use sessions")],
  ["gives an answer that is none of the choices", decide("yes, go on")],
])("a person who %s has decided nothing", async (_what, answer) => {
  const clock = createSkippingClock();
  const chat = await connectForPlans({
    clock,
    onForm: (form, signal) => {
      // No person is faster; what answers at once is a client that shows nobody the form.
      clock.skip(260);
      return answer(form, signal);
    },
  });
  const { data, text } = await run(chat);
  expect(data).toMatchObject({
    outcome: "input_required",
    plan: { status: "waiting", waiting_for: [{ step: "ok", kind: "gate", what: "Build this design?" }] },
  });
  expect(text).toMatch(/^Needs a decision since .*Z, gate ok: Build this design\?/);
  expect(text).toContain("Gate ok stays open.");
  expect(messages()).toHaveLength(1);
});

test("a client without forms is shown the gate, and decides only what it has been shown", async () => {
  const chat = await connectForPlans();
  const shown = await run(chat);
  expect(shown.data.outcome).toBe("input_required");
  expect(shown.text).toContain("The design: Done by architect");
  const { plan_id, waiting_for } = shown.data.plan;
  const [{ question_id }] = waiting_for;
  expect(shown.data.next_step.arguments).toMatchObject({ action: "answer", plan_id, question_id });
  // Neither words without an agreement nor an agreement to nobody knows what.
  const bare = await chat.call({ action: "answer", plan_id, answer: "approve", confirm: true });
  expect(bare.data.outcome).toBe("input_required");
  expect(bare.data.next_step.arguments).toMatchObject({ question_id, confirm: true });
  const unconfirmed = await chat.call({ action: "answer", plan_id, question_id, answer: "approve" });
  expect(unconfirmed.data.outcome).toBe("input_required");
  const wrong = await chat.call({
    action: "answer",
    plan_id,
    question_id,
    answer: "looks good",
    confirm: true,
  });
  expect(wrong.isError).toBe(true);
  const old = await chat.call({
    action: "answer",
    plan_id,
    question_id: "ok/7",
    answer: "approve",
    confirm: true,
  });
  expect(old.isError).toBe(true);
  expect(old.text).toContain("decide anew");
  expect(messages()).toHaveLength(1);
  const back = await chat.call({
    action: "answer",
    session_name: "login",
    question_id,
    answer: "send back: Use sessions",
    confirm: true,
  });
  expect(back.data.outcome, back.text).toBe("ok");
  const again = await chat.follow(plan_id);
  const [next] = again.data.plan.waiting_for;
  expect(next.question_id).not.toBe(question_id);
  const late = await chat.call({ action: "answer", plan_id, question_id, answer: "approve", confirm: true });
  expect(late.isError).toBe(true);
  await chat.call({
    action: "answer",
    plan_id,
    question_id: next.question_id,
    answer: "Approve",
    confirm: true,
  });
  expect((await chat.follow(plan_id)).data.outcome).toBe("completed");
  expect(messages()).toHaveLength(3);
});

test("an answer in the model's words is shown to a person who has forms, and counts when they say yes", async () => {
  const says = { confirm: "no" };
  const chat = await connectForPlans({
    onForm: ({ schema }) =>
      schema.properties.confirm ? { action: "accept", content: says } : { action: "cancel" },
  });
  const { data } = await run(chat);
  const answer = () =>
    chat.call({ action: "answer", plan_id: data.plan.plan_id, answer: "approve", confirm: true });
  expect((await answer()).data.outcome).toBe("declined");
  expect(chat.forms.at(-1)?.message).toMatch(
    /^Approve at gate ok \(plan login\)\?\n\nBuild this design\?\n1 commit, .*\n> The design:/,
  );
  says.confirm = "yes";
  expect((await answer()).text).toContain("Approved at gate ok.");
});

test("a form that stands open while the gate is decided elsewhere closes, says so and changes nothing", async () => {
  let shown = () => {};
  const isShown = new Promise<void>((resolve) => {
    shown = resolve;
  });
  const chat = await connectForPlans({
    onForm: (_form, signal) =>
      new Promise((resolve) => {
        shown();
        signal.addEventListener("abort", () => resolve({ action: "accept", content: { decision: "stop" } }));
      }),
  });
  const following = run(chat);
  await isShown;
  const other = await chat.connect();
  const { data } = await other.call({ action: "status", session_name: "login", wait_seconds: 0 });
  const [{ question_id }] = data.plan.waiting_for;
  const decided = await other.call({
    action: "answer",
    plan_id: data.plan.plan_id,
    question_id,
    answer: "approve",
    confirm: true,
  });
  expect(decided.data.outcome, decided.text).toBe("ok");
  const { data: end, text } = await following;
  expect(end.outcome, text).toBe("completed");
  expect(text).toContain(
    "Gate ok was decided meanwhile in a chat: approved. The form was closed; an answer to it is not used.",
  );
});

test("two calls on one plan show one form", async () => {
  const answer: { give?: (content: Record<string, string>) => void } = {};
  const chat = await connectForPlans({
    onForm: () =>
      new Promise((resolve) => {
        answer.give = (content) => resolve({ action: "accept", content });
      }),
  });
  const begun = await run(chat, { wait_seconds: 0 });
  const { plan_id } = begun.data.plan;
  const calls = [chat.follow(plan_id), chat.follow(plan_id)];
  const first = Promise.race(calls);
  await until(() => chat.forms.length > 0);
  expect((await first).data.outcome).toBe("input_required");
  answer.give?.({ decision: "approve" });
  const ends = await Promise.all(calls);
  expect(ends.map(({ data }) => data.outcome).sort()).toEqual(["completed", "input_required"]);
  expect(chat.forms).toHaveLength(1);
});
