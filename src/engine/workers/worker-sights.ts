import { hostname } from "node:os";
import { VERSION } from "../../shared/version.js";
import { goesOn, isAtWork } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import type { Engine, WorkerSight } from "../types.js";
import type { Workers } from "./workers.js";

/** The workers of a database, as one of them sees them; how many places are taken by what it knows of all runs. */
export function seeWorkers(workers: Workers, runs: Pick<RunStore, "notEnded">): WorkerSight[] {
  const going = runs.notEnded().filter(goesOn);
  return workers.all().map(({ instance: _, ...worker }) => {
    const there = going.filter((run) => run.worker === worker.id);
    const isOwn = worker.id === workers.own.id;
    return {
      ...worker,
      busy: there.filter(isAtWork).length,
      silentMs: isOwn ? 0 : worker.silentMs,
      isOwn,
      runs: there,
    };
  });
}

/** An engine that shares its runs with no other, as the only worker. */
export function seeSoleWorker(
  engine: Pick<Engine, "isDraining">,
  options: { runs: Pick<RunStore, "notEnded">; places: () => number },
): WorkerSight[] {
  const runs = options.runs.notEnded().filter(goesOn);
  const state = engine.isDraining() ? "draining" : "ready";
  const own = { id: "", name: hostname(), version: VERSION, silentMs: 0, isOwn: true };
  return [{ ...own, state, places: options.places(), busy: runs.filter(isAtWork).length, runs }];
}
