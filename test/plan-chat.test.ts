import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { ShownForm } from "./support/harness.js";
import { connectInMemory, until } from "./support/harness.js";
import { connectForPlans, PLACE } from "./support/plan-chat.js";

const sim = useSimulatedApi({ branches: true, describe: true, paceMs: 0 });

const TWO_STEPS = {
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    { id: "build", run: "implement", needs: ["design"], from: "design", task: "Build it" },
  ],
};

test("a plan is begun by one call, and followed to its end with progress", async () => {
  sim.api().world.script({ result: "Done", costUsd: 0.5, actions: ["Working"] });
  const { call } = await connectForPlans();
  const told: string[] = [];
  const { data, text, isError } = await call(
    { action: "plan", plan: TWO_STEPS, session_name: "login", ...PLACE },
    { onprogress: ({ message = "", total }) => told.push(`${message} (${total})`) },
  );
  expect(isError, text).toBe(false);
  expect(data).toMatchObject({
    outcome: "completed",
    plan: {
      name: "login",
      status: "completed",
      runs: { started: 2, limit: 20 },
      cost_usd: 1,
      waiting_for: [],
      steps: [
        { id: "design", kind: "run", status: "succeeded", session_name: "login-design", cost_usd: 0.5 },
        { id: "build", status: "succeeded", outcome: "Done" },
      ],
    },
  });
  expect(text).toMatch(
    /^Began the plan login\.\nPlan login \(.*\) is completed: design ✓ · build ✓ · \$1\.00\nCost: \$1\.00\. Runs: 2 of 20 started\.\nWork:\n {2}build: branch /,
  );
  expect(told.at(-1)).toBe("design ✓ · build ✓ · $1.00 (2)");
});

test("a form for a plan without a name asks for the plan's, and not for a session's", async () => {
  const { call, forms } = await connectForPlans({ onForm: () => ({ action: "cancel" }) });
  await call({ action: "plan", plan: TWO_STEPS, ...PLACE });
  expect(forms[0]?.schema.properties.session_name).toMatchObject({
    title: "Plan name",
    description: expect.stringMatching(
      /^A name to find the plan again by; its sessions are named after it\./,
    ),
  });
});

test("what is missing of a plan is asked in one form, each input by its type", async () => {
  const forms: ShownForm[] = [];
  const { call } = await connectForPlans({
    onForm: (form) => {
      forms.push(form);
      return {
        action: "accept",
        content: {
          feature: "JWT login",
          urgent: true,
          count: 3,
          parts: "one\ntwo",
          session_name: "jwt",
          repository_url: "",
          git_branch: "",
        },
      };
    },
  });
  const plan = {
    name: "ship",
    inputs: {
      feature: { type: "string", required: true, description: "What to build" },
      risk: { type: "string", enum: ["low", "high"], titles: { low: "Little risk" }, default: "low" },
      urgent: { type: "boolean", required: true },
      count: { type: "integer", default: 2 },
      parts: { type: "list", required: true },
      must_stay: { type: "string", default: "all of it", description: "What must stay as it is" },
    },
    limits: { runs: 9, cost_usd: 4 },
    steps: [
      {
        id: "build",
        run: "implement",
        task: "Build ${item} of ${inputs.feature}, risk ${inputs.risk}",
        for_each: "${inputs.parts}",
      },
    ],
  };
  const { data, text } = await call({ action: "plan", plan: JSON.stringify(plan), wait_seconds: 20 });
  expect(data.outcome, text).toBe("completed");
  expect(forms).toHaveLength(1);
  expect(forms[0]?.message).toBe("Begin the plan ship: at least 1 run, at most 9; it stops at $4.00.");
  expect(forms[0]?.schema.required).toEqual(["feature", "urgent", "parts"]);
  // Who types into a text would have to clear away what is there.
  expect(forms[0]?.schema.properties.must_stay).toEqual({
    type: "string",
    title: "Must stay",
    description: "What must stay as it is. Left empty: all of it.",
  });
  expect(forms[0]?.schema.properties).toMatchObject({
    feature: { type: "string", description: "What to build" },
    urgent: { type: "boolean" },
    parts: { type: "string", description: "parts. One a line." },
    risk: {
      type: "string",
      default: "low",
      oneOf: [{ const: "low", title: "Little risk" }, { const: "high" }],
    },
    count: { type: "integer", default: 2 },
    repository_url: { type: "string" },
    git_branch: { type: "string" },
  });
  const told = sim
    .api()
    .world.runs()
    .map(({ body }: { body: { message: string } }) => body.message);
  expect(told).toEqual([
    expect.stringContaining("Build one of JWT login, risk low"),
    expect.stringContaining("Build two of JWT login"),
  ]);
});

test("the form that begins a plan shows what the call has put into it", async () => {
  const forms: ShownForm[] = [];
  const { call } = await connectForPlans({
    onForm: (form) => {
      forms.push(form);
      return { action: "decline" };
    },
  });
  const inputs = { bug: "logging", bounds: `in ${"x".repeat(300)}` };
  await call({ action: "plan", plan: "fix-bug", inputs: JSON.stringify(inputs) });
  expect(forms[0]?.message).toMatch(/\nWith bug: logging; bounds: in x{110,117}…$/);
  expect(sim.api().world.runs()).toEqual([]);
});

test.each([
  ["decline", "declined"],
  ["cancel", "cancelled"],
] as const)("a form that the person answers by %s begins nothing", async (action, outcome) => {
  const { call } = await connectForPlans({ onForm: () => ({ action }) });
  const { data, text } = await call({ action: "plan", plan: TWO_STEPS });
  expect(data.outcome).toBe(outcome);
  expect(text).toContain("no run was started");
  expect((await call({ action: "status", session_name: "login" })).isError).toBe(true);
  expect(sim.api().world.runs()).toEqual([]);
});

test("all mistakes of a plan are told at once, with their places and corrected lines", async () => {
  const { call } = await connectForPlans();
  const plan = {
    steps: [
      { id: "a", run: "architekt", tasc: "x" },
      { id: "b", gate: "Go on?", needs: ["c"] },
    ],
  };
  const { text, isError } = await call({ action: "plan", plan, ...PLACE, session_name: "x" });
  expect(isError).toBe(true);
  expect(text).toContain("Nothing was begun.");
  expect(text).toMatch(/steps\[0\]\.run .*architect/);
  expect(text).toMatch(/steps\[0\]\.tasc .*\n +Write: task: x/);
  expect(text).toMatch(/steps\[1\]\.needs/);
});

test("a client without forms is told what is missing, and the next call has it filled in", async () => {
  const { call } = await connectForPlans();
  const plan = {
    inputs: { feature: { required: true, description: "What to build" } },
    steps: [{ id: "build", run: "implement", task: "${inputs.feature}" }],
  };
  const first = await call({ action: "plan", plan });
  expect(first.data).toMatchObject({
    outcome: "input_required",
    missing: [
      { name: "feature", required: true },
      { name: "session_name" },
      { name: "repository_url" },
      { name: "git_branch" },
    ],
    next_step: { arguments: { action: "plan", plan: JSON.stringify(plan), repository_url: "" } },
  });
  const { arguments: next } = first.data.next_step;
  const second = await call({ ...next, inputs: { feature: "The login" }, wait_seconds: 20 });
  expect(second.data.outcome, second.text).toBe("completed");
});

test("a dry run begins nothing, and says what is not known", async () => {
  const { call } = await connectForPlans();
  const { data, text } = await call({ action: "plan", plan: JSON.stringify(TWO_STEPS), dry_run: true });
  expect(data).toMatchObject({
    outcome: "ok",
    dry_run: {
      waves: [["design: architect"], ["build: implement"]],
      runs: { expected: 2, least: 2, limit: 20 },
      unknown: ["architect", "implement"],
    },
  });
  expect(data.dry_run).not.toHaveProperty("cost_usd");
  expect(text).toContain(
    "It takes 2 runs (at most 20), cost, turns and time unknown with fewer than 3 successful past runs of architect and implement.",
  );
  expect(sim.api().world.runs()).toEqual([]);
  // What a condition may leave out is not said to be needed.
  const fix = {
    id: "fix",
    run: "fix",
    task: "Mend it",
    needs: ["build"],
    when: "${steps.build.outcome} == failed",
  };
  const steps = [...TWO_STEPS.steps, fix];
  const told = async (plan: object) =>
    /It takes ([^,]*),/.exec((await call({ action: "plan", plan, dry_run: true })).text)?.[1];
  expect(await told({ ...TWO_STEPS, steps })).toBe("2 to 3 runs (at most 20)");
  const inputs = { parts: "list" };
  const each = { id: "each", run: "fix", task: "${item}", for_each: "${inputs.parts}" };
  expect(await told({ name: "open", inputs, steps: [...steps, each] })).toBe("at least 3 runs (at most 20)");
});

test("a plan whose name goes on already is not begun, and a free name is suggested", async () => {
  sim.api().world.script({ manual: true });
  const { begin } = await connectForPlans();
  await begin(TWO_STEPS);
  const { data } = await begin(TWO_STEPS);
  expect(data).toMatchObject({
    outcome: "input_required",
    next_step: { arguments: { session_name: "login-2" } },
  });
  // The run of the first plan, as soon as it is carried out.
  await until(() => sim.api().world.runs().length > 0);
  expect(sim.api().world.runs()).toHaveLength(1);
});

test("who is asked about a name that goes on already follows that plan, or begins a second one", async () => {
  sim.api().world.script({ manual: true });
  const says = { session_name: "follow" };
  const { begin, forms } = await connectForPlans({ onForm: () => ({ action: "accept", content: says }) });
  const { plan_id } = (await begin(TWO_STEPS)).data.plan;
  const followed = await begin(TWO_STEPS);
  expect(followed.data.plan.plan_id).toBe(plan_id);
  expect(followed.text).toContain("Nothing new was begun: this is the plan login that goes on.");
  expect(forms[0]?.schema.properties.session_name.oneOf).toEqual([
    { const: "follow", title: "Follow login: nothing new is begun" },
    { const: "login-2", title: "Begin a second plan, named login-2" },
  ]);
  says.session_name = "login-2";
  expect((await begin(TWO_STEPS)).data.plan.name).toBe("login-2");
});

test("of two calls at once with one name one begins a plan", async () => {
  sim.api().world.script({ manual: true });
  const { begin, call } = await connectForPlans();
  await Promise.all([begin(TWO_STEPS), begin(TWO_STEPS)]);
  expect((await call({ action: "list_plans" })).data.plans).toHaveLength(1);
});

test("of two windows with one name one begins a plan, and the other is told of it", async () => {
  sim.api().world.script({ manual: true });
  const one = await connectForPlans();
  const other = await connectForPlans({ plans: { folder: one.folder, upstream: "the API" } });
  const begun = await Promise.all([one.begin(TWO_STEPS), other.begin(TWO_STEPS)]);
  expect(begun.filter(({ data }) => data?.outcome === "started")).toHaveLength(1);
  const [second] = begun.filter(({ data }) => data?.outcome !== "started");
  expect(second?.text).toMatch(/"login" (goes on already|has been begun meanwhile)\. Nothing was begun\./);
  expect((await other.call({ action: "list_plans" })).data.plans).toHaveLength(1);
});

test("a plan gets no name that a session has, since both are found by name", async () => {
  const { begin, call } = await connectForPlans();
  const place = { workflow_name: "fix", message: "Fix it", ...PLACE };
  await call({ action: "run", session_name: "login", ...place });
  const { data } = await begin(TWO_STEPS);
  expect(data).toMatchObject({
    outcome: "input_required",
    next_step: { arguments: { session_name: "login-2" } },
  });
  const run = await call({ action: "status", session_name: "login" });
  expect(run.data.run.session_name).toBe("login");
});

test("a plan in YAML is told its mistakes by their lines, and the call's limits count before its own", async () => {
  const { call } = await connectForPlans();
  const yaml =
    "steps:\n  - id: design\n    run: architect\n    task: Design it\n  - id: ok\n    gat: Good?\n";
  const wrong = await call({ action: "plan", plan: yaml });
  expect(wrong.text).toMatch(/steps\[1\]\.gat \(step ok, line 6\): .*gate/);
  const right = yaml.replace("gat:", "gate:");
  const limits = "runs: 1\ncost_usd: 2.5\n";
  const { data } = await call({ action: "plan", plan: right, limits, dry_run: true });
  expect(data.dry_run.runs).toMatchObject({ expected: 1, limit: 1 });
  const low = await call({ action: "plan", plan: TWO_STEPS, limits: { runs: 1 } });
  expect(low.text).toContain("needs at least 2 runs");
});

test("a server that has no place for plans says so", async () => {
  const { call } = await connectInMemory();
  const { text, isError } = await call({ action: "plan", plan: TWO_STEPS, ...PLACE });
  expect(isError).toBe(true);
  expect(text).toContain("Nothing was begun.");
});

test("plans are listed, those that have not ended first", async () => {
  sim.api().world.script({ manual: true });
  const { call, begin } = await connectForPlans();
  expect((await call({ action: "list_plans" })).data).toMatchObject({ outcome: "ok", plans: [] });
  const { data } = await begin(TWO_STEPS);
  const listed = await call({ action: "list_plans" });
  expect(listed.data.plans).toMatchObject([
    { plan_id: data.plan.plan_id, name: "login", runs: { limit: 20 } },
  ]);
  expect(listed.text).toContain("Plans:\n- login (");
});

test("what is held up from outside is told as blocked, with the reason, and goes on by itself", async () => {
  const heal = sim
    .api()
    .fault(
      { path: /\/run\/architect/ },
      { status: 503, body: { detail: "Down for maintenance", started: false } },
    );
  const { begin, call, follow } = await connectForPlans();
  const { plan_id } = (await begin(TWO_STEPS)).data.plan;
  const held = await vi.waitFor(async () => {
    const answer = await call({ action: "status", plan_id });
    expect(answer.data.plan.status).toBe("blocked");
    return answer;
  }, 10_000);
  expect(held.text).toMatch(
    /^Blocked since .*, step design: .*Down for maintenance.*It is tried again by itself\./,
  );
  expect(held.data.plan).toMatchObject({ line: "design: blocked", steps: [{ status: "blocked" }, {}] });
  // The API has said no to it, so that it is not there; it keeps its place.
  expect(held.data.plan.runs).toEqual({ started: 0, limit: 20 });
  expect(held.text).toContain("Runs: 0 of 20 started, 1 starting.");
  heal();
  expect((await follow(plan_id)).data.outcome).toBe("completed");
});

test("when the plans cannot be read or written, that is said, and nothing was begun", async () => {
  const { call, folder } = await connectForPlans();
  mkdirSync(join(folder, "automagik.db"));
  const { text, isError } = await call({ action: "plan", plan: TWO_STEPS, session_name: "x", ...PLACE });
  expect(isError).toBe(true);
  expect(text).toMatch(/^Plans: .*Nothing was begun or changed\./);
  expect(text).not.toContain(folder);
  // Who asks for a session is not kept from it.
  expect((await call({ action: "status", session_name: "y" })).text).toContain(
    'There is no session or run "y"',
  );
  expect(sim.api().world.runs()).toEqual([]);
});

test("a call that is cancelled while its form is open begins nothing", async () => {
  const ending = new AbortController();
  const { call } = await connectForPlans({
    onForm: () => {
      ending.abort();
      return new Promise(() => {});
    },
  });
  await expect(call({ action: "plan", plan: TWO_STEPS }, { signal: ending.signal })).rejects.toThrow();
  const listed = await call({ action: "list_plans" });
  expect(listed.data.plans).toEqual([]);
});
