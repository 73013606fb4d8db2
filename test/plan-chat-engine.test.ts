import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import type { InMemoryOptions, ShownForm } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine } from "./support/local-engine.js";
import { connectForPlans } from "./support/plan-chat.js";

// The real engine with a scripted agent and real git: what its agents ask, and what a gate shows of their commits.

/** With a part that nobody can read beforehand, so that the agent has to ask. */
const COMMIT =
  'printf login > "$(basename "$PWD").txt" && git add . && git -c user.name=A -c user.email=a@b commit -qm "Add the login"';
const AGENT = JSON.stringify([
  { tools: [{ name: "Bash", input: { command: COMMIT }, run: true }] },
  { text: "The login is there." },
]);

const PLAN = {
  name: "login",
  steps: [
    { id: "build", run: "implement", task: "Build the login" },
    { id: "good", gate: "Is it good?", needs: ["build"] },
  ],
};

let place: GitPlace;
let engine: LocalEngine;
beforeAll(async () => {
  place = makeGitPlace();
  const allowed = { engineAllowedFolders: [place.source] };
  engine = await startLocalEngine(place.folder, allowed, { SCRIPTED_AGENT: AGENT });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

const connect = (options: InMemoryOptions = {}) =>
  connectForPlans({
    env: place.env,
    ownFolders: [place.source],
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY },
    ...options,
  });

test("what an agent asks in a step, and then the gate with what it has committed, are put to the person in one call", async () => {
  const forms: ShownForm[] = [];
  const chat = await connect({
    onForm: (form) => {
      forms.push(form);
      const { decision } = form.schema.properties;
      return { action: "accept", content: decision ? { decision: "approve" } : { answer: "allow_once" } };
    },
  });
  const told: string[] = [];
  const { data, text } = await chat.call(
    { action: "plan", plan: PLAN, repository_url: place.source, git_branch: "", wait_seconds: 40 },
    { onprogress: ({ message = "" }) => told.push(message) },
  );
  expect(data.outcome, text).toBe("completed");
  expect(forms, text + JSON.stringify(told)).toHaveLength(2);
  expect(forms[0]?.message).toContain(COMMIT);
  expect(forms[1]?.message).toMatch(
    /^login: Is it good\?\n1 commit, 1 file, \+1 -0, on \S+: Add the login\nbuild, its agent's words:\n> The login is there\.\n\nBefore it:\n- build succeeded\n\n1 commit on \S+:\n- \w+ Add the login\nLook: git diff main\.\.\.\S+$/,
  );
  expect(
    told.some(
      (message) => message.startsWith("build: Waiting for permission") || message.includes("wants to run"),
    ),
  ).toBe(true);
  const [{ branch, look }] = data.plan.work;
  expect(place.git(place.source, "log", "-1", "--format=%s", branch)).toBe("Add the login");
  expect(look).toContain(branch);
});

test("whoever answers an agent by a look at the plan is told how it stands with the answer", async () => {
  const chat = await connect({
    onForm: () => ({ action: "accept", content: { answer: "allow_once" } }),
  });
  const plan = { ...PLAN, name: "looked-at", steps: PLAN.steps.slice(0, 1) };
  const where = { repository_url: place.source, git_branch: "" };
  const { data } = await chat.call({ action: "plan", plan, ...where, wait_seconds: 0 });
  const { plan_id } = data.plan;
  await expect
    .poll(async () => (await chat.follow(plan_id, 0)).data.plan.status, { timeout: 60_000 })
    .toBe("waiting");
  const looked = await chat.call({ action: "status", plan_id });
  expect(chat.forms).toHaveLength(1);
  expect(looked.data.outcome, looked.text).not.toBe("input_required");
  expect(looked.data.plan.waiting_for).toEqual([]);
});

test("without forms the agent's question is in the plan's answer, and is answered by the plan", async () => {
  const chat = await connect();
  const plan = { ...PLAN, name: "other", steps: PLAN.steps.slice(0, 1) };
  const asked = await chat.call({
    action: "plan",
    plan,
    repository_url: place.source,
    git_branch: "",
    wait_seconds: 40,
  });
  expect(asked.data.outcome, asked.text).toBe("input_required");
  const { plan_id, waiting_for } = asked.data.plan;
  expect(waiting_for).toMatchObject([{ step: "build", kind: "question" }]);
  expect(asked.text).toMatch(/^Its agent asks since .*, step build: /);
  const answer = { action: "answer", plan_id, step: "build", answer: "allow_once" };
  // What permits something needs the person's word here, too.
  const unasked = await chat.call({ ...answer, confirm: true });
  expect(unasked.data.outcome).toBe("input_required");
  const answered = await chat.call(unasked.data.next_step.arguments);
  expect(answered.data, answered.text).toMatchObject({ outcome: "ok", run: { session_name: "other-build" } });
  const end = await chat.follow(plan_id, 40);
  expect(end.data.outcome, end.text).toBe("completed");
});

test("a plan's branches begin at the one that was named, and all of its work is taken there in one step", async () => {
  place.git(place.source, "branch", "next");
  const chat = await connect({
    onForm: ({ schema: { properties } }) => ({
      action: "accept",
      content: properties.confirm ? { confirm: "yes" } : { answer: "allow_once" },
    }),
  });
  const plan = {
    name: "parts",
    inputs: { parts: { type: "list", default: ["one", "two"] } },
    steps: [
      // Both at the same time, which they could not be on the branch itself.
      { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
      { id: "join", merge: "build", needs: ["build"] },
      { id: "skip", run: "fix", from: "join", needs: ["join"], when: "${steps.join.outcome} == failed" },
      { id: "polish", run: "fix", from: "skip", needs: ["skip"], task: "Polish it" },
    ],
  };
  const where = { repository_url: place.source, git_branch: "next" };
  const { data, text } = await chat.call({ action: "plan", plan, ...where, wait_seconds: 40 });
  expect(data.outcome, text).toBe("completed");
  const files = (branch: string) => place.git(place.source, "ls-tree", "--name-only", branch).split("\n");
  expect(files("next")).toEqual(["readme.md"]);
  // What was built before it is in the last branch, and is told of with it.
  const [{ branch, look }, ...others] = data.plan.work;
  expect(others).toEqual([]);
  expect(look).toBe(`git diff next...${branch}`);
  const { action, run_id, into } = data.next_step.arguments;
  expect({ action, into }).toEqual({ action: "take", into: "next" });
  const taken = await chat.call({ action, run_id, into });
  expect(taken.data.outcome, taken.text).toBe("ok");
  expect(chat.forms.at(-1)?.message).toMatch(
    /It began at automagik\/parts-join\S+: what that has and next has not is merged as well\./,
  );
  expect(files("next")).toEqual([
    "readme.md",
    "source-parts-build-1.txt",
    "source-parts-build-2.txt",
    "source-parts-polish.txt",
  ]);
  const { data: after } = await chat.call({ action: "status", plan_id: data.plan.plan_id });
  expect(after).not.toHaveProperty("next_step");
});

test("of several runs of one step that ask at the same time, without forms, each is answered by its number", async () => {
  const chat = await connect();
  const steps = [{ ...PLAN.steps[0], for_each: "${inputs.parts}" }];
  const plan = { name: "asking", inputs: { parts: { type: "list", default: ["one", "two"] } }, steps };
  const where = { repository_url: place.source, git_branch: "" };
  let { data, text } = await chat.call({ action: "plan", plan, ...where, wait_seconds: 40 });
  const { plan_id } = data.plan;
  const asks = () => data.plan.waiting_for.map(({ step }: { step: string }) => step).sort();
  while (asks().length < 2) ({ data, text } = await chat.follow(plan_id, 1));
  expect(asks()).toEqual(["build/1", "build/2"]);
  expect(text).toContain("Its agent asks");
  const answer = { action: "answer", plan_id, answer: "allow_once", confirm: true };
  expect((await chat.call({ ...answer, step: "build" })).text).toMatch(
    /Several things wait for an answer; say which .*: build\/1 \(its agent asks\), build\/2/,
  );
  for (const step of ["build/2", "build/1"]) {
    // The person's word is for a question that they were shown.
    const shown = await chat.call({ ...answer, step });
    expect(shown.data.outcome).toBe("input_required");
    const answered = await chat.call(shown.data.next_step.arguments);
    expect(answered.data.run.session_name).toBe(`asking-${step.replace("/", "-")}`);
  }
  expect((await chat.follow(plan_id, 40)).data.outcome).toBe("completed");
});

test("a repository that is allowed once, for this plan, is asked about by the next plan again, and by none of its runs", async () => {
  const other = makeGitPlace();
  const says = { allow: "once" };
  onTestFinished(() => other.remove());
  const chat = await connect({
    ownFolders: [other.source],
    onForm: ({ schema }) => ({
      action: "accept",
      content: schema.properties.allow ? says : { answer: "allow_once" },
    }),
  });
  const steps = [
    { id: "build", run: "implement", task: "Build the login" },
    { id: "review", run: "review", task: "Look at it" },
  ];
  const where = { repository_url: other.source, git_branch: "", wait_seconds: 40 };
  const asked = () => chat.forms.filter(({ schema }) => schema.properties.allow);
  const first = await chat.call({ action: "plan", plan: { name: "once", steps }, ...where });
  expect(first.data.outcome, first.text).toBe("completed");
  expect(first.data.plan.runs.started).toBe(2);
  expect(asked()).toHaveLength(1);
  expect(asked()[0]?.schema.properties.allow.oneOf).toContainEqual({
    const: "once",
    title: "Once: for this plan",
  });
  says.allow = "no";
  const second = await chat.call({ action: "plan", plan: { name: "again", steps }, ...where });
  expect(second.data.outcome, second.text).toBe("declined");
  expect(asked()).toHaveLength(2);
});

test("the form that begins a plan says on its second line what is not committed and stays out", async () => {
  place.write(place.source, "own.txt", "mine\n");
  onTestFinished(() => void place.git(place.source, "clean", "--quiet", "--force"));
  const chat = await connect({ onForm: () => ({ action: "decline" }) });
  const { data } = await chat.call({ action: "plan", plan: { ...PLAN, name: "loose" } });
  expect(data.outcome).toBe("declined");
  const [first, second] = chat.forms[0]?.message.split("\n") ?? [];
  expect(first).toMatch(/^Begin the plan loose: /);
  expect(second).toMatch(
    /^Your 1 uncommitted change in \S+, on \S+ stays out: own\.txt\. To have it in the plan, commit it first, and begin it then\.$/,
  );
  expect(Object.keys(chat.forms[0]?.schema.properties ?? {})).not.toContain("uncommitted");
});
