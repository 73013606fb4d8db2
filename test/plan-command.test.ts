import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { serveBranchingApi } from "./support/branching-api.js";
import { hasEnded, isAtGate, scriptOf } from "./support/driven-plans.js";
import { endAll } from "./support/one-machine.js";
import { createPlanTerminal, drivePlansOf } from "./support/plan-terminal.js";
import { openStoredPlans } from "./support/stored-plans.js";

// `plan …` in a terminal: through the published bin.

const SHIP = `
inputs: { feature: { type: string, required: true } }
limits: { runs: 5, cost_usd: 3 }
steps:
  - { id: design, run: architect, task: "Design \${inputs.feature}" }
  - { id: ok, gate: "Build this?", needs: [design] }
  - { id: build, run: implement, needs: [ok], continue: design, task: Build it }
  - { id: review, run: review, needs: [ok], from: design, task: Review it }
`;

it("checks a plan's file without an engine, and begins nothing", async () => {
  const { home, plan, file } = createPlanTerminal();
  expect(await plan(["check", file(SHIP)])).toEqual({
    code: 0,
    stdout: "Plan ship: no mistakes.\nSteps: design → ok → build, review\nRuns: 3, at most 5.\n",
    stderr: "",
  });
  const given = await plan(["check", file(SHIP), "--input", "feature=JWT=login", "--input", "risk=low"]);
  expect(given).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/no input "risk".*\n\n1 mistake\./s),
  });
  expect(existsSync(join(home, "engine", "engine.json"))).toBe(false);
  expect(existsSync(join(home, "automagik.db"))).toBe(false);
});

it("tells all mistakes of a file at once, each with its line and how it could be written", async () => {
  const { plan, file } = createPlanTerminal();
  const wrong = SHIP.replace("run: review", "run: reviw").replace("continue: design", "continue: desing");
  const { code, stdout } = await plan(["check", file(wrong)]);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /steps\[2\]\.continue \(step build, line 7\): .*desing.*\n {2}Write: continue: design/,
  );
  expect(stdout).toMatch(/steps\[3\]\.run \(step review, line 8\): .*reviw.*\n {2}Write: run: review/);
  expect(stdout).toMatch(/\n\n2 mistakes\. Nothing was begun\.\n$/);
});

it("says what is wrong with a file that is none, and with a command line that is wrong", async () => {
  const { home, plan, file } = createPlanTerminal();
  expect(await plan(["check", join(home, "no.yaml")])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/The plan's file is not there\. Nothing was begun/),
  });
  expect(await plan(["check", home])).toMatchObject({ code: 1, stderr: expect.stringMatching(/is none/) });
  expect(await plan(["check"])).toMatchObject({ code: 2 });
  expect(await plan(["check", file(SHIP), "--input", "feature"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--input: a name and a value are needed/),
  });
  expect(await plan(["chek"])).toMatchObject({ code: 2, stderr: expect.stringMatching(/plan check may be/) });
});

it("says that there are no plans, and makes no database for that", async () => {
  const { home, plan } = createPlanTerminal();
  expect(await plan(["list"])).toEqual({ code: 0, stdout: "No plans.\n", stderr: "" });
  expect(await plan()).toMatchObject({ code: 0, stdout: "No plans.\n" });
  expect(await plan(["show", "ship"])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/There is no plan "ship"\. .*Nothing was done\./),
  });
  expect(existsSync(join(home, "automagik.db"))).toBe(false);
});

const FEATURE = {
  name: "feature",
  limits: { runs: 8, cost_usd: 5 },
  steps: [
    { id: "design", run: "architect", task: "Design it" },
    {
      id: "ok",
      gate: "Build this?",
      needs: ["design"],
      show: "${steps.design.result}",
      back_to: { step: "design", max: 1 },
    },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};

it("shows what a plan waits for, sends it back, and approves what was shown", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const terminal = createPlanTerminal(api);
  const { plan } = terminal;
  const plans = await drivePlansOf(terminal, api);
  const planId = await plans.begin(FEATURE);
  await plans.until(planId, isAtGate);

  const list = (await plan(["list"])).stdout.split("\n");
  expect(list[0]).toMatch(/^NAME +STATE +RUNS +COST +BEGUN +CHANGED +PROGRESS$/);
  expect(list[1]).toMatch(
    /^feature +waits for you, \d+ s: ok: Build this\? +1\/8 +\$0\.50 of \$5\.00 +\d+ s ago +\d+ s ago +design ✓ · ok: waits for you$/,
  );
  const narrow = (await plan(["list"], { COLUMNS: "60" })).stdout.split("\n");
  expect(Math.max(...narrow.slice(0, 2).map((line) => line.length))).toBeLessThanOrEqual(60);

  const shown = await plan(["show", "feature"]);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(
    /^Plan feature \([\w-]{36}\): waiting\n\nNeeds you:\n {2}ok, \d+ s: Build this\?\n {4}automagik-workflows-mcp plan approve feature ok\n {4}automagik-workflows-mcp plan send-back feature ok "what should change"\n\nSTEP +KIND +STATE/,
  );
  expect(shown.stdout).toMatch(/\ndesign +run +succeeded: A design\..* +1 +\d+ +\$0\.50 +\S+\n/);
  expect(shown.stdout).toMatch(/\nRuns started: 1 of 8\. Cost: \$0\.50 of \$5\.00\.\n$/);

  const unasked = await plan(["approve", "feature"]);
  expect(unasked.code).toBe(1);
  expect(unasked.stdout).toMatch(
    /^ok: Build this\?\n\n1 commit, .*\n> A design\.[\s\S]*Before it:\n- design succeeded\n/,
  );
  expect(unasked.stdout).toMatch(/Nobody can be asked here\. Nothing was decided\. --yes does it/);

  const back = await plan(["send-back", "feature", "Smaller, please"]);
  expect(back).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nSent back at gate ok: Smaller, please\. /),
  });
  await plans.until(planId, (state) => isAtGate(state) && state.steps.ok?.sentBack === 1);
  expect(api.runs.at(-1)?.message).toContain("Smaller, please");
  expect(await plan(["send-back", "feature", "ok", "Even smaller"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/cannot send back \(any more\).*Nothing was decided/),
  });

  expect(await plan(["approve", planId, "ok", "--yes"])).toMatchObject({ code: 0 });
  await plans.until(planId, hasEnded);
  expect(api.runs.map(({ workflow }) => workflow)).toEqual(["architect", "architect", "implement"]);
  expect(await plan(["approve", "feature", "--yes"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/is completed and waits for no decision\. Nothing was decided/),
  });
  expect((await plan(["show", "feature"])).stdout).toMatch(/: completed\n/);
}, 60_000);

it("follows a plan for as long as it goes on, also while nothing happens", async () => {
  const api = await serveBranchingApi({ script: scriptOf });
  const terminal = createPlanTerminal(api);
  const plans = await drivePlansOf(terminal, api);
  const planId = await plans.begin(FEATURE);
  await plans.until(planId, isAtGate);
  const following = terminal.plan(["show", "feature", "--follow"]);
  // Each command takes as long as the pause between two looks at the plan, or longer.
  for (const _ of [1, 2]) await terminal.plan(["list"]);
  await terminal.plan(["approve", "feature", "--yes"]);
  expect(await following).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nbuild: succeeded[\s\S]*\nPlan feature \([\w-]{36}\): completed\n/),
  });
}, 60_000);

it("follows a plan to its end though the process dies meanwhile that carries it out", async () => {
  const api = await serveBranchingApi({ script: () => ({ manual: true }), keepsKeys: true });
  const terminal = createPlanTerminal(api);
  const plans = await openStoredPlans(terminal.home, api.url);
  const planId = await plans.begin({ name: "one", steps: [{ id: "design", run: "fix", task: "Go" }] });
  const following = terminal.begin(["show", "one", "--follow"]);
  await plans.until(planId, ({ steps }) => steps.design?.attempts[0]?.runId !== undefined);
  const driver = plans.driverPid();
  endAll([driver]);
  api.world.run(api.world.runs()[0]?.runId ?? "").complete({ result: "Done", commits: ["Design it"] });
  expect(await following.ended()).toBe(0);
  expect(following.stdout()).toMatch(/\nPlan one \([\w-]{36}\): completed\n/);
  expect(plans.driverPid()).not.toBe(driver);
  expect(api.posts).toBe(1);
}, 60_000);

it("agrees to a fan-out, pauses and goes on, changes limits and steps, and ends a plan after asking", async () => {
  const { steps } = FEATURE;
  const api = await serveBranchingApi({
    script: ({ workflowName }) => ({
      result: workflowName === "architect" ? 'A design.\n```json\n{"parts": ["one", "two"]}\n```' : "Done.",
      manual: workflowName === "implement",
      costUsd: 0.5,
    }),
  });
  const terminal = createPlanTerminal(api);
  const { plan, file } = terminal;
  const plans = await drivePlansOf(terminal, api);
  const fanOut = {
    name: "parts",
    steps: [
      { ...steps[0], output: { parts: { type: "list" } } },
      {
        id: "build",
        run: "implement",
        needs: ["design"],
        for_each: "${steps.design.output.parts}",
        task: "${item}",
      },
      { id: "test", run: "test", needs: ["build"], task: "Test it" },
    ],
  };
  const planId = await plans.begin(fanOut, { agreeAbove: { runs: 1 } });
  await plans.until(planId, (state) => state.steps.build?.status === "waiting");
  const unasked = await plan(["approve", "parts"]);
  expect(unasked).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^build: .*2 runs.*\n\nNobody can/s),
  });
  expect(await plan(["approve", "parts", "--yes"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nAgreed to the runs of step build\. /),
  });
  await plans.until(planId, (state) => state.steps.build?.going === 2);

  expect((await plan(["pause", "parts"])).stdout).toMatch(
    /^Paused: nothing new .*own end: 2\.\n.*parts .* is paused/,
  );
  expect(await plan(["pause", "parts"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/is paused already/),
  });
  expect((await plan(["show", "parts"])).stdout).toMatch(/: paused\n[\s\S]*\n {2}one +.*running/);
  expect(await plan(["resume", "parts"])).toMatchObject({ code: 0 });

  expect((await plan(["limits", "parts", "--cost", "30", "--runs=40"])).stdout).toMatch(
    /^Changed: version 2 of the plan\.\nLimits: .*40 runs.*\$30/,
  );
  expect(await plan(["limits", "parts", "--runs", "many"])).toMatchObject({ code: 2 });
  expect(await plan(["limits", "parts"])).toMatchObject({ code: 2 });

  const edited = {
    ...fanOut,
    steps: [...fanOut.steps.slice(0, 2), { id: "join", merge: "build", needs: ["build"], check: "npm test" }],
  };
  const path = file(JSON.stringify(edited), "edited.json");
  const refused = await plan(["edit", "parts", path, "--yes"]);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(
    /has to agree first: Change the plan parts.*\. Nothing was changed\.[\s\S]*\nNew step: join\.\nDropped step: test\./,
  );
  expect(refused.stdout).toMatch(
    /\nRun `npm test` on the engine's machine[\s\S]*These flags say it:\n {2}--agree 'npm test'\n$/,
  );
  expect(await plan(["edit", "parts", path, "--yes", "--agree", "npm test"])).toMatchObject({ code: 0 });
  const begun = { ...edited, steps: [{ ...edited.steps[0], task: "Another" }, ...edited.steps.slice(1)] };
  expect(await plan(["edit", "parts", file(JSON.stringify(begun), "begun.json"), "--yes"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Step design has begun, so it cannot be another one now/),
  });

  expect(await plan(["skip", "parts", "build"])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Step build goes on\..*Nothing was changed/),
  });
  const kill = await plan(["kill", "parts"]);
  expect(kill).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(
      /first: Kill the plan parts \(2 runs go on.*\n\nNobody can be asked here\. --yes does it/s,
    ),
  });
  expect(await plan(["kill", "parts", "--yes"])).toMatchObject({ code: 0 });
  await plans.until(planId, (state) => Object.values(state.steps).every(({ going }) => going === 0));
  expect(api.kills).toHaveLength(2);
  expect((await plan(["show", "parts"])).stdout).toMatch(/: killed\n/);
}, 60_000);
