import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it, onTestFinished } from "vitest";
import type { LocalEngineOptions } from "../src/engine/create-local-engine.js";
import { MARK_NAME } from "../src/shared/agent-mark.js";
import { BIN, runBin, temporaryFolder } from "./support/bin.js";
import { copyRepository } from "./support/git-place.js";
import { COMPLETE, connectInMemory, type InMemoryOptions } from "./support/harness.js";
import { ENGINE_KEY, startLocalEngine, withScript } from "./support/local-engine.js";

// A repository of this machine that is not allowed yet: the SDK's client is asked, the real engine decides, with a
// scripted agent and real git.

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

interface Machine {
  home: string;
  repository: string;
  /** The file that remembers what is allowed. */
  file: string;
  url: string;
  connect(options?: InMemoryOptions): ReturnType<typeof connectInMemory>;
}

/** A home with a repository that is not allowed, an engine, and servers that find it. */
async function makeMachine(settings: Partial<LocalEngineOptions["settings"]> = {}): Promise<Machine> {
  const home = realpathSync(temporaryFolder());
  const repository = join(home, "code", "myapp");
  mkdirSync(dirname(repository));
  copyRepository(repository);
  const engine = await startLocalEngine(home, settings);
  onTestFinished(() => engine.close());
  return {
    home,
    repository,
    url: engine.url,
    file: join(home, "config", "automagik-workflows-mcp", "allowed-repositories.json"),
    connect: (options = {}) =>
      connectInMemory({
        home,
        ownFolders: [repository],
        locate: async () => ({ baseUrl: engine.url, apiKey: ENGINE_KEY }),
        env,
        ...options,
        settings: { ENGINE: "local", API_KEY: ENGINE_KEY, ...options.settings },
      }),
  };
}

const allow = (answer: string) => (): ElicitResult => ({ action: "accept", content: { allow: answer } });
const RUN = { ...COMPLETE, workflow_name: "implement", message: COMMIT, repository_url: "." };

describe("a repository that is not allowed yet", () => {
  it("is asked about before anything is sent; no sends nothing", async () => {
    const { connect, file } = await makeMachine();
    const { call, forms } = await connect({ onForm: allow("no") });
    const answer = await call(RUN);
    expect(forms.map(({ message }) => message)).toEqual(["Allow agents to work on copies of ~/code/myapp?"]);
    expect(forms[0]?.schema.properties.allow.description).toContain("comes back as a branch");
    expect(answer.data).toMatchObject({
      outcome: "declined",
      summary: expect.stringContaining("Nothing was sent"),
    });
    expect((await call({ action: "list_sessions", active_only: false })).data.sessions).toEqual([]);
    expect(existsSync(file)).toBe(false);
  });

  it("once: holds for the session and its continuation, and for no other", async () => {
    const { connect, repository, file } = await makeMachine();
    const { call, forms } = await connect({ onForm: allow("once") });
    const first = await call(RUN);
    expect(first.data).toMatchObject({ outcome: "completed", run: { work: { delivered_to: "repository" } } });
    expect(git(repository, "log", "--format=%s", first.data.run.work.branch)).toContain("Add the login");
    const second = await call({
      workflow_name: "implement",
      message: "Go on",
      continue_session: COMPLETE.session_name,
    });
    expect(second.data).toMatchObject({ outcome: "completed" });
    expect(forms).toHaveLength(1);
    await call({ ...RUN, session_name: "another" });
    expect(forms).toHaveLength(2);
    expect(existsSync(file)).toBe(false);
  });

  it("always: is remembered in a private file, which the engine that runs reads", async () => {
    const { connect, repository, file } = await makeMachine();
    const { call, forms } = await connect({ onForm: allow("always") });
    expect((await call(RUN)).data.outcome).toBe("completed");
    expect((await call({ ...RUN, session_name: "another" })).data.outcome).toBe("completed");
    expect(forms).toHaveLength(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      repositories: [{ path: repository, folders: [repository] }],
    });
    // What is taken out of it holds at once.
    rmSync(file);
    await call({ ...RUN, session_name: "third" });
    expect(forms).toHaveLength(2);
  });

  it("cannot be allowed by the call's arguments, nor where nobody is asked; the ways to allow it are named", async () => {
    const { connect, repository, file } = await makeMachine();
    const { call } = await connect();
    for (const extra of [
      {},
      { allow: "always" },
      { confirm: true },
      { allow_repository: { path: repository, folders: ["/"] } },
    ]) {
      const answer = await call({ ...RUN, ...extra });
      expect(answer.isError).toBe(true);
    }
    const { text } = await call(RUN);
    expect(text).toContain(`automagik-workflows-mcp allow ${repository}`);
    expect(text).toMatch(/AUTOMAGIK_WORKFLOWS_ENGINE_ALLOWED_FOLDERS/);
    expect(text).toContain("Nothing was sent");
    expect(existsSync(file)).toBe(false);
  });

  it("is not asked about where the client is on another machine: the engine refuses it as before", async () => {
    const { connect, repository } = await makeMachine();
    const { call, forms } = await connect({ onForm: allow("always"), sharesMachine: false });
    const answer = await call({ ...RUN, repository_url: repository });
    expect(forms).toEqual([]);
    expect(answer.data).toMatchObject({
      outcome: "failed",
      run: { error: expect.stringContaining("allowed") },
    });
  });

  it("is a linked worktree: the form and the file name the git folder that belongs to it", async () => {
    const { connect, repository, home, file } = await makeMachine();
    const linked = join(home, "code", "linked");
    git(repository, "worktree", "add", "-q", "-b", "side", linked);
    const { call, forms } = await connect({ onForm: allow("always"), ownFolders: [linked] });
    const { data } = await call(RUN);
    expect(data.outcome).toBe("completed");
    expect(forms[0]?.schema.properties.allow.description).toContain("parts in ~/code/myapp/.git");
    const [entry] = JSON.parse(readFileSync(file, "utf8")).repositories;
    expect(entry).toMatchObject({ path: linked, folders: [linked, join(repository, ".git")] });
    // The worktree alone was allowed.
    await call({ ...RUN, session_name: "main-one", repository_url: repository });
    expect(forms).toHaveLength(2);
  });

  it("that has become another since is not covered by what was allowed", async () => {
    const { connect, repository, home } = await makeMachine();
    const { call, forms } = await connect({ onForm: allow("always") });
    await call(RUN);
    const other = join(home, "other");
    copyRepository(other);
    rmSync(join(repository, ".git"), { recursive: true });
    writeFileSync(join(repository, ".git"), `gitdir: ${other}/.git\n`);
    await call({ ...RUN, session_name: "another" });
    expect(forms).toHaveLength(2);
    expect(forms[1]?.schema.properties.allow.description).toContain("~/other/.git");
    rmSync(repository, { recursive: true });
    symlinkSync(other, repository);
    await call({ ...RUN, session_name: "third" });
    expect(forms[2]?.message).toContain("~/other?");
  });

  it("a damaged list is told, allows nothing and is left as it is", async () => {
    const { connect, file } = await makeMachine();
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "{", { mode: 0o600 });
    const { call, forms } = await connect({ onForm: allow("always") });
    const answer = await call(RUN);
    expect(forms[0]?.schema.properties.allow.description).toContain("damaged");
    expect(answer.text).toMatch(/damaged.*Nothing was sent/s);
    expect(readFileSync(file, "utf8")).toBe("{");
  });
});

describe("the engine's own word", () => {
  const post = (url: string, path: string, body: object, key = ENGINE_KEY) =>
    fetch(`${url}/api/v1/workflows/claude-code${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify(body),
    });

  it("needs the key, and remembers only what the repository consists of", async () => {
    const { url, repository, home, file } = await makeMachine();
    const right = { path: repository, folders: [repository] };
    expect((await post(url, "/repositories/allow", right, "wrong")).status).toBe(401);
    for (const wrong of [
      { path: repository, folders: [repository, "/"] },
      { path: home, folders: [home] },
      { path: `${repository}/.git/..`, folders: [repository] },
    ])
      expect((await post(url, "/repositories/allow", wrong)).status).toBe(400);
    expect(existsSync(file)).toBe(false);
    expect((await post(url, "/repositories/allow", right)).status).toBe(200);
    expect(await (await post(url, "/repositories/check", { path: repository })).json()).toEqual({
      ...right,
      allowed: true,
    });
  });

  it("a start's consent counts for its own repository alone", async () => {
    const { url, repository, home } = await makeMachine();
    const other = join(home, "code", "other");
    copyRepository(other);
    const consent = { path: repository, folders: ["/"] };
    const started = await post(url, "/run/implement", {
      message: "Go",
      input_format: "stream-json",
      repository_url: other,
      allow_repository: consent,
    });
    const { run_id } = (await started.json()) as { run_id: string };
    const { call } = await connectInMemory({
      locate: async () => ({ baseUrl: url, apiKey: ENGINE_KEY }),
      settings: { API_KEY: ENGINE_KEY, ENGINE: "local" },
    });
    const status = await call({ action: "status", run_id, wait_seconds: 30 });
    expect(status.data.run).toMatchObject({
      status: "failed",
      error: expect.stringContaining("settings allow"),
    });
  });

  it("describes the field and the endpoints", async () => {
    const { url } = await makeMachine();
    const described = (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as {
      paths: object;
      components: { schemas: { StartRun: { properties: object } } };
    };
    expect(Object.keys(described.paths)).toContain("/api/v1/workflows/claude-code/repositories/check");
    expect(described.components.schemas.StartRun.properties).toHaveProperty("allow_repository");
  });
});

describe("the command allow", () => {
  it("allows the repository of a folder, lists it, and takes it back", async () => {
    const home = realpathSync(temporaryFolder());
    const repository = join(home, "my app");
    copyRepository(repository);
    mkdirSync(join(repository, "src"));
    const bin = (...args: string[]) => runBin(["allow", ...args], { HOME: home });
    expect(await bin(join(repository, "src"))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`copies of\n  ${repository}\n`),
    });
    const file = join(home, ".config", "automagik-workflows-mcp", "allowed-repositories.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await bin("--list")).toMatchObject({ code: 0, stdout: `  ${repository}\n` });
    expect(await bin("--remove", repository)).toMatchObject({ code: 0 });
    expect(await bin("--remove", repository)).toMatchObject({ code: 1 });
    expect((await bin("--list")).stdout).toBe(
      "No repository was allowed by itself. Those inside ENGINE_ALLOWED_FOLDERS are allowed besides.\n",
    );
    expect(await bin(home)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("not in a git repository"),
    });
  });

  it("does nothing inside an agent", async () => {
    const home = realpathSync(temporaryFolder());
    copyRepository(join(home, "app"));
    const { code } = await runBin(["allow", join(home, "app")], { HOME: home, [MARK_NAME]: "run" });
    expect(code).toBe(2);
    expect(existsSync(join(home, ".config"))).toBe(false);
  });
});

describe("install with the engine, in a repository", () => {
  /** Runs the bin as a person who stands there, whom nobody can ask. */
  function run(home: string, cwd: string, ...args: string[]) {
    const variables = { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: join(home, ".config") };
    const ran = spawnSync(process.execPath, [BIN, ...args], {
      cwd,
      env: variables,
      encoding: "utf8",
      input: "",
    });
    return { code: ran.status, stdout: ran.stdout };
  }

  it("allows it with --allow alone, says so, and doctor tells it", () => {
    const home = realpathSync(temporaryFolder());
    const repository = join(home, "code");
    copyRepository(repository);
    const install = (...more: string[]) =>
      run(home, repository, "install", "cursor", "--engine", "local", "--yes", ...more);
    const doctor = () => JSON.parse(run(home, repository, "doctor", "--engine", "local", "--json").stdout);
    const told = () =>
      doctor().find(({ check }: { check: string }) => check === "repositories") as {
        status: string;
        message: string;
      };
    expect(install()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${repository} is not allowed for agents`),
    });
    expect(told()).toMatchObject({
      status: "ok",
      message: expect.stringContaining("no local repository is allowed"),
    });
    expect(install("--allow")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`may work on copies of ${repository};`),
    });
    expect(told()).toMatchObject({ status: "ok", message: "allowed: ~/code" });
    expect(install()).toMatchObject({ code: 0, stdout: expect.stringContaining("already") });
    const file = join(home, ".config", "automagik-workflows-mcp", "allowed-repositories.json");
    writeFileSync(file, "{");
    expect(told()).toMatchObject({ status: "warning", message: expect.stringContaining("damaged") });
    expect(install("--allow").code).toBe(1);
    expect(readFileSync(file, "utf8")).toBe("{");
  });

  it("asks nothing of who stands elsewhere, or has no engine here", () => {
    const home = realpathSync(temporaryFolder());
    const repository = join(home, "code");
    copyRepository(repository);
    expect(run(home, home, "install", "cursor", "--engine", "local", "--yes").stdout).not.toContain("agents");
    expect(run(home, repository, "install", "cursor", "--yes", "--allow").stdout).not.toContain("copies");
    expect(existsSync(join(home, ".config", "automagik-workflows-mcp"))).toBe(false);
  });
});
