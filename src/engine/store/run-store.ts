import type { StoreProblem } from "../../sessions/store/session-store.js";
import type { EngineRun } from "../types.js";

export { createRunStore } from "./file-run-store.js";

/** Something that happened to a run. Frozen: it is shared by all who see it. */
export interface StoredEvent {
  /** Strictly increasing over all runs and over restarts, with holes. */
  id: number;
  runId: string;
  /** Epoch ms. */
  at: number;
  type: string;
  data: unknown;
}

/** Something about the stored runs that a person should know. The message carries no absolute path. */
export interface RunStoreProblem {
  kind: StoreProblem["kind"] | "listener";
  message: string;
}

/**
 * The engine's runs and their events. The runs given out are the live ones: the object that was last given to
 * `save`. Change it and save it; what was not saved is gone after a restart.
 */
export interface RunStore {
  /**
   * Reads what is there. Damage is mended or set aside and told through `onProblem`; throws an Error only when the
   * folder cannot be used at all.
   */
  open(): Promise<void>;
  /** Newest first. */
  all(): EngineRun[];
  get(runId: string): EngineRun | undefined;
  /**
   * Writes down the run as it is at this moment, and the event, in one: after a crash both are there or none. Before
   * the call returns, the system has them, so that a kill of the process cannot lose them, and the listeners have
   * been called. The promise resolves with `now` (the default) when they would survive a power failure too, with
   * `soon` at once; those are brought onto the disk together within 200 ms.
   *
   * Rejects with a TypeError when the run could not be read back (nothing has changed then), and with an Error when
   * the disk fails: a new run is not taken, and is not there after a restart either; a known one goes on in memory,
   * its listeners are called, and it is written again as soon as that works. With `soon` such a failure only goes to
   * `onProblem`. A new run that is saved with `now` is shown at once, but counts only when the promise resolves: if
   * the process ends before, it is gone.
   */
  save(
    run: EngineRun,
    event?: { type: string; data: unknown },
    durability?: "now" | "soon",
  ): Promise<StoredEvent | undefined>;
  /**
   * Events after the number, of one run or of all, oldest first; 0 is before the first. `gap`: some in between are
   * gone, or the number is of none of ours, so that the present state has to be looked at anew.
   */
  eventsAfter(id: number, runId?: string): { events: StoredEvent[]; gap: boolean };
  /** Calls the listener for every event, in order. Gives back what ends it. */
  subscribe(listener: (event: StoredEvent, run: EngineRun) => void): () => void;
  /** 0 before the first event. */
  newestEventId(): number;
  /**
   * Removes ended runs since whose end there were 30 days with a call of this method, the day of `now` (epoch ms)
   * among them, or that are not among the newest 1,000 ended ones. So a clock that is set ahead removes nothing. Runs
   * that have not ended are never removed. Gives the ids of the removed ones.
   */
  prune(now: number): Promise<string[]>;
  /** Brings everything onto the disk; afterwards every call but this one is refused. */
  close(): Promise<void>;
}
