import { expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { type GitPlace, makeGitPlace } from "./support/git-place.js";
import { type FormAnswerer, until } from "./support/harness.js";
import { connectForPlans, type PlanChat } from "./support/plan-chat.js";

const sim = useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: { result: "Done", costUsd: 0.5 },
});
const runs = () => sim.api().world.runs();

const RELEASE = `description: Publish a version
inputs: { version: { type: string, required: true, description: Which version } }
steps:
  - { id: notes, run: document, task: "Write the notes of \${inputs.version}" }
  - { id: ok, gate: "Publish it?", needs: [notes] }
`;

/** A client that stands in a repository with a template of its own, beside an engine on the same machine. */
async function connectInRepository(
  onForm: FormAnswerer | undefined,
): Promise<PlanChat & { place: GitPlace }> {
  const place = makeGitPlace();
  onTestFinished(() => place.remove());
  place.commit(place.source, { ".automagik/plans/release.yaml": RELEASE });
  const chat = await connectForPlans({
    ...(onForm ? { onForm } : {}),
    ownFolders: [place.source],
    env: place.env,
    templates: { stateFolder: place.folder },
    locate: async () => ({ baseUrl: sim.baseUrl, apiKey: "test-key" }),
    settings: { ENGINE: "local" },
  });
  return { ...chat, place };
}

test("a repository's template is begun when the person has seen what its agents are told, and asked about once", async () => {
  const says = { confirm: "no" };
  const where = { repository_url: "", git_branch: "main" };
  const chat = await connectInRepository(({ schema }) => ({
    action: "accept",
    content: schema.properties.confirm ? says : { version: "1.2.0", session_name: "release-1", ...where },
  }));
  where.repository_url = chat.place.source;
  const listed = await chat.call({ action: "list_plans" });
  expect(listed.data.templates).toContainEqual(
    expect.objectContaining({
      name: "release",
      source: "repository",
      inputs: [{ name: "version", type: "string", required: true, description: "Which version" }],
    }),
  );
  const begin = () => chat.call({ action: "plan", plan: "release", wait_seconds: 0 });
  const refused = await begin();
  expect(refused.data.outcome, refused.text).toBe("declined");
  const [form, agreement] = chat.forms;
  expect(form?.message).toMatch(/^Begin the plan release: 1 run, at most \d+; [^\n]*\.\nPublish a version$/);
  expect(Object.keys(form?.schema.properties)).toEqual([
    "version",
    "session_name",
    "repository_url",
    "git_branch",
  ]);
  expect(agreement?.message).toMatch(
    /^Begin the plan release-1 \(1 run, at most \d+; [^\n)]*\) in [^\n]*\?\n/,
  );
  expect(agreement?.message).toContain("nobody has agreed to it yet");
  expect(agreement?.message).toContain("- notes (document): Write the notes of");
  expect(agreement?.message).toContain("- ok asks you: Publish it?");
  expect(runs()).toEqual([]);
  says.confirm = "yes";
  const begun = await begin();
  expect(begun.data.outcome, begun.text).toBe("started");
  expect(chat.forms).toHaveLength(4);
  await chat.call({ action: "kill", plan_id: begun.data.plan.plan_id });
  await begin();
  expect(chat.forms.filter(({ message }) => message.includes("nobody has agreed"))).toHaveLength(2);
});

test("a repository's template is the one of the place that the person names, or the plan is not begun", async () => {
  const where = { repository_url: "", git_branch: "main" };
  const chat = await connectInRepository(({ schema }) => ({
    action: "accept",
    content: schema.properties.confirm
      ? { confirm: "yes" }
      : { version: "1.2.0", session_name: "release-1", ...where },
  }));
  const { place } = chat;
  const begin = (more = {}) => chat.call({ action: "plan", plan: "release", wait_seconds: 0, ...more });
  const nowhere = await begin();
  expect(nowhere.text).toMatch(/would work in no repository\. Nothing was begun\./);

  where.repository_url = place.source;
  place.git(place.source, "checkout", "--quiet", "-b", "later");
  const path = ".automagik/plans/release.yaml";
  place.commit(place.source, { [path]: RELEASE.replace("Write the notes", "Write long notes") });
  // The client stands on the branch that has another text.
  const other = await begin();
  expect(other.isError).toBe(true);
  expect(other.text).toMatch(/where the plan would work it says something else \(the repository at commit/);
  const { next_step: next } = other.data;
  expect(next.arguments).toMatchObject({ repository_url: place.source, git_branch: "main" });
  expect(runs()).toEqual([]);
  expect(chat.forms.filter(({ message }) => message.includes("nobody has agreed"))).toEqual([]);

  const begun = await chat.call(next.arguments);
  expect(begun.data.outcome, begun.text).not.toBe("declined");
  await until(() => runs().length === 1);
  expect(runs()[0]?.message).toContain("Write the notes of 1.2.0");

  place.git(place.source, "rm", "--quiet", path);
  place.git(place.source, "checkout", "--quiet", "-b", "without");
  place.commit(place.source, { "other.md": "other\n" });
  place.git(place.source, "checkout", "--quiet", "later");
  where.git_branch = "without";
  const none = await begin({ session_name: "release-2" });
  expect(none.text).toMatch(/have none of that name\. Nothing was begun\./);
});

test("a template that there is not is told with those that there are", async () => {
  const chat = await connectInRepository(undefined);
  const { isError, text } = await chat.call({ action: "plan", plan: "relaese" });
  expect(isError).toBe(true);
  expect(text).toMatch(/There is no template "relaese"\. There are: .*release/);
});

test("a plan's template of this product is begun by its name, with its inputs as the form", async () => {
  const chat = await connectForPlans();
  const { data } = await chat.call({ action: "plan", plan: "fix-bug" });
  expect(data).toMatchObject({
    outcome: "input_required",
    missing: expect.arrayContaining([expect.objectContaining({ name: "bug", required: true })]),
    next_step: { arguments: { plan: "fix-bug", session_name: "fix-bug" } },
  });
});
