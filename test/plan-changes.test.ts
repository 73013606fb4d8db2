import { expect, test, vi } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { type FormAnswerer, until } from "./support/harness.js";
import { connectForPlans, PLACE, type PlanChat } from "./support/plan-chat.js";

const sim = useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: { result: "Done", costUsd: 0.5 },
});

/** Runs that go on until they are told to end. */
const manual = () => sim.api().world.script({ manual: true, result: "Done", costUsd: 0.5 });
const runs = () => sim.api().world.runs();
const messages = () => runs().map(({ body }) => body.message);
const yes: FormAnswerer = () => ({ action: "accept", content: { confirm: "yes", decision: "yes" } });
const no: FormAnswerer = () => ({ action: "accept", content: { confirm: "no", decision: "no" } });

const TWO_STEPS = {
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    { id: "build", run: "implement", needs: ["design"], task: "Build it" },
  ],
};

/** Lets the newest run come to its end. */
function complete(index: number): void {
  sim
    .api()
    .world.run(runs()[index]?.runId ?? "")
    .complete({ result: "Done" });
}

/** Waits until the first step of a plan that nobody follows stands so. */
async function stepIs(chat: PlanChat, plan_id: string, status: string, step = 0): Promise<void> {
  await vi.waitFor(async () => {
    const { data } = await chat.call({ action: "status", plan_id, wait_seconds: 0 });
    expect(data.plan.steps[step].status).toBe(status);
  }, 10_000);
}

test("kill asks first, ends the plan's runs, and says what is left where", async () => {
  manual();
  const says = { confirm: "no" };
  const chat = await connectForPlans({ onForm: () => ({ action: "accept", content: says }) });
  const { data } = await chat.begin(TWO_STEPS);
  const { plan_id } = data.plan;
  await until(() => runs().length === 1);
  const refused = await chat.call({ action: "kill", plan_id });
  expect(refused.data.outcome).toBe("declined");
  expect(chat.forms[0]?.message).toMatch(/^Kill the plan login \(1 run goes on, \$0\.00 so far\)\?/);
  expect(runs()[0]?.status).not.toBe("killed");
  says.confirm = "yes";
  const killed = await chat.call({ action: "kill", session_name: "login" });
  expect(killed.data, killed.text).toMatchObject({ outcome: "killed", plan: { status: "killed" } });
  expect(runs()[0]?.status).toBe("killed");
  expect(runs()).toHaveLength(1);
  const again = await chat.call({ action: "kill", plan_id });
  expect(again.text).toContain("Nothing was killed: the plan is already over.");
});

test("a plan is paused, and goes on when it is resumed", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  const paused = await chat.call({ action: "plan", plan_id, change: "pause" });
  expect(paused.text).toContain("Paused: nothing new is started. Runs that go on come to their own end: 1.");
  complete(0);
  const still = await chat.follow(plan_id, 1);
  expect(still.data.plan.status).toBe("paused");
  expect(still.data.next_step.arguments).toMatchObject({ action: "plan", plan_id, change: "resume" });
  expect(runs()).toHaveLength(1);
  const twice = await chat.call({ action: "plan", plan_id, change: "pause" });
  expect(twice.data.outcome).toBe("failed");
  expect(twice.text).toContain("paused already: resume it to let it go on. Nothing was changed.");
  await chat.call({ action: "plan", session_name: "login", change: "resume" });
  await until(() => runs().length === 2);
});

test("a step that has failed is named, and skipped or done again with words after the person agreed", async () => {
  sim.api().world.script({ outcome: "failed", error: "No tests", costUsd: 0.5 });
  const answers = [no, yes];
  const chat = await connectForPlans({ onForm: (form, signal) => (answers.shift() ?? no)(form, signal) });
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  const failed = await chat.follow(plan_id);
  expect(failed.data).toMatchObject({
    outcome: "failed",
    plan: {
      steps: [{ status: "failed", reason: expect.stringContaining("No tests") }, { status: "blocked" }],
    },
    next_step: { arguments: { change: "redo", step: "design" } },
  });
  const redo = { action: "plan", plan_id, change: "redo", message: "Write tests first" };
  expect((await chat.call(redo)).data.outcome).toBe("declined");
  expect(runs()).toHaveLength(1);
  sim.api().world.script({ result: "Done", costUsd: 0.5 });
  const again = await chat.call({ ...redo, wait_seconds: 20 });
  expect(again.data.outcome, again.text).toBe("completed");
  expect(messages()[1]).toContain("Write tests first");
  expect(chat.forms[0]?.message).toContain(
    "Do step design of the plan login again, and everything behind it?",
  );
});

test("a step that another window has done again while a form was open is not done once more by its answer", async () => {
  sim.api().world.script({ outcome: "failed", error: "No tests", costUsd: 0.5 });
  let meanwhile = async () => {};
  const chat = await connectForPlans({
    onForm: async (...form) => {
      const before = meanwhile;
      meanwhile = async () => {};
      await before();
      return yes(...form);
    },
  });
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await chat.follow(plan_id);
  sim.api().world.script({ result: "Done", costUsd: 0.5 });
  const redo = { action: "plan", plan_id, change: "redo", step: "design" };
  meanwhile = async () => {
    const other = await chat.call({ ...redo, wait_seconds: 20 });
    expect(other.data.outcome, other.text).toBe("completed");
  };
  const late = await chat.call(redo);
  expect(late.data.outcome).toBe("failed");
  expect(late.text).toContain("Step design was done again meanwhile");
  expect(runs()).toHaveLength(3);
});

test("a plan that has failed or ended is neither paused nor resumed, and what to do is said", async () => {
  sim.api().world.script({ outcome: "failed", error: "No tests", costUsd: 0.5 });
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await chat.follow(plan_id);
  for (const change of ["pause", "resume"]) {
    const refused = await chat.call({ action: "plan", plan_id, change });
    expect(refused.data).toMatchObject({ outcome: "failed", plan: { status: "failed" } });
    expect(refused.text).toContain(
      "The plan has failed: nothing of it goes on that could be paused or resumed. Redo a step, or begin a new plan, to go on from its work. Nothing was changed.",
    );
  }
  await chat.call({ action: "plan", plan_id, change: "skip", step: "design" });
  // One that goes on is not skipped.
  await stepIs(chat, plan_id, "failed", 1);
  await chat.call({ action: "plan", plan_id, change: "skip", step: "build" });
  const ended = await chat.call({ action: "plan", plan_id, change: "pause" });
  expect(ended.text).toContain("The plan has ended, so nothing of it can be paused or resumed.");
});

test("of a paused plan it is said that a step which is done again waits for it to be resumed", async () => {
  manual();
  const chat = await connectForPlans({ onForm: yes });
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  await chat.call({ action: "plan", plan_id, change: "pause" });
  sim
    .api()
    .world.run(runs()[0]?.runId ?? "")
    .fail("No tests");
  await stepIs(chat, plan_id, "failed");
  const redone = await chat.call({ action: "plan", plan_id, change: "redo", step: "design" });
  expect(chat.forms.at(-1)?.message).toContain("The plan is paused: they are started once it is resumed.");
  expect(redone.text).toContain("The plan is still paused: nothing of it is started until it is resumed.");
  expect(runs()).toHaveLength(1);
  await chat.call({ action: "plan", plan_id, change: "resume" });
  await until(() => runs().length === 2);
});

test("a paused plan of which the last step is skipped has completed, and says so", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  await chat.call({ action: "plan", plan_id, change: "pause" });
  complete(0);
  await stepIs(chat, plan_id, "succeeded");
  const skipped = await chat.call({ action: "plan", plan_id, change: "skip", step: "build" });
  expect(skipped.text).toContain(
    "Step build is skipped. With that nothing of the paused plan is left to do: it has completed.",
  );
});

test("a step that has not begun is skipped; a step that there is not is told", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  const unknown = await chat.call({ action: "plan", plan_id, change: "skip", step: "test" });
  expect(unknown.isError).toBe(true);
  expect(unknown.text).toContain(
    'The plan has no step "test". Its steps are design, build. Nothing was changed.',
  );
  await chat.call({ action: "plan", plan_id, change: "skip", step: "build" });
  complete(0);
  expect((await chat.follow(plan_id)).data).toMatchObject({
    outcome: "completed",
    plan: { steps: [{ status: "succeeded" }, { status: "skipped" }] },
  });
});

test("steps are added and limits changed while a plan goes on; what has begun stays", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin({ ...TWO_STEPS, limits: { cost_usd: 20 } })).data.plan;
  await until(() => runs().length === 1);
  const edit = { action: "plan", plan_id, change: "edit" };
  const begun = await chat.call({
    ...edit,
    steps: [{ id: "design", run: "architect", task: "Another one" }],
  });
  expect(begun.data.outcome).toBe("failed");
  expect(begun.text).toContain("Step design has begun");
  const wrong = await chat.call({
    ...edit,
    steps: JSON.stringify([{ id: "test", run: "tset", needs: ["bild"] }]),
  });
  expect(wrong.isError).toBe(true);
  expect(wrong.text).toMatch(/Nothing was changed\.[\s\S]*steps\[2\]\.needs[\s\S]*build/);
  const added = await chat.call({
    ...edit,
    steps: [{ id: "test", run: "test", needs: ["build"], task: "Test it" }],
  });
  expect(added.data).toMatchObject({
    outcome: "ok",
    plan: { version: 2, steps: [{}, {}, { id: "test", status: "pending" }] },
  });
  expect(added.text).toContain("New step: test.");
  const lower = await chat.call({ ...edit, limits: '{"cost_usd": 5}' });
  expect(lower.data.plan).toMatchObject({ version: 3, cost_limit_usd: 5 });
  // More than was allowed needs the person's word.
  const raised = await chat.call({ ...edit, limits: { cost_usd: 50 } });
  expect(raised.data).toMatchObject({ outcome: "input_required", missing: [{ name: "confirm" }] });
  expect(raised.text).toContain("$5.00 to $50.00");
  const agreed = await chat.call(raised.data.next_step.arguments);
  expect(agreed.data.plan).toMatchObject({ version: 4, cost_limit_usd: 50 });
});

const FAN_OUT = {
  inputs: { parts: { type: "list", required: true } },
  steps: [
    { id: "plan", run: "architect", task: "Plan it", output: { more: { type: "list" } } },
    {
      id: "build",
      run: "implement",
      needs: ["plan"],
      for_each: "${steps.plan.output.more}",
      task: "Build ${item}",
    },
  ],
};
/** Nine are more than begin unasked. */
const NINE = Array.from({ length: 9 }, (_, at) => `part ${at + 1}`);

test.each<[string, FormAnswerer, number]>([
  ["yes", yes, 10],
  ["no", no, 1],
])(
  "before a fan-out of many runs the person is asked; with %s there are %i runs",
  async (_word, answer, count) => {
    sim.api().world.script({ result: "Planned", output: { more: NINE }, costUsd: 0.5 });
    const chat = await connectForPlans({ onForm: answer });
    const { plan_id } = (await chat.begin(FAN_OUT, { inputs: { parts: "x" } })).data.plan;
    const { text } = await chat.follow(plan_id);
    expect(chat.forms[0]?.message).toMatch(/^login, step build: .*9 runs/);
    expect(runs(), text).toHaveLength(count);
  },
);

test("what a large plan takes is agreed to once, before it begins", async () => {
  const plan = {
    steps: [{ id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" }],
    inputs: { parts: { type: "list" } },
  };
  const answers = [no, yes];
  const chat = await connectForPlans({ onForm: (form, signal) => (answers.shift() ?? no)(form, signal) });
  const refused = await chat.begin(plan, { inputs: { parts: NINE } });
  expect(refused.data.outcome).toBe("declined");
  expect(refused.text).toContain("Nothing was begun. No run was started.");
  expect(runs()).toEqual([]);
  const { data } = await chat.begin(plan, { inputs: { parts: NINE } });
  const end = await chat.follow(data.plan.plan_id);
  expect(end.data.outcome, end.text).toBe("completed");
  expect(chat.forms.map(({ message }) => message.split("\n")[0])).toEqual(
    Array(2).fill("Begin the plan login (9 runs, at most 20; no limit of its cost)?"),
  );
});

test("the first line of what is agreed to says what a plan may take and where its work goes", async () => {
  const plan = {
    limits: { cost_usd: 40 },
    steps: [
      { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
      { id: "join", merge: "build", needs: ["build"], check: "npm test" },
    ],
    inputs: { parts: { type: "list" } },
  };
  const chat = await connectForPlans({ onForm: no });
  const { text } = await chat.begin(plan, {
    inputs: { parts: ["a", "b"] },
    repository_url: "https://host.example/ada/shop.git",
  });
  // Clients cut long lines and show the first ones: what is exact comes next, what is unknown last.
  expect(chat.forms.at(-1)?.message.split("\n"), text).toEqual([
    "Begin the plan login (2 runs, at most 20; it stops at $40.00) in https://host.example/ada/shop.git?",
    "",
    "Run `npm test` on the engine's machine as its user, on what agents have written.",
    "Foreseen: cost, turns and time unknown with fewer than 3 successful past runs of implement.",
  ]);
});

test("a check is shown exactly as it runs before the plan begins, and a no begins nothing", async () => {
  const plan = {
    steps: [
      { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
      { id: "join", merge: "build", needs: ["build"], check: "npm test -- --run" },
    ],
    inputs: { parts: { type: "list" } },
  };
  const answers = [no, yes];
  const chat = await connectForPlans({ onForm: (form, signal) => (answers.shift() ?? no)(form, signal) });
  const refused = await chat.begin(plan, { inputs: { parts: ["a", "b"] } });
  expect(refused.data.outcome).toBe("declined");
  expect(runs()).toEqual([]);
  const line = chat.forms[0]?.message.split("\n").find((one) => one.includes("npm test")) ?? "";
  expect(line.slice(0, 120)).toContain("Run `npm test -- --run` on the engine's machine as its user");
  const { data } = await chat.begin(plan, { inputs: { parts: ["a", "b"] } });
  const end = await chat.follow(data.plan.plan_id);
  expect(end.data.plan.steps[1], end.text).toMatchObject({
    id: "join",
    status: "succeeded",
    outcome: "2 of 2 merged",
  });
});

test("a client without forms begins a plan with a check by saying that the person agreed to it", async () => {
  const plan = {
    steps: [
      { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
      { id: "join", merge: "build", needs: ["build"], check: "make test" },
    ],
    inputs: { parts: { type: "list" } },
  };
  const chat = await connectForPlans();
  const { data } = await chat.begin(plan, { inputs: { parts: ["a"] } });
  expect(data).toMatchObject({
    outcome: "input_required",
    missing: [{ name: "confirm", description: expect.stringContaining("Run `make test`") }],
    next_step: { arguments: { action: "plan", confirm: true, session_name: "login" } },
  });
  expect(runs()).toEqual([]);
  const begun = await chat.call({ ...data.next_step.arguments, wait_seconds: 0 });
  expect(begun.data.outcome, begun.text).toBe("started");
});

test("feedback goes to the run of the step that is going on", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  const followed = chat.follow(plan_id, 1);
  await followed;
  const sent = await chat.call({ action: "feedback", plan_id, message: "Use Redis", wait_seconds: 0 });
  expect(sent.data, sent.text).toMatchObject({ outcome: "ok", queue: { added: 1 } });
  const none = await chat.call({ action: "feedback", plan_id, step: "build", message: "Use Redis" });
  expect(none.isError).toBe(true);
  expect(none.text).toContain("No run of step build goes on; these do: design. Nothing was sent.");
});

test("the tools of their own do the same", async () => {
  const chat = await connectForPlans({ settings: { TOOLSET: "named" } });
  const plan = {
    steps: [
      { id: "build", run: "implement", task: "Build it" },
      { id: "ok", gate: "Good?", needs: ["build"] },
    ],
  };
  const begun = await chat.call(
    { plan, session_name: "login", ...PLACE, wait_seconds: 20 },
    { tool: "run_plan" },
  );
  expect(begun.data.outcome, begun.text).toBe("input_required");
  const { tool, arguments: next } = begun.data.next_step;
  expect(tool).toBe("answer_question");
  await chat.call({ ...next, answer: "approve", confirm: true }, { tool });
  const { data } = await chat.call(
    { session_name: "login", wait_seconds: 20 },
    { tool: "get_session_status" },
  );
  expect(data).toMatchObject({ outcome: "completed", plan: { name: "login" } });
  const listed = await chat.call({}, { tool: "list_plans" });
  expect(listed.data.plans).toMatchObject([{ name: "login", status: "completed" }]);
});

test("an argument of a plan in a call without its action starts no run", async () => {
  const chat = await connectForPlans();
  const { isError, text } = await chat.call({
    plan: TWO_STEPS,
    message: "Go",
    workflow_name: "fix",
    ...PLACE,
    session_name: "x",
  });
  expect(isError).toBe(true);
  expect(text).toContain("`plan` does not belong to action run; action plan may be meant");
  expect(runs()).toEqual([]);
});

test("a plan of which a run was killed says that its step can be done again", async () => {
  manual();
  const chat = await connectForPlans();
  const { plan_id } = (await chat.begin(TWO_STEPS)).data.plan;
  await until(() => runs().length === 1);
  const [run] = runs();
  await chat.call({ action: "kill", run_id: run?.runId ?? "", confirm: true });
  const { data, text } = await chat.follow(plan_id);
  expect(data.plan.steps[0], text).toMatchObject({ id: "design", status: "killed" });
  expect(data).toMatchObject({
    outcome: "failed",
    next_step: { arguments: { plan_id, change: "redo", step: "design" } },
  });
});
