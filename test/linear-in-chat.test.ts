import { describe, expect, it, onTestFinished } from "vitest";
import { serveFakeLinear } from "../mocks/integrations/linear.js";
import { serveSimulatedApi } from "../mocks/serve.js";
import { listTargets } from "../src/integrations/list-targets.js";
import { createNotifier } from "../src/notices/notifier.js";
import { createSecrets } from "../src/settings/secrets.js";
import { systemClock } from "../src/shared/clock.js";
import { temporaryFolder } from "./support/bin.js";
import {
  COMPLETE,
  connectInMemory,
  type FormAnswerer,
  type ShownForm,
  silentLog,
  testSettings,
  until,
} from "./support/harness.js";

const KEY = "lin_api_of_the_test";

/** A window on a simulated API and a fake Linear with two teams, with its own state folder. */
async function openWindow(
  options: {
    onForm?: FormAnswerer;
    folder?: string;
    linear?: Awaited<ReturnType<typeof openLinear>>;
    key?: string;
  } = {},
) {
  const { onForm, folder = temporaryFolder(), key = KEY } = options;
  const linear = options.linear ?? (await openLinear());
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual" });
  onTestFinished(() => served.close());
  const own = { BASE_URL: served.url, LINEAR_URL: linear.fake.url, ...(key ? { LINEAR_API_KEY: key } : {}) };
  const settings = testSettings(own);
  const secrets = createSecrets({ settings, env: {}, home: folder });
  const targets = listTargets({ settings, secrets, env: {}, clock: systemClock, log: silentLog });
  const notifier = createNotifier({ folder, channels: [], targets, clock: systemClock, log: silentLog });
  const window = await connectInMemory({
    settings: own,
    secrets,
    notifier,
    templates: { stateFolder: folder },
    plans: { folder, upstream: "the API" },
    ...(onForm ? { onForm } : {}),
  });
  const run = (given: Record<string, unknown>) => window.call({ ...COMPLETE, wait_seconds: 0, ...given });
  return { ...window, ...linear, api: served.api, url: served.url, folder, run };
}

async function openLinear() {
  const fake = await serveFakeLinear({ key: KEY });
  onTestFinished(() => fake.close());
  const design = fake.world.addTeam("DES", "Design");
  const team = fake.world.addTeam("ENG", "Engineering", ["Checkout", "Search"]);
  return { fake, team, design };
}

/** Answers each form by its fields, and keeps what was filled in beforehand. */
function answering(values: Record<string, string>, seen: Record<string, unknown> = {}): FormAnswerer {
  return ({ schema }: ShownForm) => {
    const fields = (schema as { properties: Record<string, { default?: unknown }> }).properties;
    for (const [name, field] of Object.entries(fields)) seen[name] = field.default;
    return {
      action: "accept",
      content: Object.fromEntries(Object.keys(fields).map((name) => [name, values[name] ?? ""])),
    };
  };
}

const messageOf = (api: Awaited<ReturnType<typeof openWindow>>["api"]) =>
  (api.posts("/run/")[0]?.body as { message?: string } | undefined)?.message;

describe("an issue of Linear as the task", () => {
  it("is shown, sent quoted, and told how the run goes, at an API that does not do so itself", async () => {
    const window = await openWindow({ onForm: answering({ confirm: "yes" }) });
    const { run, forms, api, fake, team } = window;
    const issue = fake.world.addIssue(team, "Log in fails", { description: "Since Monday." });
    const { data, text } = await run({ message: "ENG-123\nOnly in the browser." });
    expect(data).toMatchObject({ outcome: "started" });
    expect(text).toContain("ENG-123 in Linear is told how it goes.");
    expect(forms[0]?.message).toContain("Since Monday.");
    expect(messageOf(api)).toMatch(
      /Linear issue ENG-123[\s\S]*Only in the browser\.[\s\S]*=====[\s\S]*Since Monday\./,
    );
    await until(() => issue.moves.length === 1 && issue.comments.length === 1, "the issue to be told");
    api.world.run(data.run.run_id).complete({ result: "It was the cookie" });
    await until(() => issue.comments[0]?.body.includes("It was the cookie") === true, "the end");
    expect([issue.moves, issue.comments.length]).toEqual([["In Progress"], 1]);
  });

  it("hears of the end from the next window that looks, where the first was closed before", async () => {
    const first = await openWindow({ onForm: answering({ confirm: "yes" }) });
    const { fake, team, folder, api } = first;
    const issue = fake.world.addIssue(team, "Log in fails");
    const { data } = await first.run({ message: "ENG-123" });
    await until(() => issue.comments.length === 1, "the comment");
    await first.server.close(0);
    api.world.run(data.run.run_id).fail("The build is broken");
    const secrets = createSecrets({
      settings: { linearApiKey: KEY, linearUrl: fake.url },
      env: {},
      home: folder,
    });
    const parts = { settings: { linearUrl: fake.url }, secrets, env: {}, clock: systemClock, log: silentLog };
    const notifier = createNotifier({
      folder,
      channels: [],
      targets: listTargets(parts),
      clock: systemClock,
      log: silentLog,
    });
    const next = await connectInMemory({ settings: { BASE_URL: first.url }, notifier });
    await next.call({ action: "status", run_id: data.run.run_id });
    await until(() => issue.comments[0]?.body.includes("The build is broken") === true, "the failure");
    expect(issue.comments).toHaveLength(1);
  });

  it("is not read where no key is set: then it is a message like others", async () => {
    const { run, api, fake } = await openWindow({ key: "" });
    expect((await run({ message: "ENG-123" })).data.outcome).toBe("started");
    expect(messageOf(api)).toBe("ENG-123");
    expect(fake.operations).toEqual([]);
  });
});

describe("an issue that is made with a start", () => {
  it("is asked for by two forms with ids, the last choice filled in, and made once the rest is settled", async () => {
    const linear = await openLinear();
    const folder = temporaryFolder();
    const { team } = linear;
    const search = team.projects[1]?.id ?? "";
    const first = await openWindow({ linear, folder, onForm: answering({ team: team.id, project: search }) });
    const { data, text } = await first.run({
      issue: "new",
      message: "Mend the log-in\n\nIt fails since Monday.",
    });
    expect(data.outcome).toBe("started");
    expect(
      first.forms.map(({ schema }) => Object.keys((schema as { properties: object }).properties)),
    ).toEqual([["team"], ["project"]]);
    const made = linear.fake.world.issue("ENG-123");
    expect(made).toMatchObject({ title: "Mend the log-in", project: { name: "Search" } });
    expect(made.description).toContain("It fails since Monday.");
    expect(text).toContain(`ENG-123 was made in Linear (${made.url}) and is told how it goes.`);
    const seen: Record<string, unknown> = {};
    const next = await openWindow({
      linear,
      folder,
      onForm: answering({ team: team.id, project: "none" }, seen),
    });
    await next.run({ issue: "new", session_name: "other" });
    expect(seen).toEqual({ team: team.id, project: search });
    expect(linear.fake.world.issue("ENG-124").project).toBeUndefined();
  });

  it("is named by ids in a client without forms, never by names", async () => {
    const { run, team, design, fake } = await openWindow();
    const asked = await run({ issue: "new" });
    expect(asked.data).toMatchObject({
      outcome: "input_required",
      missing: [
        {
          name: "issue",
          choices: [{ value: `new ${design.id}` }, { value: `new ${team.id}`, title: "Engineering (ENG)" }],
        },
      ],
    });
    const byName = await run({ issue: "new Engineering" });
    expect(byName.isError).toBe(true);
    expect(byName.text).toContain("its id is needed, not its name");
    const second = await run({ issue: `new ${team.id}` });
    expect(second.data.missing[0].choices[0]).toMatchObject({
      value: `new ${team.id} none`,
      title: "No project",
    });
    expect(fake.world.issues).toEqual([]);
    expect((await run({ issue: `new ${team.id} none` })).data.outcome).toBe("started");
    expect(fake.world.issues).toHaveLength(1);
  });

  it("is made once, also when the answer is lost", async () => {
    const { run, team, fake } = await openWindow();
    fake.fail("CreateIssue", { kind: "status", status: 502 }, { kind: "status", status: 502 });
    const lost = await run({ issue: `new ${team.id} none` });
    expect(lost.text).toContain("is not known");
    expect(lost.text).toContain("No run was started.");
    fake.fail("CreateIssue", { kind: "status", status: 502 });
    expect((await run({ issue: `new ${team.id} none`, session_name: "b" })).data.outcome).toBe("started");
    expect(fake.world.issues).toHaveLength(1);
  });

  it("is not made when Linear refuses it, and no run is started", async () => {
    const { run, team, fake, api } = await openWindow();
    const message = "You've exceeded the free issue limit for this workspace.";
    fake.fail("CreateIssue", {
      kind: "errors",
      code: "USAGE_LIMIT_EXCEEDED",
      type: "usage limit exceeded",
      userError: true,
      message,
    });
    const refused = await run({ issue: `new ${team.id} none` });
    expect(refused.text).toContain(message);
    expect(fake.operations.filter((name) => name === "CreateIssue")).toHaveLength(1);
    expect(api.posts("/run/")).toEqual([]);
  });

  it("is told in the answer when the run could not be started", async () => {
    const { run, team, api, fake } = await openWindow();
    api.fault({ method: "POST" }, { status: 400, body: { detail: "No such thing" } });
    const failed = await run({ issue: `new ${team.id} none` });
    expect(failed.isError).toBe(true);
    expect(failed.text).toContain("The issue ENG-123 was made before");
    expect(fake.world.issues).toHaveLength(1);
  });
});

it("a plan is about the issue that one of its inputs names, and tells it of its steps", async () => {
  const window = await openWindow({ onForm: answering({ confirm: "yes", session_name: "log-in" }) });
  const { fake, team, api } = window;
  const issue = fake.world.addIssue(team, "Log in fails", { description: "Since Monday." });
  const plan = {
    name: "mend",
    inputs: { bug: { description: "What is wrong" } },
    steps: [{ id: "fix", run: "fix", task: "Mend this: ${inputs.bug}" }],
  };
  const { data } = await window.call({
    action: "plan",
    plan: JSON.stringify(plan),
    inputs: JSON.stringify({ bug: "ENG-123" }),
    ...{ session_name: "log-in", repository_url: "", git_branch: "", wait_seconds: 0 },
  });
  expect(data.outcome).toBe("started");
  await until(() => issue.comments[0]?.body.includes("- [ ]") === true, "the comment");
  expect(messageOf(api)).toContain("Since Monday.");
  const [run] = api.world.runs();
  api.world.run(run?.runId ?? "").complete({ result: "It was the cookie" });
  await until(() => issue.comments[0]?.body.includes("finished") === true, "the end");
  expect(issue.comments[0]?.body).toMatch(/\*\*Plan log-in: finished\*\*[\s\S]*- \[x\] fix/);
  expect([issue.moves, issue.comments.length]).toEqual([["In Progress"], 1]);
});

it("a list among a plan's inputs names issues as well: they are shown at once, and each is the task of its own run", async () => {
  const window = await openWindow({ onForm: answering({ confirm: "yes", session_name: "batch" }) });
  const { fake, team, api, forms } = window;
  fake.world.addIssue(team, "Log in fails", { description: "Since Monday." });
  fake.world.addIssue(team, "Log out fails", { description: "Since Tuesday." });
  const plan = {
    name: "batch",
    inputs: { issues: { type: "list", description: "The issues" } },
    limits: { runs: 40 },
    steps: [{ id: "work", run: "fix", for_each: "${inputs.issues}", task: "Work on this: ${item}" }],
  };
  const { data } = await window.call({
    action: "plan",
    plan: JSON.stringify(plan),
    inputs: JSON.stringify({ issues: ["ENG-123", "The title is misspelt", "ENG-124"] }),
    ...{ session_name: "batch", repository_url: "", git_branch: "", wait_seconds: 0 },
  });
  expect(data.outcome).toBe("started");
  const shown = forms.filter(({ message }) => message.includes("Others have written it."));
  expect(shown).toHaveLength(1);
  expect(shown[0]?.message).toMatch(/2 issues[\s\S]*ENG-123[\s\S]*Since Monday\.[\s\S]*Since Tuesday\./);
  await until(() => api.posts("/run/").length === 3, "all three");
  const many = JSON.stringify({ issues: Array.from({ length: 31 }, (_, index) => `ENG-${index + 1}`) });
  const refused = await window.call({
    ...{ action: "plan", plan: JSON.stringify(plan), inputs: many, session_name: "many" },
    ...{ repository_url: "", git_branch: "", wait_seconds: 0 },
  });
  expect(refused.text).toContain("at most 30 are read at once. Nothing was sent.");
  const sent = api.posts("/run/").map(({ body }) => (body as { message: string }).message);
  for (const text of ["Since Monday.", "Since Tuesday.", "Work on this: The title is misspelt"])
    expect(sent.filter((message) => message.includes(text))).toHaveLength(1);
});
