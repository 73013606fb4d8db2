import { describe, expect, it, test } from "vitest";
import * as z from "zod";
import { dryRun } from "../src/plans/dry-run.js";
import { type CheckOptions, checkPlan, checkPlanValue } from "../src/plans/language/check-plan.js";
import { planSchema } from "../src/plans/language/plan-schema.js";
import { describeProblem, type PlanProblem } from "../src/plans/language/problems.js";
import { askForOutput, readOutput, tellResult } from "../src/plans/machine/output.js";
import type { Fields, Plan } from "../src/plans/plan.js";
import { createRandom } from "./faults/random.js";

const WORKFLOWS = ["architect", "implement", "test", "review", "fix", "refactor", "document"];

/** The example of the language's description. */
const SHIP_FEATURE = `
name: ship-feature
description: Design, build, test and review one feature
inputs:
  feature: { type: string, required: true, description: What to build }
  risk:    { type: string, enum: [low, high], default: low }
limits: { parallel: 3, runs: 12, cost_usd: 20, minutes: 240 }
steps:
  - { id: design, run: architect, task: "Design \${inputs.feature}", output: { parts: { type: list, description: independent parts to build } } }
  - { id: ok,     gate: "Build this design?", needs: [design], show: "\${steps.design.result}", back_to: { step: design, max: 3 } }
  - { id: build,  run: implement, needs: [ok], from: design, task: "Build \${item}", for_each: "\${steps.design.output.parts}", parallel: 3 }
  - { id: join,   merge: build, needs: [build], check: "npm test" }
  - { id: test,   run: test,   needs: [join], from: join }
  - { id: review, run: review, needs: [join], from: join, output: { verdict: { enum: [approve, changes] } } }
  - { id: fix,    run: fix,    needs: [test, review], from: join, when: "\${steps.review.output.verdict} == changes", task: "\${steps.review.result}" }
`;

const options: CheckOptions = { workflows: WORKFLOWS };
const first = { id: "design", run: "architect", task: "Design it", output: { parts: { type: "list" } } };

async function problemsOf(input: unknown, more: CheckOptions = options): Promise<PlanProblem[]> {
  const checked = await checkPlan(input, more);
  return "problems" in checked ? checked.problems : [];
}

async function planOf(input: unknown, more: CheckOptions = options): Promise<Plan> {
  const checked = await checkPlan(input, more);
  if ("problems" in checked) throw new Error(checked.problems.map(describeProblem).join("\n"));
  return checked.plan;
}

/** What is said of a plan of `first` and these steps. */
const problemsWith = (...steps: object[]) => problemsOf({ steps: [first, ...steps] });

describe("a plan that is right", () => {
  it("reads the same as YAML, JSON, an object, and with its steps as a JSON text", async () => {
    const plan = await planOf(SHIP_FEATURE);
    const { parse } = await import("yaml");
    const value = parse(SHIP_FEATURE);
    expect(plan.steps.map(({ id, kind }) => `${id} ${kind}`)).toEqual([
      "design run",
      "ok gate",
      "build run",
      "join merge",
      "test run",
      "review run",
      "fix run",
    ]);
    expect(plan.limits).toEqual({ parallel: 3, runs: 12, costUsd: 20, minutes: 240 });
    expect(await planOf(JSON.stringify(value))).toEqual(plan);
    expect(await planOf(value)).toEqual(plan);
    expect(await planOf({ ...value, steps: JSON.stringify(value.steps) })).toEqual(plan);
    expect(await planOf({ ...value, limits: JSON.stringify(value.limits) })).toEqual(plan);
  });

  it("takes inputs with their defaults, names the missing ones, and says which are wrong", async () => {
    const good = await checkPlan(SHIP_FEATURE, { ...options, inputs: { feature: "JWT login" } });
    expect(good).toMatchObject({ inputs: { feature: "JWT login", risk: "low" }, missing: [] });
    expect(await checkPlan(SHIP_FEATURE, { ...options, inputs: '{"risk": "HIGH"}' })).toMatchObject({
      inputs: { risk: "high" },
      missing: ["feature"],
    });
    expect(
      (await problemsOf(SHIP_FEATURE, { ...options, inputs: { featur: "x", risk: "middle" } })).map(
        ({ path, message }) => [path, message],
      ),
    ).toEqual([
      ["inputs.featur", 'The plan has no input "featur"; "feature" may be meant.'],
      ["inputs.risk", 'The input "risk" must be one of low, high, and is "middle".'],
    ]);
  });

  it("has the stated limits where it has none of its own", async () => {
    const plan = await planOf({ steps: [first] }, { ...options, defaults: { runs: 7, costUsd: 5 } });
    expect(plan.limits).toEqual({ parallel: 3, runs: 7, costUsd: 5, minutes: 240 });
  });

  it("is not held against a catalogue that nobody knows", async () => {
    expect(await problemsOf({ steps: [{ ...first, run: "own-workflow" }] }, {})).toEqual([]);
    expect(await problemsOf({ steps: [{ ...first, run: "auto" }] })).toEqual([]);
  });

  it("takes what clients write for the same: numbers and lists as text, null and nothing for what is left out", async () => {
    const plan = await planOf({
      limits: { runs: "5" },
      steps: [
        first,
        { id: "go", run: "implement", needs: "design", retry: "2", task: null, from: "", continue: "design" },
      ],
    });
    expect(plan.limits.runs).toBe(5);
    expect(plan.steps[1]).toMatchObject({ needs: ["design"], retry: 2, continue: "design" });
    expect(plan.steps[1]).not.toHaveProperty("from");
  });
});

describe("every mistake is told at once", () => {
  it("with its path, what is wrong, the nearest name and a corrected line", async () => {
    const problems = await problemsOf(`
name: ship
limits: { run: 3 }
steps:
  - id: design
    run: architekt
    task: "Design \${inputs.feature}"
  - id: build
    run: implement
    depends_on: [design]
    needs: [desing]
    from: design
    retry: many
`);
    expect(problems.map(describeProblem)).toEqual([
      'limits.run (line 3): There is no key "run"; "runs" may be meant.\n  Write: runs: 3',
      'steps[1].depends_on (step build, line 10): There is no key "depends_on"; "needs" may be meant.\n  Write: needs: [design]',
      'steps[1].retry (step build, line 13): It must be a whole number from 0 to 10, and is "many".\n  Write: retry: 1',
      'steps[0].run (step design, line 6): There is no workflow "architekt"; "architect" may be meant. There are architect, implement, test, review, fix, refactor, document.\n  Write: run: architect',
      'steps[1].needs[0] (step build, line 11): There is no step "desing"; "design" may be meant.\n  Write: needs: [design]',
      'steps[1].from (step build, line 12): Step "design" need not have ended before this step begins: name it in needs.\n  Write: needs: [desing, design]',
      'steps[0].task (step design, line 7): The plan has no input "feature".\n  Write: inputs: { feature: { type: string } }',
    ]);
  });

  it.each<[what: string, steps: object[], path: string, message: string | RegExp, correction?: string]>([
    [
      "a circle",
      [
        { id: "a", run: "fix", needs: ["b"] },
        { id: "b", run: "fix", needs: ["a"] },
      ],
      "steps[1].needs",
      /circle: a needs b needs a\./,
      "needs: []",
    ],
    [
      "a step that needs itself",
      [{ id: "a", run: "fix", needs: ["a"] }],
      "steps[1].needs",
      /circle: a needs a\./,
    ],
    [
      "a reference to a step that is not upstream",
      [{ id: "a", run: "fix", task: "See ${steps.design.result}" }],
      "steps[1].task",
      /need not have ended/,
      "needs: [design]",
    ],
    [
      "a reference to a later step",
      [
        { id: "a", run: "fix", task: "${steps.b.result}", needs: ["design"] },
        { id: "b", run: "fix", needs: ["a"] },
      ],
      "steps[1].task",
      /has not ended before/,
    ],
    [
      "a reference to its own result",
      [{ id: "a", run: "fix", task: "${steps.a.result}" }],
      "steps[1].task",
      /has not ended before/,
    ],
    [
      "a fan-out over what is no list",
      [{ id: "a", run: "fix", needs: ["design"], for_each: "${steps.design.result}" }],
      "steps[1].for_each",
      /is no list: it is a text/,
      'for_each: "${steps.design.output.parts}"',
    ],
    [
      "a fan-out over a text",
      [{ id: "a", run: "fix", needs: ["design"], for_each: "one, two" }],
      "steps[1].for_each",
      /one reference to a list/,
    ],
    [
      "an output that is not declared",
      [{ id: "a", run: "fix", needs: ["design"], for_each: "${steps.design.output.part}" }],
      "steps[1].for_each",
      /"parts" may be meant/,
      "${steps.design.output.parts}",
    ],
    [
      "an item where there is none",
      [{ id: "a", run: "fix", task: "Do ${item}" }],
      "steps[1].task",
      /no item here/,
    ],
    [
      "from and continue",
      [{ id: "a", run: "fix", needs: ["design"], from: "design", continue: "design" }],
      "steps[1].from",
      /keep one of them/,
    ],
    [
      "continue with a fan-out",
      [
        {
          id: "a",
          run: "fix",
          needs: ["design"],
          for_each: "${steps.design.output.parts}",
          continue: "design",
        },
      ],
      "steps[1].continue",
      /in sequence only/,
      "from: design",
    ],
    [
      "two steps that continue the same at once",
      [
        { id: "a", run: "fix", needs: ["design"], continue: "design" },
        { id: "b", run: "fix", needs: ["design"], continue: "design" },
      ],
      "steps[2].continue",
      /"a" goes on with the same conversation/,
      "needs: [design, a]",
    ],
    [
      "a merge of what is no fan-out",
      [{ id: "a", merge: "design", needs: ["design"] }],
      "steps[1].merge",
      /has no for_each/,
    ],
    [
      "from a fan-out",
      [
        { id: "a", run: "fix", needs: ["design"], for_each: "${steps.design.output.parts}" },
        { id: "b", run: "fix", needs: ["a"], from: "a" },
      ],
      "steps[2].from",
      /merge them first/,
    ],
    [
      "from a gate",
      [
        { id: "a", gate: "Go on?", needs: ["design"] },
        { id: "b", run: "fix", needs: ["a"], from: "a" },
      ],
      "steps[2].from",
      /is a gate, which has no branch/,
    ],
    [
      "back_to what is not upstream",
      [
        { id: "a", gate: "Go on?", needs: ["design"], back_to: { step: "b" } },
        { id: "b", run: "fix", needs: ["a"] },
      ],
      "steps[1].back_to.step",
      /comes after this step/,
    ],
    [
      "back_to a gate",
      [
        { id: "a", gate: "Go on?", needs: ["design"] },
        { id: "b", gate: "Sure?", needs: ["a"], back_to: "a" },
      ],
      "steps[2].back_to.step",
      /only a step with one run/,
    ],
    [
      "a run that sends back without a condition",
      [{ id: "a", run: "review", needs: ["design"], back_to: { step: "design" } }],
      "steps[1].back_to",
      /must have when/,
    ],
    [
      "a condition that computes",
      [{ id: "a", run: "fix", needs: ["design"], when: "${steps.design.outcome} == failed || true" }],
      "steps[1].when",
      /nothing else is computed/,
    ],
    [
      "a condition that never holds",
      [{ id: "a", run: "fix", needs: ["design"], when: "${steps.design.outcome} == faild" }],
      "steps[1].when",
      /is never "faild"/,
      'when: "${steps.design.outcome} == failed"',
    ],
    ["two kinds in one step", [{ id: "a", run: "fix", gate: "Go on?" }], "steps[1]", /one thing only/],
    ["no kind", [{ id: "a", task: "x" }], "steps[1]", /needs one of run, gate and merge/],
    [
      "a key of another kind",
      [{ id: "a", gate: "Go on?", needs: ["design"], task: "x" }],
      "steps[1].task",
      /does not belong to a gate, but to a run/,
    ],
    [
      "the same id twice",
      [{ id: "design", run: "fix", task: "x" }],
      "steps[1].id",
      /has the id "design" already/,
      "id: design-2",
    ],
    [
      "a name that objects have",
      [{ id: "constructor", run: "fix", task: "x" }],
      "steps[1].id",
      /is no name for a step/,
    ],
    [
      "a name of other letters",
      [{ id: "Build It", run: "fix", task: "x" }],
      "steps[1].id",
      /is no name for a step/,
      "id: build-it",
    ],
    ["a first step without a task", [{ id: "a", run: "fix" }], "steps[1]", /must have a task/],
    [
      "a reference that is none",
      [{ id: "a", run: "fix", task: "cd ${HOME}" }],
      "steps[1].task",
      /is no reference.*write \$\$\{/,
    ],
    [
      "a check that hides something",
      [
        { id: "b", run: "fix", needs: ["design"], for_each: "${steps.design.output.parts}" },
        { id: "a", merge: "b", needs: ["b"], check: "npm test\u202e" },
      ],
      "steps[2].check",
      /can be seen/,
    ],
  ])("%s", async (_what, steps, path, message, correction) => {
    const problems = await problemsWith(...steps);
    expect(problems.map((problem) => problem.path)).toContain(path);
    const problem = problems.find((one) => one.path === path);
    expect(problem?.message).toMatch(message);
    if (correction) expect(problem?.correction).toBe(correction);
    expect(problems, problems.map(describeProblem).join("\n")).toHaveLength(1);
  });

  it("limits that cannot hold the plan", async () => {
    const steps = [first, { id: "a", run: "fix", needs: ["design"] }, { id: "b", run: "fix", needs: ["a"] }];
    expect(await problemsOf({ limits: { runs: 2 }, steps })).toEqual([
      {
        path: "limits.runs",
        message: "The plan needs at least 3 runs, and at most 2 may be started.",
        correction: "runs: 3",
      },
    ]);
    const issues = { type: "list", default: ["1", "2", "3"] };
    const each = [{ id: "a", run: "fix", task: "${item}", for_each: "${inputs.issues}" }];
    expect(
      (await problemsOf({ inputs: { issues }, limits: { runs: 2 }, steps: each })).map(({ path }) => path),
    ).toEqual(["limits.runs"]);
  });

  it("an agent that is not there, and a limit of cost where an agent does not tell what it costs", async () => {
    const agents = [
      { name: "claude", tellsCost: true },
      { name: "codex", tellsCost: false },
    ];
    const look = (agent: string, limits = {}) =>
      problemsOf({ limits, steps: [{ ...first, agent }] }, { ...options, agents });
    expect(await look("codex", { runs: 3 })).toEqual([]);
    expect(await look("claude", { cost_usd: 3 })).toEqual([]);
    expect(await look("gpt")).toEqual([
      {
        path: "steps[0].agent",
        step: "design",
        message: 'There is no agent "gpt". There are claude, codex.',
        correction: "agent: claude",
      },
    ]);
    const problem = {
      path: "limits.cost_usd",
      step: "design",
      message: expect.stringMatching(
        /^Step "design" is for the agent codex, which does not tell what it costs/,
      ),
    };
    expect(await look("codex", { cost_usd: 3 })).toEqual([problem]);
    const ofWorkflow = { ...options, agents, agentOf: () => "codex" };
    expect(await problemsOf({ limits: { cost_usd: 3 }, steps: [first] }, ofWorkflow)).toEqual([problem]);
    const gate = { id: "ok", gate: "Good?", needs: ["design"], agent: "codex" };
    expect((await problemsWith(gate)).map(({ message }) => message)).toEqual([
      '"agent" does not belong to a gate, but to a run.',
    ]);
  });

  it("what the API cannot do", async () => {
    const problems = await problemsOf(
      { steps: [first, { id: "a", run: "fix", needs: ["design"], continue: "design" }] },
      { ...options, cannot: { continue: "This API does not resume conversations" } },
    );
    expect(problems.map(({ message }) => message)).toEqual([
      'This API does not resume conversations, so "continue" is not possible.',
    ]);
  });
});

describe("texts that are no plan", () => {
  it.each<[what: string, text: string, message: RegExp]>([
    ["no YAML", "steps: [", /neither JSON nor YAML/],
    ["a tag", "name: !!js/function 'x'", /neither JSON nor YAML/],
    ["an alias", "name: &a x\ndescription: *a", /Anchors and aliases/],
    ["a key that is there twice", "name: a\nname: b", /"name" is there twice/],
    ["brackets without end", "{".repeat(200_000), /nested more than/],
    ["question marks without end", "? ".repeat(100_000), /nested more than/],
    ["dashes without end", "- ".repeat(100_000), /nested more than/],
    ["two hundred levels of JSON", `{"a":${"[".repeat(200)}${"]".repeat(200)}}`, /nested more than/],
    ["too much JSON", `{"name":"${"x".repeat(1_100_000)}"}`, /more than 1000000 characters/],
    ["a word", "plan", /must be an object/],
    ["nothing", "", /must be an object, .* and is nothing/],
  ])("%s", async (_what, text, message) => {
    const problems = await problemsOf(text);
    expect(problems.map(describeProblem).join("\n")).toMatch(message);
  });

  it("values that no text could give", async () => {
    const circle: Record<string, unknown> = { steps: [] };
    circle.self = circle;
    const hostile = {
      get steps(): unknown {
        throw new Error("no");
      },
    };
    for (const value of [
      circle,
      hostile,
      undefined,
      null,
      1n,
      Symbol("x"),
      () => 1,
      new Date(),
      [[]],
      Number.NaN,
    ])
      expect(await problemsOf(value)).not.toEqual([]);
  });
});

test("no input makes the checker throw, hang, or change what all objects have", {
  timeout: 120_000,
}, async () => {
  const { next: random, pick } = createRandom(20_260_711);
  const NAMES = [
    "id",
    "run",
    "gate",
    "merge",
    "needs",
    "task",
    "from",
    "continue",
    "for_each",
    "when",
    "output",
    "back_to",
    "limits",
    "inputs",
    "steps",
    "retry",
    "join",
    "enum",
    "type",
    "default",
    "__proto__",
    "constructor",
    "toString",
    "",
    "a\0b",
    "\u202e",
    "x".repeat(5_000),
  ];
  const WORDS = [
    "a",
    "b",
    "design",
    "architect",
    "${steps.a.result}",
    "${steps.b.output.x} == y",
    "${",
    "}",
    "$${",
    "${inputs.__proto__}",
    "${steps.constructor.result}",
    "\0",
    "\ud800",
    "😀",
    "\u202eabc",
    "{",
    "[",
    "[1",
    '{"a":1}',
    "__proto__",
    "x".repeat(20_000),
    "-",
    "- a\n- b",
  ];
  function value(depth: number): unknown {
    const kind = random();
    if (kind < 0.35 || depth > 6) return pick(WORDS);
    if (kind < 0.5)
      return pick([0, -1, 1.5, 1e308, Number.NaN, Number.POSITIVE_INFINITY, null, true, false, undefined]);
    const size = Math.floor(random() * 6);
    if (kind < 0.7) return Array.from({ length: size }, () => value(depth + 1));
    return JSON.parse(
      JSON.stringify(
        Object.fromEntries(Array.from({ length: size }, () => [pick(NAMES), value(depth + 1) ?? null])),
      ),
    ) as unknown;
  }
  function plan(): unknown {
    const steps = Array.from({ length: Math.floor(random() * 12) }, (_, at) => {
      const step: Record<string, unknown> = {
        id: pick(["a", "b", "c", `s${at}`]),
        [pick(["run", "gate", "merge"])]: pick(["architect", "a", "b"]),
      };
      for (let more = 0; more < 4; more++)
        Object.defineProperty(step, pick(NAMES), {
          value: value(2),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      return step;
    });
    return { steps, [pick(NAMES)]: value(1) };
  }
  let told = 0;
  for (let round = 0; round < 300; round++) {
    const input = random() < 0.7 ? plan() : value(0);
    const spelled =
      random() < 0.5
        ? input
        : random() < 0.5
          ? (JSON.stringify(input) ?? "")
          : pick(WORDS) + (JSON.stringify(input) ?? "").replaceAll('"', "");
    const checked = await checkPlan(spelled, { ...options, inputs: value(3) });
    if ("problems" in checked) told += checked.problems.length;
    for (const problem of "problems" in checked ? checked.problems : []) {
      expect(problem.message.length).toBeLessThan(2_000);
      expect(describeProblem(problem)).not.toMatch(/[\0\u202e]/);
    }
  }
  expect(told).toBeGreaterThan(300);
  const many = Array.from({ length: 10_000 }, (_, at) => ({ id: `s${at}`, run: "fix", task: "x" }));
  expect(await problemsOf({ steps: many })).toMatchObject([
    { path: "steps", message: "There are 10000 steps; at most 1000 are possible." },
  ]);
  const wrong = Array.from({ length: 1_000 }, (_, at) => ({
    id: `s${at}`,
    run: "fixx",
    needs: Array.from({ length: 100 }, (_, n) => `t${at}-${n}`),
  }));
  expect((await problemsOf({ steps: wrong })).at(-1)?.message).toMatch(/mistakes more/);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>).result).toBeUndefined();
});

it("is published without recursion, references or alternatives", () => {
  const schema = JSON.stringify(z.toJSONSchema(planSchema, { io: "input" }));
  expect(schema).toContain('"for_each"');
  expect(schema).not.toMatch(/\$ref|oneOf|anyOf|allOf/);
});

describe("a dry run", () => {
  it("tells waves, runs and what they take, at least where a list is not known yet", async () => {
    const past: Record<string, object> = {
      architect: { turns: 10, costUsd: 1, durationS: 100 },
      implement: { turns: 20, costUsd: 2, durationS: 300 },
      test: { turns: 5, costUsd: 0.5, durationS: 60 },
      review: { turns: 5, costUsd: 0.5, durationS: 90 },
      fix: { turns: 5, costUsd: 0.5, durationS: 50 },
    };
    const dry = dryRun(await planOf(SHIP_FEATURE), { history: (workflow) => past[workflow] });
    expect(dry.waves.map((wave) => wave.map(({ id }) => id))).toEqual([
      ["design"],
      ["ok"],
      ["build"],
      ["join"],
      ["test", "review"],
      ["fix"],
    ]);
    expect(dry.runs).toEqual({ expected: 5, least: 4, isOpen: true, limit: 12 });
    expect(dry).toMatchObject({ turns: 45, costUsd: 4.5, durationS: 540, unknown: [], warnings: [] });
  });

  it("counts the items of a list that is given, and has as many runs at once as allowed", async () => {
    const plan = await planOf({
      inputs: { issues: "list" },
      limits: { parallel: 2 },
      steps: [{ id: "each", run: "fix", task: "${item}", for_each: "${inputs.issues}" }],
    });
    const most = { turns: 2, costUsd: 1.5, durationS: 90 };
    const history = () => ({ turns: 1, costUsd: 1, durationS: 60, most });
    const dry = dryRun(plan, { inputs: { issues: ["1", "2", "3"] }, history });
    expect(dry.runs).toMatchObject({ expected: 3, isOpen: false });
    expect(dry).toMatchObject({ costUsd: 3, durationS: 120 });
    expect(dry.most).toEqual({ turns: 6, costUsd: 4.5, durationS: 180 });
  });

  it("leaves out what is not known, and never says 0 for it", async () => {
    const dry = dryRun(await planOf(SHIP_FEATURE), {
      history: (workflow) => (workflow === "architect" ? { costUsd: 1 } : undefined),
    });
    expect(dry).not.toHaveProperty("costUsd");
    expect(dry).not.toHaveProperty("turns");
    expect(dry).not.toHaveProperty("durationS");
    expect(dry.most).toEqual({});
    expect(dry.knownCostUsd).toBe(1);
    expect(dry.unknown).toEqual(["architect", "implement", "test", "review", "fix"]);
  });
});

describe("the output of a step", () => {
  const fields: Fields = {
    verdict: { type: "string", enum: ["approve", "changes"], required: true },
    parts: { type: "list", required: true },
    score: { type: "integer", required: false },
  };
  const block = (value: unknown) => `Done.\n\n\`\`\`json\n${JSON.stringify(value)}\n\`\`\`\n`;

  it("is asked for in the form in which it is read", () => {
    const asked = askForOutput(fields);
    expect(asked).toContain("- verdict: one of approve, changes");
    expect(readOutput(asked, fields)).toEqual({
      output: { verdict: "approve", parts: ["…", "…"], score: 1 },
    });
  });

  it("is the last block that is an object", () => {
    const result = `${block({ verdict: "changes", parts: [] })}${block({ verdict: "Approve", parts: ["a"] })}\`\`\`\nnpm test\n\`\`\``;
    expect(readOutput(result, fields)).toEqual({ output: { verdict: "approve", parts: ["a"] } });
  });

  it("is told to a person in words, in place of the JSON, once", () => {
    const output = { verdict: "changes", parts: ["a", "b"] };
    const told = "Done.\n\nverdict: changes\n\nparts:\n- a\n- b";
    expect(tellResult(block(output), fields, output)).toBe(told);
    const twice = `${block(output)}\n\`\`\`json\n${JSON.stringify(output, null, 2)}\n\`\`\``;
    expect(tellResult(twice, fields, output)).toBe(told);
    // Fields that were asked for afterwards are not in the result.
    expect(tellResult("Done.", fields, output)).toBe(told);
  });

  it("leaves a person all else that an agent has written", () => {
    const output = { verdict: "approve", parts: [] };
    const other = '```json\n{"verdict":"approve","secret":"1"}\n```';
    expect(tellResult(other, fields, output)).toContain(other);
    const amid = `${block(output)}That was it.`;
    expect(tellResult(amid, fields, output)).toBe("Done.\n\nThat was it.\n\nverdict: approve\n\nparts:\n");
    // What it may only have shown before is not what counts.
    const shown = `${block({ verdict: "changes", parts: [] })}\`\`\`\nnpm test\n\`\`\`\n${block(output)}`;
    expect(tellResult(shown, fields, output)).toContain(block({ verdict: "changes", parts: [] }).trim());
    const code = "Run this:\n```\nnpm test\n```";
    expect(tellResult(code, fields, output)).toContain(code);
    expect(tellResult(block(output), undefined, undefined)).toBe(block(output));
  });

  it.each<[what: string, result: string | undefined, problem: string]>([
    ["no result", undefined, "there is no fenced JSON block"],
    ["no block", "verdict: approve", "there is no fenced JSON block"],
    ["no JSON", "```json\n{verdict}\n```", "there is no fenced JSON block"],
    ["too deep", `\`\`\`json\n{"verdict":${"[".repeat(500)}\n\`\`\``, "there is no fenced JSON block"],
    [
      "a missing field and a wrong one",
      block({ verdict: "maybe" }),
      'verdict must be one of approve, changes, and is "maybe"; parts is missing',
    ],
    ["a list of objects", block({ verdict: "approve", parts: [{ a: 1 }] }), "parts must be a list of texts"],
  ])("that is wrong is told, with a question to send back: %s", (_what, result, problem) => {
    const read = readOutput(result, fields);
    expect(read).toMatchObject({ problem: expect.stringContaining(problem) });
    expect((read as { question: string }).question).toContain("do no further work");
  });
});

it("checks what is no text at once, for those who cannot wait", () => {
  expect(checkPlanValue({ steps: [first] }, options)).toHaveProperty("plan");
});

describe("the command of a merge", () => {
  const withCheck = (check: string, inputs: object = { command: "string", often: "integer" }) => ({
    inputs,
    steps: [
      { ...first, output: { parts: { type: "list" } } },
      {
        id: "build",
        run: "fix",
        needs: [first.id],
        from: first.id,
        for_each: `\${steps.${first.id}.output.parts}`,
        task: "Build ${item}",
      },
      { id: "join", merge: "build", needs: ["build"], check },
    ],
  });
  const commandOf = (check: string, inputs?: object) => {
    const checked = checkPlanValue(withCheck(check), { ...options, ...(inputs ? { inputs } : {}) });
    if ("problems" in checked) return checked.problems.map(({ message }) => message).join(" ");
    const join = checked.plan.steps.at(-1);
    return join?.kind === "merge" ? join.check : "no merge";
  };

  it("can be an input as a whole, and is that input's value once it is given", () => {
    expect(commandOf("${inputs.command}")).toBe("${inputs.command}");
    expect(commandOf("${inputs.command}", { command: " npm test " })).toBe("npm test");
    expect(commandOf("${inputs.command}", {})).toBeUndefined();
    expect(commandOf("${inputs.command}", { command: "echo ${inputs.command}" })).toBe(
      "echo ${inputs.command}",
    );
  });

  it("is the shell's otherwise, whatever it looks like", () => {
    for (const check of [
      "echo ${HOME}",
      "echo ${inputs.command}",
      `echo \${steps.${first.id}.result}`,
      "${HOME}/check",
    ])
      expect(commandOf(check, { command: "x" })).toBe(check);
  });

  it("cannot be an input that is no text, or that is not there", () => {
    expect(commandOf("${inputs.often}")).toContain("A command is a text");
    expect(commandOf("${inputs.comand}")).toContain('"command" may be meant');
  });
});
