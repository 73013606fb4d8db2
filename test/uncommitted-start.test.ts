import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { createContractClient } from "./contract/upstream.js";
import { copyRepository } from "./support/git-place.js";
import { COMPLETE, connectInMemory, type InMemoryOptions } from "./support/harness.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";
import { statusThat } from "./support/patient.js";

// The person's uncommitted changes in forms and answers: the SDK's client, the real engine with a scripted agent, git.

vi.setConfig({ testTimeout: 120_000 });

const env = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };
const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-C", folder, ...args], { env, stdio: "pipe", encoding: "utf8" }).trim();
const COMMIT = withScript("Add the login", {
  steps: [
    { tools: [{ name: "Write", input: { file_path: "login.js", content: "1\n" } }] },
    { tools: [{ name: "Bash", input: { command: "git add --all" }, run: true }] },
    { tools: [{ name: "Bash", input: { command: 'git commit --quiet -m "Add the login"' }, run: true }] },
    { text: "Done." },
  ],
});

let home: string;
let engine: LocalEngine;
let made = 0;
beforeAll(async () => {
  home = realpathSync(engineFolder().folder);
  mkdirSync(join(home, "code"));
  mkdirSync(join(home, "other"));
  engine = await startLocalEngine(home, { engineAllowedFolders: [join(home, "code")] });
});
afterAll(async () => {
  await engine.close();
  rmSync(home, { recursive: true, force: true });
});

/** A repository with two changed files and a new one. */
function makeRepository(parent = "code"): string {
  const repository = join(home, parent, `app-${++made}`);
  copyRepository(repository);
  writeFileSync(join(repository, "b.txt"), "b\n");
  git(repository, "add", "b.txt");
  git(repository, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "Add b");
  writeFileSync(join(repository, "readme.md"), "changed\n");
  writeFileSync(join(repository, "b.txt"), "staged\n");
  git(repository, "add", "b.txt");
  writeFileSync(join(repository, "new.txt"), "new\n");
  return repository;
}

function connect(repository: string, options: InMemoryOptions = {}) {
  return connectInMemory({
    home,
    ownFolders: [repository],
    locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
    env,
    ...options,
    settings: { ENGINE: "local", API_KEY: ENGINE_KEY, ...options.settings },
  });
}

const accept = (content: Record<string, string>) => (): ElicitResult => ({ action: "accept", content });
const titles = (repository: string, branch: string) =>
  git(repository, "log", "--format=%s", `main..${branch}`).split("\n");
let names = 0;
const run = (more: object = {}) => ({
  ...COMPLETE,
  session_name: `session-${++names}`,
  workflow_name: "implement",
  message: COMMIT,
  repository_url: ".",
  ...more,
});
const OWN = "Uncommitted changes when the session began";

describe("what is not committed", () => {
  it("is offered in the start's form, left out unless chosen; taken along it is the first commit, and comes back over itself", async () => {
    const repository = makeRepository();
    const { call, forms } = await connect(repository, {
      onForm: ({ schema }) =>
        schema.properties.confirm
          ? { action: "accept", content: { confirm: "yes" } }
          : { action: "accept", content: { git_branch: "main", uncommitted: "true" } },
    });
    const { git_branch: _asked, ...rest } = run();
    const { data, text } = await call(rest);
    expect(forms).toHaveLength(1);
    const { uncommitted } = forms[0]?.schema.properties ?? {};
    expect(uncommitted).toMatchObject({
      title: "Your 3 uncommitted changes",
      description: expect.stringMatching(
        /^In ~\/code\/app-\d+, on main: b\.txt, readme\.md, new\.txt\. The agent sees/,
      ),
      default: "false",
      oneOf: [
        { const: "false", title: expect.stringMatching(/^Leave them out/) },
        { const: "true", title: expect.stringMatching(/^Take them along/) },
      ],
    });
    expect(forms[0]?.schema.required ?? []).not.toContain("uncommitted");
    expect(data.outcome).toBe("completed");
    expect(data.summary).toContain(
      "Taken along as the first commit of the work, as the files lie there when the run begins: your 3 uncommitted changes (b.txt, readme.md, new.txt).",
    );
    expect(data.run.result).toContain("Your 3 uncommitted changes");
    const { work } = data.run;
    expect(titles(repository, work.branch)).toEqual(["Add the login", OWN]);
    expect(work).toMatchObject({
      commit_count: 2,
      files: 4,
      yours: expect.stringMatching(/^[0-9a-f]{10}: 3 files, \+3 -2$/),
      commits: [
        expect.stringMatching(/Add the login$/),
        expect.stringMatching(/when the session began \(yours\)$/),
      ],
    });
    expect(text).toMatch(
      /Of these, [0-9a-f]{10} is what you had not committed when the session began \(3 files, \+3 -2\)\./,
    );
    expect(git(repository, "status", "--porcelain")).toBe("M  b.txt\n M readme.md\n?? new.txt");

    const taken = await call({ action: "take", run_id: data.run.run_id });
    expect(taken.data).toMatchObject({ outcome: "ok", summary: expect.stringContaining("Merged into main") });
    expect(git(repository, "status", "--porcelain")).toBe("");
    expect(readFileSync(join(repository, "login.js"), "utf8")).toBe("1\n");
    expect(readFileSync(join(repository, "readme.md"), "utf8")).toBe("changed\n");
  });

  it("is left out by default in the form, and the answer says so", async () => {
    const repository = makeRepository();
    const { call } = await connect(repository, { onForm: accept({ session_name: "left-out" }) });
    const { session_name: _asked, ...rest } = run();
    const { data } = await call(rest);
    expect(data.summary).toContain("Your 3 uncommitted changes (b.txt, readme.md, new.txt) were left out.");
    expect(titles(repository, data.run.work.branch)).toEqual(["Add the login"]);
    expect(data.run.work).not.toHaveProperty("yours");
  });

  it("of another repository than the form was about is not taken along by its answer", async () => {
    const [shown, chosen] = [makeRepository(), makeRepository()];
    const content = { session_name: "another", repository_url: chosen, git_branch: "", uncommitted: "true" };
    const { call, forms } = await connect(shown, { onForm: accept(content) });
    const { data } = await call({ workflow_name: "implement", message: COMMIT });
    expect(forms[0]?.schema.properties.uncommitted.description).toContain(shown.slice(home.length));
    expect(data.summary).toContain("were not taken along. To have them in the work");
    expect(titles(chosen, data.run.work.branch)).toEqual(["Add the login"]);
  });

  it("does not hold a start up in which nothing is missing: the answer says that it was not taken along, and what to do", async () => {
    const repository = makeRepository();
    for (const options of [{}, { onForm: accept({}) }]) {
      const { call, forms } = await connect(repository, options);
      const { data } = await call(run());
      expect(forms).toEqual([]);
      expect(data.summary).toContain(
        "Your 3 uncommitted changes (b.txt, readme.md, new.txt) were not taken along. To have them in the work, the person commits them, or agrees to a new session with `uncommitted: true`.",
      );
      expect(titles(repository, data.run.work.branch)).toEqual(["Add the login"]);
    }
  });

  it("asked for by the call: the person's form alone agrees where there are forms, and a no sends nothing", async () => {
    const repository = makeRepository();
    const answers: ElicitResult[] = [
      { action: "accept", content: { uncommitted: "true" } },
      { action: "accept", content: { uncommitted: "false" } },
      { action: "decline" },
      { action: "accept", content: {} },
    ];
    const { call, forms } = await connect(repository, {
      onForm: async () => {
        const [answer = { action: "cancel" as const }] = answers.splice(0, 1);
        // Longer than a client that declines by itself takes.
        if (answer.action === "decline") await new Promise((resolve) => setTimeout(resolve, 300));
        return answer;
      },
    });
    const yes = await call(run({ uncommitted: true, confirm: undefined }));
    expect(forms[0]?.message).toMatch(/^Take your 3 uncommitted changes in ~\/code\/app-\d+ along\?$/);
    expect(forms[0]?.schema.required).toEqual(["uncommitted"]);
    expect(titles(repository, yes.data.run.work.branch)).toEqual(["Add the login", OWN]);
    const no = await call(run({ uncommitted: true }));
    expect(titles(repository, no.data.run.work.branch)).toEqual(["Add the login"]);
    const before = (await call({ action: "list_sessions", active_only: false })).data.sessions.length;
    expect((await call(run({ uncommitted: true }))).data).toMatchObject({ outcome: "declined" });
    expect((await call(run({ uncommitted: true }))).text).toMatch(/without a decision.*Nothing was sent/s);
    const closed = await call(run({ uncommitted: true }));
    expect(closed.text).toMatch(/automatically; nobody saw it.*`uncommitted: true` alone does not agree/s);
    expect((await call({ action: "list_sessions", active_only: false })).data.sessions).toHaveLength(before);
  });

  it("asked for by the call in a client without forms counts as the person's word; what is missing is told with the choice", async () => {
    const repository = makeRepository();
    const { call } = await connect(repository);
    const { git_branch: _asked, ...incomplete } = run();
    const asked = await call(incomplete);
    expect(asked.data).toMatchObject({
      outcome: "input_required",
      missing: [
        { name: "git_branch" },
        { name: "uncommitted", required: false, choices: [{ value: "false" }, { value: "true" }] },
      ],
      next_step: { arguments: { uncommitted: false } },
    });
    const { data } = await call(run({ uncommitted: true, wait_seconds: 0 }));
    expect(data).toMatchObject({
      outcome: "started",
      summary: expect.stringContaining("Taken along as the first commit"),
    });
    const ended = await call({ action: "status", run_id: data.run.run_id, wait_seconds: 60 });
    expect(titles(repository, ended.data.run.work.branch)).toEqual(["Add the login", OWN]);
    const agent = readFileSync(join(home, ".scripted-agent", `${ended.data.run.session_id}.json`), "utf8");
    const own = ended.data.run.work.yours.slice(0, 10);
    expect(JSON.parse(agent).systemPrompt).toContain(
      `first commit of the session's branch, ${own}, is what the person`,
    );

    // A branch that is not there yet begins at what is checked out, too.
    const named = await call(run({ uncommitted: true, git_branch: "feature/new" }));
    expect(titles(repository, "feature/new")).toEqual(["Add the login", OWN]);
    expect(named.data.run.work).toMatchObject({ branch: "feature/new", base_branch: "main" });
  });

  it("is asked about together with a repository that is not allowed yet, and told to nobody else", async () => {
    const repository = makeRepository("other");
    const { call, forms } = await connect(repository, {
      onForm: () => {
        // What is taken is what is there when the run begins, and the result says so.
        writeFileSync(join(repository, "late.txt"), "late\n");
        return { action: "accept", content: { allow: "once", uncommitted: "true" } };
      },
    });
    const { data } = await call(run());
    expect(forms).toHaveLength(1);
    expect(Object.keys(forms[0]?.schema.properties ?? {})).toEqual(["allow", "uncommitted"]);
    expect(titles(repository, data.run.work.branch)).toEqual(["Add the login", OWN]);
    expect(data.run.result).toContain(
      "Your 4 uncommitted changes (b.txt, late.txt, new.txt, …) were taken along",
    );

    const without = await connect(makeRepository("other"));
    const { git_branch: _asked, ...incomplete } = run();
    for (const asked of [incomplete, run(), run({ uncommitted: true })])
      expect((await without.call(asked)).text).not.toContain("new.txt");
  });

  it("is taken along into a repository that has no commit yet, as the very first one", async () => {
    const empty = join(home, "code", "empty");
    git(home, "init", "--quiet", "--initial-branch", "main", empty);
    writeFileSync(join(empty, "a.txt"), "a\n");
    const { call } = await connect(empty);
    expect((await call(run())).data.summary).toContain(
      "Your 1 uncommitted change (a.txt) was not taken along.",
    );
    const fresh = join(home, "code", "fresh");
    git(home, "init", "--quiet", "--initial-branch", "main", fresh);
    writeFileSync(join(fresh, "a.txt"), "a\n");
    const { data } = await call(run({ uncommitted: true, repository_url: fresh }));
    expect(git(fresh, "log", "--format=%s", data.run.work.branch).split("\n")).toEqual([
      "Add the login",
      OWN,
    ]);
    const taken = await call({ action: "take", run_id: data.run.run_id, confirm: true });
    expect(taken.data).toMatchObject({ outcome: "ok", summary: expect.stringContaining("Merged into main") });
    expect(git(fresh, "status", "--porcelain")).toBe("");
  });

  it("that cannot be taken along starts nothing where it was asked for, and is told with the reason where it was not", async () => {
    const repository = makeRepository();
    const { call } = await connect(repository);
    const refused = async (more: object, repository_url = ".") =>
      (await call(run({ uncommitted: true, repository_url, ...more }))).text;
    git(repository, "branch", "beside");
    expect(await refused({ git_branch: "beside" })).toMatch(
      /they are on main, where this work does not begin.*Nothing was sent/s,
    );
    writeFileSync(join(repository, ".git", "MERGE_HEAD"), `${git(repository, "rev-parse", "HEAD")}\n`);
    expect(await refused({})).toMatch(/is not finished there \(MERGE_HEAD\).*Nothing was sent/s);
    const { data } = await call(run());
    expect(data.summary).toMatch(/were not taken along\. They cannot be taken along: a merge.*MERGE_HEAD/);
    expect(await refused({}, "https://host.example/team/app")).toContain("There is none here");
    expect(await refused({ temp_workspace: true }, "")).toContain("`uncommitted`");
    const { session_name: _new, ...old } = run({ uncommitted: true, continue_session: "session-1" });
    expect((await call(old)).text).toContain("is for a new session");
    expect((await call(run({ uncommitted: false }))).data.summary).toContain("were left out");
  });
});

describe("the engine's API", () => {
  it("describes the field, and refuses it with what it cannot be with: nothing is started", async () => {
    const base = `${engine.url}/api/v1`;
    const described = (await (await fetch(`${base}/openapi.json`)).json()) as {
      components: { schemas: { StartRun: { properties: object } } };
    };
    expect(described.components.schemas.StartRun.properties).toHaveProperty("uncommitted");
    for (const more of [
      { session_id: "some-session", repository_url: makeRepository() },
      { repository_url: "https://host.example/team/app" },
      {},
    ]) {
      const body = { message: "Go", input_format: "stream-json", uncommitted: true, ...more };
      const answer = await fetch(`${base}/workflows/claude-code/run/fix`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": ENGINE_KEY },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(400);
      expect(await answer.text()).toContain("Nothing was started");
    }
  });
});

describe("a session whose first run came to an end before it had them", () => {
  it("begins with them when it is continued, as was agreed, and has them once", async () => {
    // Allowed for this session alone, which holds for what continues it as well.
    const repository = makeRepository("other");
    const allow_repository = { path: repository, folders: [repository] };
    const direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    const ended = (run_id: string) => statusThat(direct, run_id, ({ completed_at }) => completed_at !== null);
    const unfinished = join(repository, ".git", "MERGE_HEAD");
    writeFileSync(unfinished, `${git(repository, "rev-parse", "HEAD")}\n`);
    const fields = { message: "Look at it", repository_url: repository, uncommitted: true, allow_repository };
    const { run_id } = await direct.start(fields, "implement");
    const { status, session_id } = await ended(run_id);
    expect(status).toBe("failed");
    rmSync(unfinished);
    for (const message of [COMMIT, withScript("Go on", { steps: [{ text: "Done." }] })]) {
      const next = await direct.start({ message, session_id }, "implement");
      const done = await ended(next.run_id);
      expect(done.status).toBe("completed");
      expect(titles(repository, done.work.branch)).toEqual(["Add the login", OWN]);
    }
  });
});

describe("a workflows API elsewhere", () => {
  const sim = useSimulatedApi({ paceMs: 20 });

  it("is never sent the field, and a start that asks for it is refused", async () => {
    const repository = makeRepository();
    const { call } = await connectInMemory({ home, ownFolders: [repository] });
    const asked = { ...COMPLETE, workflow_name: "architect", message: "Design it", uncommitted: true };
    expect((await call(asked)).text).toMatch(/`uncommitted` takes along.*Nothing was sent/s);
    expect(sim.api().posts("/run/")).toEqual([]);
    await call({ ...asked, uncommitted: false });
    expect(sim.api().posts("/run/")).toHaveLength(1);
    expect(sim.api().posts("/run/")[0]?.body).not.toHaveProperty("uncommitted");
  });
});
