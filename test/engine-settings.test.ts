import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Finding } from "../src/cli/doctor/finding.js";
import { engineFiles } from "../src/engine/background/engine-files.js";
import {
  bringSettings,
  followKeptSettings,
  type OwnSettings,
  readKeptSettings,
} from "../src/engine/background/kept-settings.js";
import type { LocalEngineSettings } from "../src/engine/create-local-engine.js";
import { createContractClient } from "./contract/upstream.js";
import { runBin, spawnBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { freePort } from "./support/free-port.js";
import { copyRepository } from "./support/git-place.js";
import { COMPLETE, until } from "./support/harness.js";
import { ENGINE_KEY, SCRIPTED_AGENT, startLocalEngine, withScript } from "./support/local-engine.js";
import { recordingCommand } from "./support/notices.js";
import { closeWindow, createMachine, git } from "./support/one-machine.js";

// Settings of an engine that runs: who has brought them last, what becomes of them, and how a person sees it.

describe("the settings that hold", () => {
  const NOW = 1_000_000;
  function createState() {
    const state = temporaryFolder();
    const { settings: file } = engineFiles(state);
    const bring = (began: number, settings: Record<string, string>, more: Partial<OwnSettings> = {}) =>
      bringSettings(state, { began, variables: toVariables(settings), ...more }, NOW);
    return { state, file, bring };
  }

  it("are those of the window that began last, whoever comes when", async () => {
    const { state, bring } = createState();
    await bring(10, { ENGINE_PUSH: "on" });
    const second = await bring(30, { ENGINE_COST_LIMIT: "2" });
    expect(second).toMatchObject({
      former: { since: 10 },
      held: { since: 30, settings: { enginePush: "off", engineCostLimitUsd: 2 } },
    });
    expect((await bring(20, { ENGINE_PUSH: "on" })).held).toEqual(second.held);
    expect(await readKeptSettings(state)).toEqual(second.held);
  });

  it("keep the newest among many that come at once", async () => {
    const { state, bring } = createState();
    const windows = Array.from({ length: 12 }, (_, index) => 100 - index);
    await Promise.all(windows.map((began) => bring(began, { ENGINE_CONCURRENCY: String(began - 80) })));
    expect(await readKeptSettings(state)).toMatchObject({ since: 100, settings: { engineConcurrency: 20 } });
  });

  it("are not older for being brought again without a change", async () => {
    const { state, bring } = createState();
    await bring(10, { ENGINE_PUSH: "on" });
    await bring(30, { ENGINE_PUSH: "on" });
    await vi.waitFor(async () => expect(await readKeptSettings(state)).toMatchObject({ since: 30 }));
    await bring(20, {});
    expect(await readKeptSettings(state)).toMatchObject({ since: 30, settings: { enginePush: "on" } });
  });

  it("of a clock that was set back since keep nobody out", async () => {
    const { state, bring } = createState();
    await bring(NOW + 500, { ENGINE_PUSH: "on" });
    await bring(NOW - 5, {});
    expect(await readKeptSettings(state)).toMatchObject({ since: NOW - 5, settings: { enginePush: "off" } });
  });

  it("stay for a command in a terminal but for those that it is given", async () => {
    const { state, bring } = createState();
    await bring(10, { ENGINE_PUSH: "on", ENGINE_HOOKS: "on" });
    await bring(20, {}, { partial: true });
    expect(await readKeptSettings(state)).toMatchObject({ since: 10 });
    await bring(30, { ENGINE_PUSH: "off" }, { partial: true });
    expect(await readKeptSettings(state)).toMatchObject({
      since: 30,
      settings: { enginePush: "off", engineHooks: "on" },
    });
  });

  it("have no secret in the clear, and give it back to the engine", async () => {
    const { state, file, bring } = createState();
    const command = "notify --webhook https://hooks.example/s3cret";
    await bring(10, { NOTIFY_COMMAND: command, ENGINE_PUSH: "on" });
    expect(readFileSync(file, "utf8")).not.toMatch(/s3cret|hooks\.example/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await readKeptSettings(state)).toMatchObject({ settings: { notifyCommand: command } });
    // With another key what was sealed is lost, and nothing else.
    writeFileSync(engineFiles(state).key, "another-key-of-the-engine\n", { mode: 0o600 });
    const later = await readKeptSettings(state);
    expect(later?.settings.enginePush).toBe("on");
    expect(later?.settings.notifyCommand).toBeUndefined();
  });

  it.each([
    ["is no JSON", "{"],
    [
      "has a value that is not allowed",
      '{"version":1,"since":10,"variables":{"AUTOMAGIK_WORKFLOWS_ENGINE_PUSH":"maybe"}}',
    ],
    ["holds something else", "[]"],
  ])("do not come from a file that %s, which the next window replaces", async (_, text) => {
    const { state, file, bring } = createState();
    mkdirSync(engineFiles(state).privateFolder, { mode: 0o700 });
    writeFileSync(file, text, { mode: 0o600 });
    expect(await readKeptSettings(state)).toBeUndefined();
    await bring(5, { ENGINE_PUSH: "on" });
    expect(await readKeptSettings(state)).toMatchObject({ since: 5, settings: { enginePush: "on" } });
  });

  it("do not come from a file that other users can write", async () => {
    const { state, file, bring } = createState();
    await bring(10, { ENGINE_PUSH: "on" });
    chmodSync(file, 0o666);
    expect(await readKeptSettings(state)).toBeUndefined();
  });

  it("are told to whoever follows them once for each change", async () => {
    const { state, bring } = createState();
    const follow = followKeptSettings(state);
    expect(await follow()).toBeUndefined();
    await bring(10, { ENGINE_PUSH: "on" });
    expect(await follow()).toMatchObject({ since: 10 });
    expect(await follow()).toBeUndefined();
    await bring(20, {});
    expect(await follow()).toMatchObject({ since: 20, settings: { enginePush: "off" } });
  });
});

describe("an engine whose settings change while it runs", () => {
  async function startEngine(settings: Partial<LocalEngineSettings>, env: NodeJS.ProcessEnv = {}) {
    const folder = temporaryFolder();
    let changed: LocalEngineSettings | undefined;
    const base: LocalEngineSettings = {
      claudePath: SCRIPTED_AGENT,
      engineConcurrency: 1,
      engineCostLimitUsd: undefined,
      engineQuestionTimeoutS: 1800,
      engineCheckTimeoutS: 600,
      engineAllowedFolders: undefined,
      enginePush: "off",
      engineHooks: "off",
      engineSandbox: "off",
      engineAgentVariables: undefined,
      ...settings,
    };
    const engine = await startLocalEngine(folder, base, env, {
      async readChangedSettings() {
        const now = changed;
        changed = undefined;
        return now;
      },
    });
    onTestFinished(() => engine.close());
    return {
      folder,
      client: createContractClient({ url: engine.url, apiKey: ENGINE_KEY }),
      change: (more: Partial<LocalEngineSettings>) => {
        changed = { ...base, ...more };
      },
    };
  }

  it("begins what a raised number of agents leaves room for", async () => {
    const { client, change } = await startEngine({});
    const hang = withScript("Wait", { steps: [{ hang: true }] });
    const first = await client.start({ message: hang });
    await vi.waitFor(async () =>
      expect((await client.get(`/run/${first.run_id}/status`)).body.status).toBe("running"),
    );
    const second = await client.start({ message: hang });
    expect((await client.get(`/run/${second.run_id}/status`)).body.status).toBe("pending");
    change({ engineConcurrency: 2 });
    await vi.waitFor(async () =>
      expect((await client.get(`/run/${second.run_id}/status`)).body.status).toBe("running"),
    );
  });

  it("takes repositories from folders that were added, and not from one that was taken away", async () => {
    const { client, change, folder } = await startEngine({});
    const repository = join(folder, "code");
    mkdirSync(repository);
    git(repository, "init", "--quiet");
    const isAllowed = async () =>
      (await client.post("/repositories/check", { path: repository })).body.allowed;
    expect(await isAllowed()).toBe(false);
    change({ engineAllowedFolders: [repository] });
    expect(await isAllowed()).toBe(true);
    change({ engineAllowedFolders: [] });
    expect(await isAllowed()).toBe(false);
  });

  it("gives the next agent the new limit of cost, variables and hooks, and looks for the new program", async () => {
    const { client, change, folder } = await startEngine({ engineCostLimitUsd: 1 }, { GITHUB_TOKEN: "t-1" });
    const log = join(folder, "arguments.txt");
    const other = join(folder, "claude");
    writeFileSync(
      other,
      `#!/bin/sh\nprintf '%s\\n' "$GITHUB_TOKEN $*" >> '${log}'\nexec '${SCRIPTED_AGENT}' "$@"\n`,
      {
        mode: 0o755,
      },
    );
    await client.ended((await client.start({ message: "First" })).run_id);
    change({ claudePath: other, engineCostLimitUsd: 2.5 });
    await client.ended((await client.start({ message: "Second" })).run_id);
    change({ claudePath: other, engineAgentVariables: ["GITHUB_TOKEN"], engineHooks: "on" });
    await client.ended((await client.start({ message: "Third" })).run_id);
    const starts = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes("--session-id"));
    expect(starts).toEqual([
      expect.stringMatching(/^ -p .*--max-budget-usd=2\.5\b.*disableAllHooks/),
      expect.stringMatching(/^t-1 -p (?!.*disableAllHooks).*--max-budget-usd=1\b/),
    ]);
  });

  it("pushes what a run ends with as the setting is by then", async () => {
    const ssh = join(temporaryFolder(), "ssh");
    writeFileSync(ssh, '#!/bin/sh\nfor last; do :; done\neval "exec $last"\n', { mode: 0o755 });
    const remote = join(temporaryFolder(), "remote");
    copyRepository(remote);
    const env = { GIT_SSH_COMMAND: ssh, GIT_SSH_VARIANT: "ssh", GIT_CONFIG_GLOBAL: "/dev/null" };
    const { client, change } = await startEngine({ enginePush: "on" }, env);
    const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });
    const run = async (session_name: string) => {
      const steps = [
        { tools: [{ name: "Write", input: { file_path: "login.js", content: "1\n" } }] },
        bash("git add --all"),
        bash('git commit --quiet -m "Add the login"'),
      ];
      const message = withScript("Add the login", { steps });
      const repository_url = `ssh://git@host.example${remote}`;
      const started = await client.start({ message, session_name, repository_url }, "implement");
      return client.ended(started.run_id);
    };
    await run("pushed");
    expect(git(remote, "branch", "--list", "automagik/*")).toBe("automagik/pushed");
    change({ enginePush: "off" });
    await run("kept");
    expect(git(remote, "branch", "--list", "automagik/*")).toBe("automagik/pushed");
  });

  it("tells of ends in the way that holds when they come", async () => {
    const { client, change, folder } = await startEngine({ notify: "off" });
    const { command, titles } = recordingCommand(folder);
    const run = async (session_name: string) =>
      client.ended((await client.start({ message: "Go", session_name })).run_id);
    await run("quiet");
    change({ notify: "auto", notifyCommand: command });
    await run("loud");
    await until(() => titles().length > 0, "the notice");
    change({ notify: "off" });
    await run("quiet again");
    expect(titles()).toEqual(["loud: finished"]);
  });

  it.skipIf(process.platform !== "linux")(
    "starts nothing where a sandbox has to be there and is not, until it may be without",
    async () => {
      const programs = temporaryFolder();
      symlinkSync(process.execPath, join(programs, "node"));
      const { client, change } = await startEngine({}, { PATH: programs });
      await client.ended((await client.start({ message: "First" })).run_id);
      change({ engineSandbox: "on" });
      const body = { message: "Second", input_format: "stream-json" };
      const refused = await client.post("/run/architect", body);
      expect(refused).toMatchObject({
        status: 503,
        body: { detail: expect.stringMatching(/bubblewrap and socat not found.*Nothing was started/) },
      });
      change({ engineSandbox: "auto" });
      await client.ended((await client.start({ message: "Third" })).run_id);
      expect((await client.get("/runs")).body.runs).toHaveLength(2);
    },
  );
});

describe("chat windows with different settings", () => {
  /** A machine with a second repository, and windows that each have settings of their own. */
  function createPlace() {
    const machine = createMachine({ claudePath: SCRIPTED_AGENT });
    const { home, repository } = machine;
    const other = join(home, "other");
    git(home, "clone", "--quiet", repository, other);
    const open = (settings: Record<string, string>) =>
      startBin({
        args: ["--engine", "local"],
        stateFolder: home,
        settings: { API_KEY: "", CLAUDE_PATH: SCRIPTED_AGENT, ...settings },
      });
    const terminal = (args: string[], settings: Record<string, string> = {}) =>
      runBin(args, { HOME: home, ...toVariables({ STATE_DIR: home, ...settings }) });
    return { ...machine, other, open, terminal };
  }
  const run = (repository_url: string, session_name: string) => ({
    ...COMPLETE,
    repository_url,
    session_name,
  });
  const NEWER = "The engine has the settings of a window that began later than this one:";

  it("a newer one changes the engine that runs, and an older one changes nothing back", async () => {
    const { repository, other, open, terminal, enginePid } = createPlace();
    const older = await open({ ENGINE_ALLOWED_FOLDERS: repository });
    const first = await older.call(run(repository, "first"));
    expect(first.data.outcome).toBe("completed");
    expect(first.data.summary).not.toContain(NEWER);
    const pid = enginePid();

    const newer = await open({ ENGINE_ALLOWED_FOLDERS: `${repository}:${other}`, ENGINE_COST_LIMIT: "3" });
    expect((await newer.call(run(other, "second"))).data.outcome).toBe("completed");
    expect(enginePid()).toBe(pid);
    expect(newer.stderr()).toContain(
      `The engine has this window's settings, for what begins from now on: ENGINE_COST_LIMIT 3 (was not set); ENGINE_ALLOWED_FOLDERS ${repository}, ${other} (was ${repository}).`,
    );

    // The older one is told once, and works with what holds.
    const third = await older.call(run(other, "third"));
    expect(third.data).toMatchObject({
      outcome: "completed",
      summary: expect.stringContaining(`${NEWER} ENGINE_COST_LIMIT 3 (here not set);`),
    });
    const fourth = await older.call(run(repository, "fourth"));
    expect(fourth.data.outcome).toBe("completed");
    expect(fourth.data.summary).not.toContain(NEWER);

    const here = { ENGINE: "local", CLAUDE_PATH: SCRIPTED_AGENT, ENGINE_ALLOWED_FOLDERS: repository };
    const findings: Finding[] = JSON.parse((await terminal(["doctor", "--json"], here)).stdout);
    expect(findings.find(({ check }) => check === "engine")).toMatchObject({
      status: "warning",
      message: expect.stringContaining(
        "differ from those of this shell: ENGINE_COST_LIMIT 3 (there not set);",
      ),
    });

    // Nor does it start an engine with what it has.
    expect((await terminal(["engine", "stop", "--force"])).code).toBe(0);
    expect((await older.call(run(other, "fifth"))).data.outcome).toBe("completed");
    expect(enginePid()).not.toBe(pid);
    expect(older.stderr()).toContain(`${NEWER} ENGINE_COST_LIMIT 3 (here not set);`);
    await closeWindow(older);
    await closeWindow(newer);
  });

  it("a command in a terminal leaves the settings as they are, but for those that it is given", async () => {
    const { home, repository, open, terminal } = createPlace();
    const window = await open({ ENGINE_ALLOWED_FOLDERS: repository, ENGINE_PUSH: "on" });
    await window.call(run(repository, "first"));
    const resume = ["sessions", "resume", "first", "Go on", "--yes"];
    expect((await terminal(resume)).code).toBe(0);
    expect(await readKeptSettings(home)).toMatchObject({ settings: { enginePush: "on" } });
    await vi.waitFor(
      async () => expect((await terminal(resume, { ENGINE_PUSH: "off" })).stdout).toContain("Started"),
      { timeout: 60_000, interval: 200 },
    );
    expect(await readKeptSettings(home)).toMatchObject({
      settings: { enginePush: "off", engineAllowedFolders: [repository] },
    });
    expect((await terminal(["engine", "stop", "--force"])).code).toBe(0);
    await closeWindow(window);
  });

  it("an engine in the foreground has its own until a window is started with others", async () => {
    const { home, open } = createPlace();
    const engine = spawnBin(["engine", "--port", "0"], {
      HOME: home,
      ...toVariables({
        STATE_DIR: home,
        CLAUDE_PATH: SCRIPTED_AGENT,
        ENGINE_COST_LIMIT: "2",
        LOG_LEVEL: "info",
      }),
    });
    await vi.waitFor(() => expect(engine.stderr()).toContain("listens on"), { timeout: 60_000 });
    expect(await readKeptSettings(home)).toMatchObject({ settings: { engineCostLimitUsd: 2 } });
    const window = await open({ ENGINE_COST_LIMIT: "4", LOG_LEVEL: "debug" });
    expect((await window.call({ ...COMPLETE })).data.outcome).toBe("completed");
    expect(engine.stderr()).toMatch(
      /Settings of a window that began at 20\S+ hold now: LOG_LEVEL debug \(was info\); .*ENGINE_COST_LIMIT 4 \(was 2\)/,
    );
    await closeWindow(window);
    engine.child.kill("SIGTERM");
    expect(await engine.ended()).toBe(0);
  });

  it("a port of its own is told to wait for the next engine, with how to get there", async () => {
    const { open } = createPlace();
    const first = await open({});
    await first.call({ action: "list_sessions" });
    const second = await open({ ENGINE_PORT: String(await freePort()) });
    await second.call({ action: "list_sessions" });
    await vi.waitFor(() =>
      expect(second.stderr()).toMatch(/ENGINE_PORT is \d+, but the engine that runs listens on \d+/),
    );
    expect(second.stderr()).toContain("`automagik-workflows-mcp engine stop` ends it");
    await closeWindow(first);
    await closeWindow(second);
  });
});
