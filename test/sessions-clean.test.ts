import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { type Bin, runBin, toVariables } from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine, endAll, git, type OneMachine } from "./support/one-machine.js";
import { hasTerminal, runInTypedTerminal } from "./support/typed-terminal.js";

// The day after: sessions of all kinds on one repository, and `sessions clean`. Through the published bin, with an
// engine of its own whose agents are scripted and whose git is real. SECOND_DAY=20 makes a day of twenty sessions, and
// SECOND_DAY_LOG names a file for what a person saw.
const COUNT = Number(process.env.SECOND_DAY ?? 7);
vi.setConfig({ testTimeout: 60_000 + COUNT * 20_000 });

const KINDS = ["merged", "delivered", "loose", "undelivered", "crashed", "untouched", "named"] as const;
type Kind = (typeof KINDS)[number];

const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });

/** What the agent of a session does. */
function scriptOf(kind: Kind, name: string): { steps: object[] } {
  const write = `echo ${name} > ${name}.md`;
  const commit = `git add ${name}.md; git commit -q -m "Write ${name}.md"`;
  const steps: Record<Kind, object[]> = {
    merged: [bash(write), bash(`${write}; ${commit}`)],
    delivered: [bash(`${write}; ${commit}`)],
    loose: [bash(`${write}; ${commit}; echo half > half.md`)],
    undelivered: [bash(`${write}; ${commit}`)],
    crashed: [bash(`${write}; ${commit}; echo half > half.md`), { hang: true }],
    untouched: [{ text: "Nothing to do" }],
    named: [bash(`${write}; ${commit}`)],
  };
  return { steps: steps[kind] };
}

interface Day extends OneMachine {
  clean(...args: string[]): ReturnType<typeof runBin>;
  list(...args: string[]): Promise<{ items: Item[]; [key: string]: unknown }>;
  worktrees(): string[];
}
interface Item {
  id: string;
  kind: string;
  name: string;
  state: string;
  safe: boolean;
  suggested: boolean;
  in_use: boolean;
}

function createDay(): Day {
  // Those that hang until the crash take a slot each.
  const slots = toVariables({ ENGINE_CONCURRENCY: "8" });
  const machine = createMachine({ claudePath: SCRIPTED_AGENT, env: slots });
  const env = { HOME: machine.home, ...toVariables({ STATE_DIR: machine.home }) };
  const clean = (...args: string[]) => runBin(["sessions", "clean", ...args], env);
  return {
    ...machine,
    clean,
    list: async (...args) => JSON.parse((await clean("--json", ...args)).stdout),
    worktrees: () => readdirSync(join(machine.home, "engine", "workspaces", "worktrees")).sort(),
  };
}

async function begin(bin: Bin, day: Day, kind: Kind, name: string) {
  const place = {
    repository_url: day.repository,
    ...(kind === "named" ? { git_branch: `work/${name}` } : {}),
  };
  const message = withScript("Work", scriptOf(kind, name));
  const waits = kind === "crashed" ? { wait_seconds: 0 } : {};
  return bin.call({
    ...COMPLETE,
    workflow_name: "implement",
    ...place,
    ...waits,
    message,
    session_name: name,
  });
}

/** A day with so many sessions, the engine and an agent killed at its end. */
async function spend(day: Day): Promise<void> {
  const bin = await day.openWindow({
    onForm: () => ({ action: "accept", content: { answer: "allow_run" } }),
  });
  for (let at = 0; at < COUNT; at++) {
    const kind = KINDS[at % KINDS.length] as Kind;
    const name = `${kind}-${at}`;
    const { data } = await begin(bin, day, kind, name);
    if (kind !== "crashed") {
      expect([name, data.outcome]).toEqual([name, "completed"]);
      const branch = kind === "named" ? `work/${name}` : `automagik/${name}`;
      if (kind === "merged") git(day.repository, "merge", "-q", branch);
      // Only the engine's clone has it then.
      if (kind === "undelivered") git(day.repository, "branch", "-q", "-D", branch);
    }
  }
  await until(
    () =>
      day
        .worktrees()
        .filter((one) => one.includes("crashed"))
        .every((one) => hasHalf(day, one)),
    "the crashed ones at work",
  );
  await closeWindow(bin);
  endAll(day.processes());
  await until(() => day.processes().length === 0, "the death of the engine and its agents");
}

const hasHalf = ({ home }: Day, worktree: string) =>
  existsSync(join(home, "engine", "workspaces", "worktrees", worktree, "half.md"));

/** Bytes that files take below a folder. */
function sizeOf(folder: string): number {
  let sum = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    try {
      sum += readFileSync(join(folder, name)).length;
    } catch {
      // A folder.
    }
  }
  return sum;
}

it("shows on the second day what can go, and removes only what would not be lost", async () => {
  const day = createDay();
  const note = (title: string, text: string) => {
    if (process.env.SECOND_DAY_LOG)
      writeFileSync(process.env.SECOND_DAY_LOG, `$ ${title}\n${text}\n`, { flag: "a" });
  };
  await spend(day);
  const sessions = await runBin(["sessions"], { HOME: day.home, ...toVariables({ STATE_DIR: day.home }) });
  note("automagik-workflows-mcp sessions", sessions.stdout);
  // At a glance: branch, size of the change, cost and age, here and in the chat's resource.
  expect(sessions.stdout).toMatch(
    /\ndelivered-1 +completed +implement +\d+\/50 +automagik\/delivered-1 +\+1 -0 +\$0\.\d\d +\d/,
  );
  const place = join(day.home, "engine", "workspaces");
  const before = sizeOf(place);

  // Nothing that is new is suggested, and nothing is removed to find out.
  const shown = await day.clean("--dry-run");
  note("automagik-workflows-mcp sessions clean --dry-run", shown.stdout);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(/Suggested \(\*: not used for 7 d, nothing would be lost\): 0, 0 B/);
  expect(day.worktrees()).toHaveLength(COUNT);
  expect(existsSync(join(day.home, "engine", "engine.json"))).toBe(false);

  const { items } = await day.list("--older-than", "0d");
  const told = (kind: Kind) => items.find((one) => one.name.startsWith(kind));
  expect(told("merged")).toMatchObject({ safe: true, suggested: true, state: "merged into main" });
  const delivered = told("delivered")?.name;
  expect(told("delivered")).toMatchObject({
    safe: true,
    state: `on automagik/${delivered} in your repository`,
  });
  expect(told("named")).toMatchObject({ safe: true, state: expect.stringMatching(/work\/named-\d+/) });
  expect(told("untouched")).toMatchObject({ safe: true, state: "nothing committed" });
  expect(told("loose")).toMatchObject({ safe: false, suggested: false, state: "uncommitted files: 1" });
  expect(told("undelivered")).toMatchObject({ safe: false, state: "1 commit that is nowhere else" });
  // What it had committed came to the repository with the next engine.
  expect(told("crashed")).toMatchObject({ safe: false, state: "uncommitted files: 1" });

  const unasked = await day.clean("--older-than", "0d");
  expect(unasked).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Nobody can be asked here\. Nothing was removed/),
  });
  expect(day.worktrees()).toHaveLength(COUNT);

  const cleaned = await day.clean("--older-than", "0d", "--yes");
  note("automagik-workflows-mcp sessions clean --older-than 0d --yes", cleaned.stdout);
  expect(cleaned).toMatchObject({ code: 0, stderr: "" });
  expect(cleaned.stdout).toMatch(/\nRemoved: \d+\. Workspaces and clones: \S+ .B before, \S+ .B now\.\n$/);
  const risky = (name: string) => /(?:loose|undelivered|crashed)-\d+$/.test(name);
  expect(day.worktrees().every(risky)).toBe(true);
  expect(day.worktrees().filter(risky)).toHaveLength(
    items.filter(({ safe, kind }) => !safe && kind === "session").length,
  );
  // Whose branches are merged is told, and nothing of the person's is changed for it.
  expect(cleaned.stdout).toMatch(/git -C \S+ branch -d automagik\/merged-0/);
  expect(git(day.repository, "branch", "--list", "automagik/merged-0")).toContain("merged-0");
  const kept = join(place, "worktrees", day.worktrees().find((one) => one.includes("crashed")) ?? "");
  expect(readFileSync(join(kept, "half.md"), "utf8")).toBe("half\n");
  expect(sizeOf(place)).toBeLessThan(before);
  note("on the disk, bytes of files", `before ${before}, now ${sizeOf(place)}`);

  // A session that was cleaned up goes on where its branch is.
  const bin = await day.openWindow();
  const again = await bin.call({
    workflow_name: "fix",
    continue_session: delivered,
    message: withScript("Go on", { steps: [{ text: "Done" }] }),
  });
  expect(again.data.outcome).toBe("completed");
  expect(again.data.run.work ?? {}).not.toHaveProperty("problem");
  await closeWindow(bin);
  await day.engine("stop");
});

it("starts no engine that would carry out runs, and has nothing to do where nothing is", async () => {
  const slots = toVariables({ ENGINE_CONCURRENCY: "1" });
  const { home, repository, openWindow, processes } = createMachine({
    claudePath: SCRIPTED_AGENT,
    env: slots,
  });
  const clean = () => runBin(["sessions", "clean"], { HOME: home, ...toVariables({ STATE_DIR: home }) });
  expect(await clean()).toMatchObject({ code: 0, stdout: "Nothing to clean: there are no workspaces.\n" });
  const bin = await openWindow();
  const message = withScript("Work", { steps: [{ text: "Begin" }, { hang: true }] });
  for (const session_name of ["at-work", "waiting"])
    await bin.call({ ...COMPLETE, message, session_name, repository_url: repository, wait_seconds: 0 });
  await until(() => existsSync(join(home, "engine", "workspaces", "worktrees")), "the first at work");
  const running = await clean();
  expect(running).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("1 session is at work and left alone."),
  });
  await closeWindow(bin);
  endAll(processes());
  await until(() => processes().length === 0, "the death of the engine and its agents");
  const refused = await clean();
  expect(refused).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/a run waits for it: "waiting"\. .*Nothing was done/),
  });
  expect(processes()).toEqual([]);
});

it.runIf(hasTerminal)(
  "starts the engine once: one that is stopped at the question stays stopped",
  async () => {
    const { home, processes } = createMachine({ claudePath: SCRIPTED_AGENT });
    const own = join(home, "engine");
    const left = join(own, "workspaces", "worktrees", "left-1234");
    mkdirSync(left, { recursive: true, mode: 0o700 });
    for (const folder of [home, own]) chmodSync(folder, 0o700);
    const env = { HOME: home, ...toVariables({ STATE_DIR: home, NOTIFY: "off" }) };
    const { text } = await runInTypedTerminal("sessions clean --older-than 0d", env, [
      [
        "for none: ",
        async () => {
          expect(await runBin(["engine", "stop", "--force"], env)).toMatchObject({ code: 0 });
          return "all";
        },
      ],
    ]);
    expect(text).toMatch(/Not removed: .*left-1234\. .*it has ended just now, and is not started for this/);
    expect(existsSync(left)).toBe(true);
    expect(readFileSync(join(own, "engine.log"), "utf8").match(/ listens on /g)).toHaveLength(1);
    expect(processes()).toEqual([]);
  },
);
