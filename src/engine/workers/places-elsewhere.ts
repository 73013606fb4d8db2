import type { PlacesElsewhere } from "../engine-options.js";
import { type EngineRun, goesOn, waitsForSlot } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { homeOf } from "./session-homes.js";
import { isThere, type Worker } from "./worker-rows.js";
import type { Workers } from "./workers.js";

/**
 * What the other workers have room for, as it is known here.
 * @param workers undefined until this one has joined them
 * @param options.waitsFor the worker alone at which a run of the session may begin, where there is one
 * @returns see EngineWorker.elsewhere
 */
export function createPlacesElsewhere(
  workers: () => Workers | undefined,
  options: {
    runs: Pick<RunStore, "notEnded" | "ofSession">;
    waitsFor: (home: string | undefined) => Worker | undefined;
  },
): (run?: EngineRun) => PlacesElsewhere {
  const { runs, waitsFor } = options;

  function runsAt(ids: ReadonlySet<string>): EngineRun[] {
    const there = ({ worker }: EngineRun) => worker !== undefined && ids.has(worker);
    return runs
      .notEnded()
      .filter((run) => goesOn(run) && there(run))
      .reverse();
  }

  /** The one worker that the run waits for; undefined for any of them. */
  function onlyAt(run: EngineRun | undefined): Worker | undefined {
    if (!run) return undefined;
    if (run.status !== "pending") return workers()?.get(run.worker ?? "");
    return waitsFor(homeOf(runs.ofSession(run.sessionId)));
  }

  return (run) => {
    const known = workers();
    const own = known?.own.id;
    const only = onlyAt(run);
    const others = (only ? [only] : (known?.all() ?? [])).filter((one) => one.id !== own && isThere(one));
    const found = runsAt(new Set(others.map(({ id }) => id)));
    const busy = found.filter(({ slotGivenUp }) => !slotGivenUp);
    const taken = (id: string) => busy.filter(({ worker }) => worker === id).length;
    const before =
      run?.status === "pending" ? found.find(({ sessionId }) => sessionId === run.sessionId) : undefined;
    return {
      slots: others.reduce((sum, { id, state, places }) => sum + (state === "ready" ? places : taken(id)), 0),
      busy,
      idle: found.filter(({ slotGivenUp }) => slotGivenUp),
      asking: found.filter(waitsForSlot).sort((a, b) => lastAnswer(a) - lastAnswer(b)),
      ownToo: only === undefined || only.id === own,
      ...(before ? { before } : {}),
      ...(only && only.state !== "ready" && run?.status === "pending" ? { waitsFor: only } : {}),
    };
  };
}

const lastAnswer = ({ questions }: EngineRun) =>
  Math.max(0, ...questions.map(({ answeredAt }) => answeredAt ?? 0));
