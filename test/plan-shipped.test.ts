import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { capabilitiesOfApi } from "../src/plan-runner/api-capabilities.js";
import { openTemplates } from "../src/plan-templates/open-templates.js";
import { checkPlan } from "../src/plans/language/check-plan.js";
import { describeProblem } from "../src/plans/language/problems.js";
import { systemClock } from "../src/shared/clock.js";
import { carryOut as carryOutPlan, runsOf, type Story } from "./support/carried-out-plan.js";

/** The templates that come with the product, each carried out with the ways that it can take. */

const folder = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const TEMPLATES = readdirSync(folder("plans")).flatMap((file) => /^(.+)\.yaml$/.exec(file)?.[1] ?? []);
const WORKFLOWS = readdirSync(folder("workflows"));

async function read(name: string, inputs: object, cannot = {}) {
  const text = readFileSync(`${folder("plans")}/${name}.yaml`, "utf8");
  const checked = await checkPlan(text, { workflows: WORKFLOWS, inputs, cannot });
  if ("problems" in checked) throw new Error(checked.problems.map(describeProblem).join("\n"));
  return checked;
}

const carryOut = (name: string, story: Story) =>
  carryOutPlan(readFileSync(`${folder("plans")}/${name}.yaml`, "utf8"), story);

test.each(TEMPLATES)(
  "%s asks for nothing without saying what it is, and has limits of its own",
  async (name) => {
    const { plan } = await read(name, undefined as never);
    expect(plan.name).toBe(name);
    expect(plan.description).toBeTruthy();
    for (const field of Object.values(plan.inputs)) {
      expect(field.description).toBeTruthy();
      // What may be empty says so.
      const mayBeEmpty = /Empty for/.test(field.description ?? "");
      expect(field.required).toBe(field.default === undefined && !mayBeEmpty);
    }
    expect(plan.limits.costUsd).toBeGreaterThan(0);
  },
);

test.each(TEMPLATES)("%s says what an API lacks for it, and nothing else", async (name) => {
  const cannot = capabilitiesOfApi({
    state: () => ({ available: true, description: undefined }) as never,
    acceptsField: (field) => field !== "session_name",
    describesEndpoint: () => false,
  });
  const problems = await read(name, undefined as never, cannot).then(
    () => "",
    (error: Error) => error.message,
  );
  expect(
    problems.split("\n").filter((line) => !/This API (?:does not|takes no)|^ {2}Write:/.test(line)),
  ).toEqual([]);
  expect(problems).toMatch(/This API/);
});

test("ship-feature builds what was approved in parallel, merges it, and puts right what tests and review find", async () => {
  const { api, state } = await carryOut("ship-feature", {
    inputs: { feature: "the JWT login" },
    give: {
      architect: [{ parts: ["all"] }, { parts: ["tokens", "forms"] }],
      test: [{ defects: "found" }],
      review: [{ verdict: "changes" }, { verdict: "changes" }, { verdict: "approve" }],
    },
    decisions: [
      ["approve", "send-back", "Not in one part"],
      ["approve", "approve", "Mind the clock"],
    ],
  });
  const runs = runsOf(state);
  expect(runs.filter((run) => !["test", "review", "mend"].includes(run))).toEqual([
    ...["design", "> design", "build", "build", "fix", "recheck", "> fix", "recheck"],
  ]);
  expect(api.merged).toEqual([
    expect.stringMatching(/build-1-\w+ into .*join/),
    expect.stringMatching(/build-2-\w+ into .*join/),
  ]);
  const message = (workflow: string, at = 0) =>
    api.runs.filter((run) => run.workflow === workflow)[at]?.message;
  expect(message("architect", 1)).toMatch(/^Not in one part/);
  expect(message("implement")).toMatch(/tokens[\s\S]*Mind the clock/);
  expect(message("fix")).toMatch(/found defects[\s\S]*test says: done/);
  expect(message("fix", 1)).toMatch(/asks for changes[\s\S]*review says: done/);
  // What was mended is where the fix begins.
  const branch = state.steps.mend?.attempts[0]?.branch;
  expect(api.runs.find(({ message }) => message.includes("asks for changes"))?.from).toBe(branch);
});

test("ship-feature starts no agent to fix what nobody has found", async () => {
  const { state } = await carryOut("ship-feature", {
    inputs: { feature: "the JWT login" },
    give: { architect: [{ parts: ["all"] }], test: [{ defects: "none" }], review: [{ verdict: "approve" }] },
    decisions: [["approve", "approve"]],
  });
  expect(runsOf(state).sort()).toEqual(["build", "design", "review", "test"]);
  for (const step of ["mend", "fix", "recheck"]) expect(state.steps[step]?.status).toBe("skipped");
});

test("fix-bug asks when the defect cannot be made to happen, and goes on until tests and review agree", async () => {
  const { api, state, shown } = await carryOut("fix-bug", {
    inputs: { bug: "Logging in twice fails" },
    give: {
      test: [
        { reproduced: "no" },
        { reproduced: "yes" },
        { verdict: "fails" },
        { verdict: "holds" },
        { verdict: "holds" },
      ],
      review: [{ verdict: "changes" }, { verdict: "approve" }],
    },
    decisions: [["unclear", "send-back", "Only with Firefox"]],
  });
  expect(shown).toEqual([expect.stringMatching(/could not be made to happen/)]);
  expect(runsOf(state)).toEqual([
    ...[
      "reproduce",
      "> reproduce",
      "> fix",
      "> test",
      "> fix",
      "> test",
      "review",
      "> fix",
      "> test",
      "review",
    ],
  ]);
  // All of it lies on one branch, which the reviewer begins at.
  expect(api.runs.findLast(({ workflow }) => workflow === "review")?.from).toBe(
    state.steps.reproduce?.attempts[0]?.branch,
  );
});

test("review-panel puts three views of one change together", async () => {
  const { api, state } = await carryOut("review-panel", { inputs: {}, give: {} });
  expect(runsOf(state)).toEqual(["look", "look", "look", "summary"]);
  const messages = api.runs.map(({ message }) => message);
  expect(
    messages
      .slice(0, 3)
      .map((message) => /correctness|security|upkeep/.exec(message)?.[0])
      .sort(),
  ).toEqual([...["correctness", "security", "upkeep"]]);
  expect(messages[3]).toMatch(/## correctness[\s\S]*## security[\s\S]*## upkeep/);
});

test("review-panel asks Codex, too, where its workflow is offered, and takes no limit of the cost then", async () => {
  const open = (offered: readonly string[]) =>
    openTemplates({
      ...{ ownFolder: undefined, stateFolder: undefined, readsFolders: false, env: {}, clock: systemClock },
      offers: (workflow) => offered.includes(workflow),
    });
  expect((await open(["review"]).find("review-panel"))?.text).not.toContain("review-codex");
  const found = await open(["review", "review-codex"]).find("review-panel");
  const checked = await checkPlan(found?.text ?? "", { workflows: WORKFLOWS, inputs: {} });
  expect(checked).toMatchObject({ plan: { name: "review-panel" } });
  expect("plan" in checked && checked.plan.limits.costUsd).toBeUndefined();
  const { api, state } = await carryOutPlan(found?.text ?? "", { inputs: {}, give: {} });
  expect(runsOf(state).sort()).toEqual(["look", "look", "look", "second", "summary"]);
  const message = (workflow: string) => api.runs.findLast((run) => run.workflow === workflow)?.message;
  for (const view of ["correctness", "security", "upkeep"])
    expect(message("review-codex")).toContain(`- ${view}`);
  expect(message("review")).toMatch(/## upkeep[\s\S]*Codex, another model\s+review-codex says: done/);
});

test("variants are built apart from each other, and compared anew until the person chooses", async () => {
  const { api, state, shown } = await carryOut("variants", {
    inputs: { task: "Cache the list", ways: "In memory\nIn a file" },
    give: {
      implement: [{ branch: "way-1" }, { branch: "way-2" }],
      review: [{ best: "way-1" }, { best: "way-2" }],
    },
    decisions: [
      ["choose", "send-back", "It must outlive a restart"],
      ["choose", "approve"],
    ],
  });
  expect(runsOf(state)).toEqual(["build", "build", "compare", "> compare"]);
  expect(api.runs[2]?.message).toMatch(/- way-1\n- way-2/);
  expect(shown).toEqual([expect.stringMatching(/Choose way-1\?/), expect.stringMatching(/Choose way-2\?/)]);
  expect(new Set(state.steps.build?.attempts.map(({ branch }) => branch)).size).toBe(2);
});

test("issue-batch has a run and a branch for each issue, and one report of all", async () => {
  const { api, state } = await carryOut("issue-batch", {
    inputs: { issues: ["#1 It is slow", "#2 It is ugly", "#3 It is wrong"] },
    give: { fix: [{ branch: "one" }, { branch: "two" }, { branch: "three", state: "partly" }] },
  });
  expect(runsOf(state)).toEqual(["work", "work", "work", "report"]);
  expect(new Set(state.steps.work?.attempts.map(({ branch }) => branch)).size).toBe(3);
  expect(api.runs[3]?.message).toMatch(/- one\n- two\n- three[\s\S]*## #2 It is ugly/);
});

test("refactor-safely asks before code is changed that no test holds, and repeats what has changed behaviour", async () => {
  const { api, state, shown } = await carryOut("refactor-safely", {
    inputs: { target: "the parser", goal: "One place for each rule" },
    give: {
      test: [{ pinned: "partly" }, { verdict: "differs" }, { verdict: "same" }],
      review: [{ verdict: "approve" }],
    },
    decisions: [["risk", "approve", "Leave the lexer alone"]],
  });
  expect(shown).toEqual([expect.stringMatching(/Not all of what this code does is held by tests/)]);
  expect(runsOf(state)).toEqual(["pin", "> refactor", "> test", "> refactor", "> test", "review"]);
  expect(api.runs[1]?.message).toMatch(/Leave the lexer alone/);
});
