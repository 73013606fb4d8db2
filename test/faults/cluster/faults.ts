import { setTimeout as delay } from "node:timers/promises";
import type { Cluster } from "./cluster.js";
import type { ClusterProgram } from "./program.js";
import type { Fault } from "./steps.js";

/** A program that was told to end does so within this time, in ms, as it gets on. */
const END_MS = 20_000;
/** After faults, all programs are up again within this time, in ms. */
const HEAL_MS = 60_000;

/** Does harm to a cluster, and undoes it. */
export interface Harm {
  /** Begins a fault, which undoes itself; one that cannot strike now is left out. */
  strike(fault: Fault): void;
  /** Waits until all is undone and every program is up. */
  heal(): Promise<void>;
  /** How often each has struck. */
  struck: Readonly<Record<string, number>>;
}

/** @param complain told what a program should not have done */
export function createHarm(
  { workers, servers, programs, postgres, link }: Cluster,
  complain: (what: string) => void,
  note: (what: string) => void,
): Harm {
  const struck: Record<string, number> = {};
  const going = new Set<Promise<unknown>>();
  /** What is being harmed, by its name. */
  const busy = new Set<string>();

  function begin(target: string, kind: string, work: () => Promise<unknown>): void {
    if (busy.has(target)) return;
    busy.add(target);
    struck[kind] = (struck[kind] ?? 0) + 1;
    note(`${kind} (${target})`);
    const task = work()
      .catch((error: Error) => complain(`the harness itself failed at "${kind}": ${error.stack}`))
      .finally(() => {
        busy.delete(target);
        going.delete(task);
        note(`over: ${kind}`);
      });
    going.add(task);
  }

  async function end(program: ClusterProgram): Promise<void> {
    const late = delay(END_MS, "late" as const, { ref: false });
    const how = await Promise.race([program.end(), late]);
    if (how === "late") {
      complain(`${program.name} was told to end, and was still there after ${END_MS / 1000} s`);
      await program.kill();
    } else if (how !== 0) complain(`${program.name} was told to end, and did so with ${how}`);
  }

  async function harmProgram(program: ClusterProgram, { kind, forMs }: Fault): Promise<void> {
    const what = kind.replace(/^\w+ /, "");
    if (what === "killed") await program.kill();
    else if (what === "told to end") await end(program);
    else if (what.startsWith("cut")) await link?.(program.index, "down");
    else program.freeze();
    await delay(forMs);
    if (what.startsWith("cut")) await link?.(program.index, "up");
    else if (what.startsWith("frozen")) program.thaw();
    // Without its database it does not start, and says so.
    else await program.start();
  }

  async function harmDatabase({ kind, forMs }: Fault): Promise<void> {
    if (kind === "database killed") await postgres.kill();
    else await postgres.signal("SIGSTOP");
    await delay(forMs);
    if (kind === "database killed") await postgres.start();
    else await postgres.signal("SIGCONT");
  }

  return {
    struck,
    strike(fault) {
      const target = "worker" in fault ? workers[fault.worker] : "server" in fault && servers[fault.server];
      if (target === false) return begin("database", fault.kind, () => harmDatabase(fault));
      if (target?.state() === "up") begin(target.name, fault.kind, () => harmProgram(target, fault));
    },
    async heal() {
      while (going.size > 0) await Promise.all(going);
      const until = performance.now() + HEAL_MS;
      for (const program of programs)
        while (program.state() === "down" && !(await program.start())) {
          if (performance.now() > until)
            throw new Error(`${program.name} does not start: ${program.log().slice(-800)}`);
          await delay(300);
        }
    },
  };
}
