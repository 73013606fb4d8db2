import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import { createAgentGuard } from "../src/engine/agent/agent-guard.js";
import { lookAtProcesses } from "../src/engine/agent/process-list.js";

const PATIENT = { timeout: 20_000, interval: 20 };

/** Processes that this one has started. */
async function children(): Promise<number[]> {
  const { entries } = await lookAtProcesses("", process.platform);
  return entries.filter(({ parent }) => parent === process.pid).map(({ pid }) => pid);
}

/** Something that goes on, in a group of its own, as an agent does. */
function startAgent(): ChildProcess & { pid: number } {
  const agent = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  onTestFinished(() => void agent.kill("SIGKILL"));
  return agent as ChildProcess & { pid: number };
}

test.skipIf(process.platform === "win32")(
  "agents are watched over also where their guard was killed",
  async () => {
    const agent = startAgent();
    const before = await children();
    const guardOf = async () => (await children()).find((pid) => !before.includes(pid));
    const guard = createAgentGuard();
    guard.watch(agent.pid);
    const first = (await vi.waitFor(async () => {
      const pid = await guardOf();
      expect(pid).toBeDefined();
      return pid;
    }, PATIENT)) as number;
    process.kill(first, "SIGKILL");
    await vi.waitFor(async () => expect([undefined, first]).not.toContain(await guardOf()), PATIENT);
    const ended = once(agent, "exit");
    guard.close();
    expect(await ended).toEqual([null, "SIGTERM"]);
  },
);
