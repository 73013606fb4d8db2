import { expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { makeGitPlace } from "./support/git-place.js";
import type { FormAnswerer } from "./support/harness.js";
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
async function connectInRepository(onForm: FormAnswerer | undefined): Promise<PlanChat> {
  const place = makeGitPlace();
  onTestFinished(() => place.remove());
  place.commit(place.source, { ".automagik/plans/release.yaml": RELEASE });
  return connectForPlans({
    ...(onForm ? { onForm } : {}),
    ownFolders: [place.source],
    env: place.env,
    templates: { stateFolder: place.folder },
    locate: async () => ({ baseUrl: sim.baseUrl, apiKey: "test-key" }),
    settings: { ENGINE: "local" },
  });
}

test("a repository's template is begun when the person has seen what its agents are told, and asked about once", async () => {
  const says = { confirm: "no" };
  const chat = await connectInRepository(({ schema }) =>
    schema.properties.confirm
      ? { action: "accept", content: says }
      : {
          action: "accept",
          content: { version: "1.2.0", session_name: "release-1", repository_url: "", git_branch: "" },
        },
  );
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
  expect(form?.message).toBe("Begin the plan release: Publish a version");
  expect(Object.keys(form?.schema.properties)).toEqual([
    "version",
    "session_name",
    "repository_url",
    "git_branch",
  ]);
  expect(agreement?.message).toMatch(/^Begin the plan release-1 \(1 run, cost unknown\)\?/);
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
