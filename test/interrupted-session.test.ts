import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { runBin, toVariables } from "./support/bin.js";
import { COMPLETE, until } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { closeWindow, createMachine, endAll, git } from "./support/one-machine.js";

// The engine and its agent are killed in the middle of a turn, as by a crash or a reboot: the chat goes on with the
// session in one call. Through the published bin; the agent is scripted, its worktree real.
const bash = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });

/** A run that hangs after so much, and the death of the engine and all its agents once it stands so. */
async function interrupted(steps: object[], stands: (worktree: string) => boolean) {
  const env = { SCRIPTED_AGENT: JSON.stringify({ steps: [...steps, { hang: true }] }) };
  const machine = createMachine({ claudePath: SCRIPTED_AGENT, env });
  const { home, processes, enginePid } = machine;
  const onForm = () => ({ action: "accept" as const, content: { answer: "allow_run" } });
  const window = await machine.openWindow({ onForm });
  const worktrees = join(home, "engine", "workspaces", "worktrees");
  const followed = window
    .call({
      ...COMPLETE,
      workflow_name: "implement",
      message: "Build it",
      repository_url: machine.repository,
      session_name: "login",
    })
    .catch(() => undefined);
  const worktree = join(worktrees, `${basename(machine.repository).toLowerCase()}-login`);
  await until(() => stands(worktree), "the run as it is to be interrupted");
  const others = processes().filter((pid) => pid !== window.child.pid);
  expect(others).toContain(enginePid());
  endAll(others);
  await until(
    () => processes().every((pid) => !others.includes(pid)),
    "the death of the engine and its agent",
  );
  return { ...machine, window, followed, onForm, worktree, worktrees };
}

const goOn = {
  workflow_name: "implement",
  continue_session: "login",
  message: withScript("Go on", { steps: [{ text: "I have read {{messages}}" }] }),
};

it.each(["the window that was open", "another window"])(
  "goes on in one call from %s",
  async (which) => {
    const steps = [bash("echo one > a.md; git add a.md; git commit -q -m One; echo half > half.md")];
    const was = await interrupted(steps, (worktree) => existsSync(join(worktree, "half.md")));
    const { home, repository, openWindow, window, onForm, worktree, worktrees } = was;
    if (which === "another window") await closeWindow(window);

    const sessions = await runBin(["sessions"], { HOME: home, ...toVariables({ STATE_DIR: home }) });
    expect(sessions.stdout).toMatch(/\nlogin +interrupted /);
    // What was paid for can be looked at without paying for more.
    expect(sessions.stdout).toMatch(
      /has done: `automagik-workflows-mcp sessions diff NAME`.* paid .*sessions resume NAME/,
    );

    const bin = which === "another window" ? await openWindow({ onForm }) : window;
    // What was committed before comes to the repository as soon as there is an engine again.
    const branches = () => git(repository, "branch", "--format=%(refname:short) %(contents:subject)");
    await bin.call({ action: "list_sessions", active_only: false });
    await until(() => branches().includes("automagik/login One"), "the work of the interrupted run");
    // Whoever follows it is told where the work is by the answer, and need not ask.
    if (which === "the window that was open")
      expect((await was.followed)?.data).toMatchObject({
        outcome: "failed",
        summary: expect.stringMatching(
          /1 commit is on automagik\/login in your repository .* The worktree also has changes that the agent has not committed\./,
        ),
        run: { work: { branch: "automagik/login", uncommitted: true } },
      });
    const log = await runBin(["sessions", "show", "login"], {
      HOME: home,
      ...toVariables({ STATE_DIR: home }),
    });
    expect(log.stdout).toMatch(/^\d\d:\d\d:\d\d {2}interrupted$/m);
    const { data } = await bin.call(goOn);
    expect(data).toMatchObject({ outcome: "completed", run: { session_name: "login" } });
    expect(JSON.stringify(data)).toContain(
      "The run before it was interrupted, since the engine or the machine went away, and the agent is told so.",
    );
    // The same conversation, told what happened, in the same folder with all that was there.
    expect(data.run.result).toMatch(
      /Build it[\s\S]*The run before this one was interrupted at 20\S+Z: the engine or the machine went away[\s\S]*Go on/,
    );
    expect(readdirSync(worktrees)).toHaveLength(1);
    expect(readFileSync(join(worktree, "half.md"), "utf8")).toBe("half\n");
    expect(git(repository, "log", "-1", "--format=%s", "automagik/login")).toBe("One");
    const { data: listed } = await bin.call({ action: "list_sessions", active_only: false });
    expect(listed.sessions).toMatchObject([{ session_name: "login", runs: 2, status: "completed" }]);
    await closeWindow(bin);
    await was.engine("stop");
  },
  120_000,
);

it("tells the agent its task where that had not reached it before the crash", async () => {
  // The folder is made before the agent begins.
  const was = await interrupted([], existsSync);
  const { data } = await was.window.call(goOn);
  expect(data).toMatchObject({ outcome: "completed" });
  const { result } = data.run;
  // However far it had come: the task is known, once, and what happened.
  expect(result.split("Build it")).toHaveLength(2);
  expect(result).toMatch(/Build it[\s\S]*was interrupted at[\s\S]*Go on/);
  await closeWindow(was.window);
  await was.engine("stop");
}, 120_000);
