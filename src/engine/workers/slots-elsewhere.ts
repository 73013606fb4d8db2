import type { EngineWorker } from "../engine-options.js";
import { type EngineRun, goesOn, waitsForSlot } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { homeOf } from "./session-homes.js";
import { isThere, type Worker } from "./worker-rows.js";
import type { Workers } from "./workers.js";

/**
 * What the other workers have room for, as it is known here.
 * @param workers undefined until this one has joined them
 * @param options.onlyAt the worker alone at which runs of a session may begin, where there is one
 */
export function createSlotsElsewhere(
  workers: () => Workers | undefined,
  options: {
    runs: Pick<RunStore, "notEnded" | "ofSession">;
    onlyAt: (home: string | undefined) => Worker | undefined;
  },
): Pick<EngineWorker, "waitsAt" | "elsewhere"> {
  const { runs, onlyAt } = options;

  function runsAt(ids: ReadonlySet<string>): EngineRun[] {
    const there = ({ worker }: EngineRun) => worker !== undefined && ids.has(worker);
    return runs
      .notEnded()
      .filter((run) => goesOn(run) && there(run))
      .reverse();
  }

  return {
    waitsAt(run) {
      if (run.status !== "pending") return workers()?.get(run.worker ?? "")?.id;
      return onlyAt(homeOf(runs.ofSession(run.sessionId)))?.id;
    },
    elsewhere(onlyId) {
      const known = workers();
      const own = known?.own.id;
      const only = onlyId === undefined ? undefined : known?.get(onlyId);
      const others = (only ? [only] : (known?.all() ?? [])).filter((one) => one.id !== own && isThere(one));
      const found = runsAt(new Set(others.map(({ id }) => id)));
      const busy = found.filter(({ slotGivenUp }) => !slotGivenUp);
      const taken = (id: string) => busy.filter(({ worker }) => worker === id).length;
      return {
        slots: others.reduce(
          (sum, { id, state, places }) => sum + (state === "ready" ? places : taken(id)),
          0,
        ),
        busy,
        idle: found.filter(({ slotGivenUp }) => slotGivenUp),
        asking: found.filter(waitsForSlot).sort((a, b) => lastAnswer(a) - lastAnswer(b)),
        ownToo: only === undefined || only.id === own,
        bySession: new Map([...found].reverse().map((run) => [run.sessionId, run])),
        ...(only && only.state !== "ready" ? { waitsFor: only } : {}),
      };
    },
  };
}

const lastAnswer = ({ questions }: EngineRun) =>
  Math.max(0, ...questions.map(({ answeredAt }) => answeredAt ?? 0));
