import { setTimeout as delay } from "node:timers/promises";
import type { Cluster } from "./cluster.js";
import type { Fault } from "./steps.js";
import type { ClusterWorker } from "./worker.js";

/** A worker that was told to end does so within this time, in ms, as it gets on. */
const END_MS = 20_000;
/** After faults, all workers are up again within this time, in ms. */
const HEAL_MS = 60_000;

/** Does harm to a cluster, and undoes it. */
export interface Harm {
  /** Begins a fault, which undoes itself; one that cannot strike now is left out. */
  strike(fault: Fault): void;
  /** Waits until all is undone and every worker is up. */
  heal(): Promise<void>;
  /** How often each has struck. */
  struck: Readonly<Record<string, number>>;
}

/** @param complain told what a worker should not have done */
export function createHarm(
  { workers, postgres, link }: Cluster,
  complain: (what: string) => void,
  note: (what: string) => void,
): Harm {
  const struck: Record<string, number> = {};
  const going = new Set<Promise<unknown>>();
  /** What is being harmed: workers by number, and the database. */
  const busy = new Set<number | "database">();

  function begin(target: number | "database", kind: string, work: () => Promise<unknown>): void {
    if (busy.has(target)) return;
    busy.add(target);
    struck[kind] = (struck[kind] ?? 0) + 1;
    note(`${kind}${target === "database" ? "" : ` (${workers[target]?.machine.name})`}`);
    const task = work()
      .catch((error: Error) => complain(`the harness itself failed at "${kind}": ${error.stack}`))
      .finally(() => {
        busy.delete(target);
        going.delete(task);
        note(`over: ${kind}`);
      });
    going.add(task);
  }

  async function end(worker: ClusterWorker): Promise<void> {
    const late = delay(END_MS, "late" as const, { ref: false });
    const how = await Promise.race([worker.end(), late]);
    if (how === "late") {
      complain(`${worker.machine.name} was told to end, and was still there after ${END_MS / 1000} s`);
      await worker.kill();
    } else if (how !== 0) complain(`${worker.machine.name} was told to end, and did so with ${how}`);
  }

  async function harmWorker(worker: ClusterWorker, { kind, forMs }: Fault): Promise<void> {
    if (kind === "worker killed") await worker.kill();
    else if (kind === "worker told to end") await end(worker);
    else if (kind.startsWith("link")) await link?.(worker.index, "down");
    else worker.freeze();
    await delay(forMs);
    if (kind.startsWith("link")) await link?.(worker.index, "up");
    else if (kind.startsWith("worker frozen")) worker.thaw();
    // Without its database it does not start, and says so.
    else await worker.start();
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
      if (!("worker" in fault)) return begin("database", fault.kind, () => harmDatabase(fault));
      const worker = workers[fault.worker];
      if (worker?.state() === "up") begin(worker.index, fault.kind, () => harmWorker(worker, fault));
    },
    async heal() {
      while (going.size > 0) await Promise.all(going);
      const until = performance.now() + HEAL_MS;
      for (const worker of workers)
        while (worker.state() === "down" && !(await worker.start())) {
          if (performance.now() > until)
            throw new Error(`${worker.machine.name} does not start: ${worker.log().slice(-800)}`);
          await delay(300);
        }
    },
  };
}
