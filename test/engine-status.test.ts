import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { measureDiskUse } from "../src/engine/background/disk-use.js";
import { engineFiles } from "../src/engine/background/engine-files.js";
import { writeEngineRecord } from "../src/engine/background/engine-record.js";
import { lastingIdentity } from "../src/shared/background/process-life.js";
import { takeLock } from "../src/shared/background/process-lock.js";
import { VERSION } from "../src/shared/version.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { freePort } from "./support/free-port.js";
import { COMPLETE } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine, endAll, processesWith } from "./support/one-machine.js";
import { createStandInServer } from "./support/stand-in-engine.js";

// `engine status` in a terminal: through the published bin, with an engine whose agents are scripted.

/** A machine, and `engine status` on it. */
function createTerminal() {
  const machine = createMachine({ claudePath: SCRIPTED_AGENT });
  const status = (args: string[] = [], settings: Record<string, string> = {}) =>
    runBin(["engine", "status", ...args], {
      HOME: machine.home,
      ...toVariables({ STATE_DIR: machine.home, ...settings }),
    });
  const read = async (settings: Record<string, string> = {}) => {
    const { code, stdout } = await status(["--json"], settings);
    return { code, ...JSON.parse(stdout) };
  };
  return { ...machine, status, read };
}

it("says that none runs and what is stored, and makes nothing", async () => {
  const home = temporaryFolder();
  const env = { HOME: home, ...toVariables({ STATE_DIR: join(home, "state") }) };
  expect(await runBin(["engine", "status"], env)).toEqual({
    code: 1,
    stdout:
      "No engine is running.\n  stored         no sessions\n" +
      "  disk           0 KiB: database 0 KiB, clones 0 KiB, worktrees 0 KiB\n",
    stderr: "",
  });
  const { stdout } = await runBin(["engine", "status", "--json"], env);
  expect(JSON.parse(stdout)).toMatchObject({ running: false, runs: [], stored_sessions: 0 });
});

it("tells who waits first, what waits for a slot, the settings, and afterwards how it has ended", async () => {
  const { home, repository, openWindow, status, read, engine, enginePid, processes } = createTerminal();
  const window = await openWindow();
  const hang = withScript("Wait", { steps: [{ hang: true }] });
  const asks = withScript("Publish it", {
    steps: [{ tools: [{ name: "Bash", input: { command: "npm publish" } }] }],
  });
  const begin = (session_name: string, message: string) =>
    window.call({ ...COMPLETE, session_name, message, wait_seconds: 0 });
  await begin("works", hang);
  await window.call({ ...COMPLETE, session_name: "has-ended", repository_url: repository });
  await begin("asks", asks);
  const found = await vi.waitFor(
    async () => {
      const found = await read();
      expect(found.runs[0]).toMatchObject({ session_name: "asks", waits_for: expect.any(String) });
      return found;
    },
    { timeout: 60_000, interval: 200 },
  );
  expect(found).toMatchObject({
    code: 0,
    running: true,
    pid: enginePid(),
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    clients: 1,
    runs: [
      { session_name: "asks", workflow_name: "architect", turn: 1, age_s: expect.any(Number) },
      { session_name: "works", status: "running" },
    ],
    stored_sessions: 3,
    waiting_for_slot: 0,
    settings: expect.arrayContaining([`ENGINE_ALLOWED_FOLDERS ${repository}`]),
    settings_that_differ: [],
    log: "~/engine/engine.log",
    disk: { at_least: false },
  });
  for (const part of ["database", "clones", "worktrees"])
    expect(found.disk[`${part}_bytes`]).toBeGreaterThan(1024);

  // With one agent at once the next run waits, and a port for the next engine is told.
  const port = await freePort();
  const other = await openWindow({
    args: ["--engine", "local", "--engine-concurrency", "1", "--engine-port", String(port)],
  });
  await other.call({ ...COMPLETE, session_name: "queued", message: hang, wait_seconds: 0 });
  const text = await status([], { ENGINE_PUSH: "on" });
  expect(text).toMatchObject({ code: 0, stderr: "" });
  expect(text.stdout).toMatch(/^ {2}runs going on {2}3, 1 waits for you, 1 waits for a free slot$/m);
  expect(text.stdout).toMatch(/^ {2}since +20\S+ \(\d+ (?:s|min) ago\)$/m);
  expect(text.stdout).toMatch(
    /^ {2}settings +.*ENGINE_CONCURRENCY 1; .*\(of the window that was started 20/m,
  );
  expect(text.stdout).toMatch(new RegExp(`^  ENGINE_PORT is ${port}, but this engine keeps \\d+: `, "m"));
  expect(text.stdout).toContain("\n  ENGINE_PUSH is off at the engine, and on in this terminal.\n");
  expect(text.stdout).toMatch(
    /\nNAME .*\nasks +waits for you.*\n(?:works|queued) .*\n(?:works|queued) .*\n$/,
  );

  await closeWindow(window);
  await closeWindow(other);
  process.kill(enginePid(), "SIGKILL");
  await vi.waitFor(async () => expect(await read()).toMatchObject({ running: false }), { timeout: 60_000 });
  const killed = await status();
  expect(killed.code).toBe(1);
  expect(killed.stdout).toMatch(
    /^No engine is running\. The last one went away without coming to an end; it was last seen 20\S+ \(\d+ (?:s|min) ago\)\.\n {2}stored +4 sessions, 2 interrupted, 1 to begin with the next engine; /,
  );
  endAll(processes());
  await vi.waitFor(() => expect(processesWith(home)).toEqual([]));
  expect((await engine("stop")).stdout).toBe("No engine is running.\n");
});

it("says what to do about an engine of an older version, and what it could not read of it", async () => {
  const home = temporaryFolder();
  const { folder } = engineFiles(home);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const taken = await takeLock(folder, "lock", Date.now());
  if (!("lock" in taken)) throw new Error("The lock is taken.");
  onTestFinished(() => taken.lock.release());
  const place = { host: "127.0.0.1", port: 0, touch() {} };
  const { url, close } = await createStandInServer({ version: "0.0.1", runs: 2 })(place);
  onTestFinished(close);
  const record = { url, version: "0.0.1", startedAt: Date.now(), keyDigest: "", background: true };
  writeEngineRecord(home, { ...(await lastingIdentity()), ...record });
  const env = { HOME: home, ...toVariables({ STATE_DIR: home }) };
  const { code, stdout } = await runBin(["engine", "status"], env);
  expect(code).toBe(0);
  expect(stdout).toContain(
    `version        0.0.1; ${VERSION} is installed. The next window that finds it without runs`,
  );
  expect(stdout).toMatch(/^ {2}runs going on {2}2$/m);
  expect(stdout).toContain("\nIts sessions could not be read just now: ");
});

it("adds up what lies on the disk until the time is over, without following links", async () => {
  const state = temporaryFolder();
  const worktree = join(state, "engine", "workspaces", "worktrees", "one", "deep");
  mkdirSync(worktree, { recursive: true });
  writeFileSync(join(worktree, "file"), Buffer.alloc(300_000, 1));
  const whole = await measureDiskUse(state, AbortSignal.timeout(60_000));
  expect(whole).toMatchObject({ database: 0, whole: true });
  expect(whole.worktrees).toBeGreaterThanOrEqual(300_000);
  expect(whole.worktrees).toBeLessThan(400_000);
  expect(await measureDiskUse(state, AbortSignal.abort())).toMatchObject({ worktrees: 0, whole: false });
});
