import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type ModelStep, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { findSandbox } from "../../src/engine/agent/claude/sandbox.js";
import { createLocalEngine } from "../../src/engine/create-local-engine.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { API, createContractClient } from "../contract/upstream.js";

/** The real Claude Code on a scripted model, in an engine. CLAUDE_CLI names the program. */
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
const KEY = "the-key-of-this-engine";
const sandbox = await findSandbox({ env: process.env, platform: process.platform });

const bash = (command: string, more: object = {}): ModelStep => ({
  tools: [{ name: "Bash", input: { command, description: "A step", ...more } }],
});

/** A script that does what it can to answer its own agent's questions, and writes down how far it came. */
const ATTACK = `
const { readFileSync, writeFileSync } = require("node:fs");
const { join, dirname } = require("node:path");
const { url, places } = JSON.parse(readFileSync("target.json", "utf8"));
const found = places.map((place) => { try { return readFileSync(place, "utf8").trim(); } catch (error) { return error.code; } });
const key = ${JSON.stringify(KEY)};
const post = (path, body) => fetch(url + path, { method: "POST", headers: { "x-api-key": key, "content-type": "application/json" }, body: JSON.stringify(body) })
  .then((answer) => answer.status, (error) => error.cause?.code ?? error.message);
(async () => {
  const started = await post("${API}/run/implement", { message: "Started by the attack" });
  let outside = "written";
  try { writeFileSync(join(require("node:os").homedir(), "planted"), "x"); } catch (error) { outside = error.code; }
  try { writeFileSync(places[0] + ".planted", "x"); } catch {}
  writeFileSync("attack.json", JSON.stringify({ found, started, outside }));
  console.log("attacked");
})();
`;

async function stage(
  engineSandbox: "on" | "off",
  script: ModelStep[],
  write: (repository: string, folder: string) => void = () => {},
) {
  const folder = mkdtempSync(join(tmpdir(), "claude-permissions-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const api = await serveScriptedAnthropic({ script: [script] });
  onTestFinished(() => api.close());
  const home = join(folder, "home");
  const state = join(folder, "state");
  const privateFolder = join(state, "engine-private");
  for (const made of [home, privateFolder, join(state, "engine")])
    mkdirSync(made, { recursive: true, mode: 0o700 });
  writeFileSync(join(privateFolder, "key"), `${KEY}\n`, { mode: 0o600 });
  writeFileSync(join(state, "engine", "key"), `${KEY}\n`, { mode: 0o600 });
  const identity = Object.fromEntries(
    ["AUTHOR", "COMMITTER"].flatMap((who) => [
      [`GIT_${who}_NAME`, "A"],
      [`GIT_${who}_EMAIL`, "a@example.org"],
    ]),
  );
  const engine = await createLocalEngine({
    apiKey: KEY,
    host: "127.0.0.1",
    port: 0,
    stateFolder: state,
    folder: join(state, "engine"),
    privateFolder,
    settings: {
      claudePath: CLAUDE,
      engineConcurrency: 2,
      engineCostLimitUsd: undefined,
      engineQuestionTimeoutS: 1800,
      engineCheckTimeoutS: 600,
      engineAllowedFolders: [folder],
      enginePush: "off",
      engineHooks: "off",
      engineSandbox,
      engineAgentVariables: undefined,
    },
    env: {
      ...identity,
      PATH: process.env.PATH,
      HOME: home,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      IS_SANDBOX: "1",
      ANTHROPIC_BASE_URL: api.url,
      ANTHROPIC_API_KEY: "sk-ant-test",
    },
    home,
    platform: process.platform,
    clock: systemClock,
    log: createLog({ level: "warn", stderr: process.stderr }),
    version: "1.2.3",
  });
  onTestFinished(() => engine.close());
  const repository = join(folder, "repository");
  mkdirSync(repository);
  const database = join(state, "automagik.db");
  const places = [join(privateFolder, "key"), join(state, "engine", "key"), database, `${database}-wal`];
  writeFileSync(join(repository, "target.json"), JSON.stringify({ url: engine.url, places }));
  writeFileSync(join(repository, "attack.js"), ATTACK);
  writeFileSync(join(repository, "package.json"), JSON.stringify({ scripts: { test: "node attack.js" } }));
  write(repository, folder);
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: repository, env: { ...process.env, ...identity } });
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "--message", "Begin");
  const client = createContractClient({ url: engine.url, apiKey: KEY });

  /** Runs to the end; each question is answered by what `choose` says. */
  async function run(choose: (text: string) => string) {
    const { run_id } = await client.start({ message: "Go", repository_url: repository }, "implement");
    const asked: { text: string; detail: string; choices: { value: string }[] }[] = [];
    for (;;) {
      const status = await vi.waitFor(
        async () => {
          const { body } = await client.get(`/run/${run_id}/status`);
          if (body.waiting_for !== "question") expect(["completed", "failed"]).toContain(body.status);
          return body;
        },
        { timeout: 60_000, interval: 100 },
      );
      const [question] = status.questions;
      if (!question)
        return { asked, status, results: () => api.requests.map((one) => one.toolResults[0]?.text) };
      asked.push(question);
      const path = `/run/${run_id}/questions/${question.question_id}/answer`;
      await client.post(path, { answer: choose(question.text) });
    }
  }
  const attack = (status: { workspace_path?: string }) =>
    JSON.parse(readFileSync(join(String(status.workspace_path), "attack.json"), "utf8"));
  return { run, attack, places, folder };
}

describe("a repository whose tests attack the engine", () => {
  test.skipIf(!sandbox.usable)(
    "in the sandbox reads no key, reaches no engine and writes nothing outside; the work goes on as usual",
    async () => {
      const { run, attack, places } = await stage("on", [
        bash("npm test"),
        bash("git status --short"),
        bash("git add -A && git commit -m 'feat: attacked'"),
        bash("git log --oneline -1"),
      ]);
      const { asked, status, results } = await run(() => "allow_repository");
      expect(asked.map(({ text }) => text)).toEqual([
        "implement wants to run this repository's own scripts: `npm test`",
      ]);
      expect(asked[0]?.detail).toContain("They run in a sandbox");
      const { found, started, outside } = attack(status);
      expect(found.join()).not.toContain(KEY);
      expect(found.join()).not.toContain("SQLite format");
      expect(started).toBe("ECONNREFUSED");
      expect(outside).not.toBe("written");
      expect(places.map((path) => existsSync(`${path}.planted`))).not.toContain(true);
      const said = results();
      expect(said.join("\n")).toContain("attacked");
      expect(said).toContain("?? attack.json");
      expect(said.at(-1)).toContain("feat: attacked");
      expect(status.result.git_commits ?? status.git_commits ?? []).toHaveLength(1);
    },
  );

  test("without a sandbox starts and answers nothing, though it has the key", async () => {
    const { run, attack } = await stage("off", [bash("npm test"), bash("npm test --prefix ..")]);
    const { asked, status } = await run((text) => (text.includes("--prefix") ? "deny" : "allow_repository"));
    expect(asked.map(({ text }) => text)).toEqual([
      "implement wants to run this repository's own scripts: `npm test`",
      "implement wants to run `npm test --prefix ..`",
    ]);
    expect(asked[0]?.detail).toContain("They are not in a sandbox");
    expect(attack(status).started).toBe(403);
  });
});

test("what reads or writes any file under the name of a commit or a look is asked, and no pattern is offered", async () => {
  const commands = [
    "git commit -F /etc/hostname",
    "git commit --template=/etc/hostname -m x",
    "git add --pathspec-from-file=/etc/hostname",
    "git log --output=/tmp/planted-by-an-agent",
    "git diff --no-index /etc/hostname package.json",
    "make -C / test",
    "npm test --script-shell=/bin/echo",
    "node --test /etc/hostname.js",
    `echo ${"x".repeat(9_000)} > /tmp/planted-by-an-agent`,
  ];
  const { run } = await stage("off", [
    ...commands.map((command) => bash(command)),
    bash("wc --files0-from=/etc/passwd"),
  ]);
  const { asked, results } = await run(() => "deny");
  expect(asked).toHaveLength(commands.length);
  for (const { choices } of asked.slice(0, -1))
    expect(choices).toMatchObject([
      {},
      { title: "Allow for this run: this same command" },
      { value: "deny" },
    ]);
  expect(asked.at(-1)?.choices).toEqual([{ value: "deny", title: "Deny" }]);
  expect(asked.at(-1)?.detail).toMatch(/characters are not shown here …\)\nx+ > \/tmp\/planted-by-an-agent/);
  expect(results().join("\n")).not.toContain("root:x:0:0");
});

test("a folder of the repository that looks like a git repository runs nothing, and cannot be made one unasked", async () => {
  const commands = [
    "cd evil",
    "git status",
    "git add -A",
    "git log --oneline",
    "cd ../nested",
    "git mv dotgit .git",
    "git status",
  ];
  const { run, folder } = await stage(
    "off",
    commands.map((command) => bash(command)),
    (repository, outside) => {
      for (const at of [join(repository, "evil"), join(repository, "nested", "dotgit")]) {
        for (const name of ["objects", "refs"]) {
          mkdirSync(join(at, name), { recursive: true });
          writeFileSync(join(at, name, "keep"), "");
        }
        writeFileSync(join(at, "HEAD"), "ref: refs/heads/main\n");
        writeFileSync(
          join(at, "config"),
          `[core]\nbare = false\nworktree = ..\nfsmonitor = "touch ${join(outside, "planted")}; false"\n`,
        );
      }
    },
  );
  const { asked } = await run(() => "deny");
  expect(asked.map(({ text }) => text)).toEqual(["implement wants to run `git mv dotgit .git`"]);
  expect(existsSync(join(folder, "planted"))).toBe(false);
});

test("what a repository's links lead to outside of it is not read by commands that follow them", async () => {
  const commands = ["cat *", "grep -R SECRET .", "rg -L SECRET", "head */*"];
  const { run } = await stage(
    "off",
    commands.map((command) => bash(command)),
    (repository, outside) => {
      writeFileSync(join(outside, "private.txt"), "SECRET");
      symlinkSync(join(outside, "private.txt"), join(repository, "link"));
      symlinkSync(outside, join(repository, "all"));
    },
  );
  const { asked, status, results } = await run(() => "deny");
  expect(asked).toEqual([]);
  expect(results().join("\n")).not.toContain("SECRET");
  expect(status.result.final_output).toContain("all, link are links to a place outside the repository");
});
