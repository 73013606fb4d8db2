import { describe, expect, it } from "vitest";
import { quoteTask } from "../src/integrations/quote-task.js";
import type { FormAnswerer } from "./support/harness.js";
import { ENGINE_KEY } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";
import { connectForPlans } from "./support/plan-chat.js";
import { cloneForPerson, openPullRequestPlace, type PullRequestPlace } from "./support/pull-request-place.js";

const COMMIT =
  'printf x > "$(basename "$PWD").txt" && git add . && git -c user.name=A -c user.email=a@b commit -qm "Add a part"';
const AGENT = [
  { tools: [{ name: "Bash", input: { command: COMMIT }, run: true }] },
  { text: "It is there." },
];

const ISSUE = {
  what: "GitHub issue acme/shop#12",
  url: "https://github.example/acme/shop/issues/12",
  title: "Log in fails",
};

/** One step that leaves a branch, and one that has taken it in. */
const PLAN = {
  name: "login",
  description: "Build the login, with a test",
  finish: "pull_request",
  steps: [
    { id: "build", run: "implement", task: "Build it" },
    { id: "test", run: "test", needs: ["build"], from: "build", task: "Test it" },
  ],
};

/** Allows what agents ask, and says this to all else. */
const person =
  (value: string): FormAnswerer =>
  ({ schema }) => ({
    action: "accept",
    content: "answer" in schema.properties ? { answer: "allow_once" } : { confirm: value },
  });

const connect = (place: PullRequestPlace, onForm: FormAnswerer, settings: Record<string, string> = {}) =>
  connectForPlans({
    onForm,
    env: place.env,
    settings: { BASE_URL: place.engine.url, API_KEY: ENGINE_KEY, ...settings },
  });

/** Two runs whose branches are merged into one of the plan's own. */
const MERGING = [
  { id: "build", run: "implement", for_each: "${inputs.parts}", task: "Build ${item}" },
  { id: "join", merge: "build", needs: ["build"] },
];

/** A plan in a folder of the person's own, to its end. */
async function beginInFolder(place: PullRequestPlace, steps: object[]) {
  const chat = await connect(place, person("yes"), { ENGINE: "local" });
  const inputs = { parts: { type: "list", default: ["one", "two"] } };
  const plan = JSON.stringify({ name: "login", finish: "pull_request", inputs, steps });
  const begun = await chat.call({
    ...{ action: "plan", plan, session_name: "login", wait_seconds: 80 },
    ...{ repository_url: cloneForPerson(place), git_branch: "" },
  });
  expect(begun.data, begun.text).toMatchObject({ outcome: "completed" });
  return begun;
}

describe("a plan that ends with a pull request", () => {
  it("asks before anything is begun, and opens one for the branch that has it all, with its steps and its cost", async () => {
    const place = await openPullRequestPlace({}, AGENT);
    const chat = await connect(place, person("yes"));
    const bug = quoteTask({ ...ISSUE, facts: [], body: "At Initech.", comments: [], hasMore: false }, "");
    const plan = JSON.stringify({ ...PLAN, inputs: { bug: { required: true } } });
    const begun = await chat.call({
      ...{ action: "plan", plan, inputs: JSON.stringify({ bug }), session_name: "login", wait_seconds: 60 },
      ...{ repository_url: place.address, git_branch: "" },
    });
    expect(chat.forms[0]?.message).toContain("open a pull request there when the plan succeeds");
    expect(begun.data).toMatchObject({ outcome: "completed", plan: { status: "completed" } });
    // It is looked at there, and not merged beside it.
    expect(begun.data.next_step).toBeUndefined();
    expect(begun.text).toMatch(/Pull requests:\n {2}automagik\/\S+: https:\/\/\S+\/pull\/1/);
    const pulls = [...place.shop.pulls.values()];
    expect(pulls).toMatchObject([{ title: "login", draft: true, base: "main" }]);
    const [pull] = pulls;
    expect(pull?.body).toContain(`Build the login, with a test\n\n- ${ISSUE.what}, ${ISSUE.url}\n`);
    expect(pull?.body).not.toContain("Initech");
    expect(pull?.body).toMatch(/- build \(succeeded\).*\n- test \(succeeded\)/);
    expect(pull?.body).toMatch(/\*\*Effort\*\*: 2 runs, \$0\.\d+/);
    const files = place.git(place.bare, "ls-tree", "--name-only", pull?.head ?? "").split("\n");
    expect(files).toHaveLength(3);
    // One branch and not two: the other one is in it.
    expect(place.branches()).toHaveLength(2);
  }, 60_000);

  it("opens one for each branch, also where two are asked of one run", async () => {
    const place = await openPullRequestPlace({}, AGENT);
    const begun = await beginInFolder(place, [
      ...MERGING,
      { id: "docs", run: "document", task: "Document it" },
    ]);
    const pulls = [...place.shop.pulls.values()].map(({ head, number }) => ({ head, number }));
    expect(pulls).toHaveLength(2);
    expect(new Set(pulls.map(({ head }) => head)).size).toBe(2);
    for (const { head, number } of pulls)
      expect(begun.text).toMatch(new RegExp(`${head}: \\S+/pull/${number}\\b`));
  }, 90_000);

  it("sends nothing to a session whose commits would not get to the merged branch", async () => {
    const place = await openPullRequestPlace({ watchPullRequests: "on" }, AGENT);
    await beginInFolder(place, MERGING);
    const [pull] = [...place.shop.pulls.values()];
    place.shop.addCheck(place.shop.headOf(pull?.head ?? "") ?? "", { name: "test", conclusion: "failure" });
    const { runs } = (await place.direct.get("/runs")).body as { runs: { run_id: string }[] };
    const statuses = await Promise.all(
      runs.map(({ run_id }) => statusThat(place.direct, run_id, () => true)),
    );
    const asked = statuses.find(({ pull_request }) => pull_request !== null)?.run_id;
    const chat = await connect(place, person("yes"));
    const answer = await chat.call({ action: "check_pr", run_id: asked });
    expect(answer.data, answer.text).toMatchObject({ outcome: "ok" });
    expect(answer.text).toContain("1 check has failed.");
    expect(answer.text).toContain("Nothing was sent.");
    expect((await place.direct.get("/runs")).body.runs).toHaveLength(runs.length);
    expect(place.shop.pulls.size).toBe(1);
    // What it says is of the plan, whose branch it is.
    const comments = [...place.shop.comments.values()].map(({ body }) => body);
    expect(comments).toEqual([
      expect.stringMatching(/\*\*Plan login\*\*[\s\S]*- join \(succeeded\)[\s\S]*2 runs/),
    ]);
  }, 90_000);

  it("begins nothing when the person does not want that", async () => {
    const place = await openPullRequestPlace({}, AGENT);
    const chat = await connect(place, person("no"));
    const begun = await chat.call({
      ...{ action: "plan", plan: JSON.stringify(PLAN), session_name: "login", wait_seconds: 0 },
      ...{ repository_url: place.address, git_branch: "" },
    });
    expect(begun.data).toMatchObject({ outcome: "declined" });
    expect((await place.direct.get("/runs")).body.runs).toHaveLength(0);
  });

  it("is completed all the same where none can be opened, and says why", async () => {
    const place = await openPullRequestPlace({ githubToken: "wrong" }, AGENT);
    const chat = await connect(place, person("yes"));
    const begun = await chat.call({
      ...{ action: "plan", plan: JSON.stringify(PLAN), session_name: "login", wait_seconds: 60 },
      ...{ repository_url: place.address, git_branch: "" },
    });
    expect(begun.data).toMatchObject({ outcome: "completed" });
    expect(begun.text).toContain("was not opened. GitHub does not take the token");
  }, 60_000);
});
