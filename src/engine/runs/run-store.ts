import type { RunAccepted, RunChange } from "./events.js";
import type { EngineRun, RunStatus } from "./run.js";

/** Something that happened to a run, as it is stored. Frozen: it is shared by all who see it. */
export interface StoredEvent {
  /** Strictly increasing over all runs and over restarts, with holes. */
  readonly id: number;
  readonly runId: string;
  /** Epoch ms. */
  readonly at: number;
  readonly type: RunChange["type"] | "accepted";
  /** The run's status after the event. */
  readonly status: RunStatus;
  /** The event's own fields. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Something about the stored runs that a person should know. The message carries no absolute path. */
export interface RunStoreProblem {
  kind: "unwritable" | "damaged" | "listener";
  message: string;
}

/**
 * How a change is written:
 * - `soon`: together with others, within a short time (progress of an agent).
 * - `now`: at once. Where the disk fails it counts in memory, and is written as soon as that works.
 * - `written`: at once, and only if it can be written; else the call rejects and nothing has changed.
 */
export type Durability = "soon" | "now" | "written";

/** What has come of a change. */
export interface Recorded {
  /** The run after it, or as it is when it could not happen. */
  run: EngineRun;
  /** False when it cannot happen in the run's state: then nothing was changed. */
  happened: boolean;
}

/** The client's own name for a start, and a digest of what it asked for with it. */
export interface RequestKey {
  key: string;
  digest: string;
}

/** The client has used the key for another request. */
export class KeyReused extends Error {
  override name = "KeyReused";
}

/** A run cannot be resumed by itself: it was before, or its session has gone on since. */
export class NotResumable extends Error {
  override name = "NotResumable";
}

/** The disk or the database has failed; the message says how, and carries no path. */
export class NotWritten extends Error {
  override name = "NotWritten";
  /** It may have been written all the same. */
  readonly isUncertain: boolean;

  constructor(message: string, isUncertain = false) {
    super(message);
    this.isUncertain = isUncertain;
  }
}

/** @param fromElsewhere another engine that shares the database has written it */
export type RunListener = (event: StoredEvent, run: EngineRun, fromElsewhere: boolean) => void;

/**
 * The engine's runs, their events, messages and questions. A change is one transaction on the newest state: read,
 * `apply`, write. When a call resolves, its change would survive the end of this process and a power failure, and
 * the listeners have been called; changes count in the order of the calls.
 */
export interface RunStore {
  /**
   * What keys of starts begin with: it names the database, so that one whose database is lost is known as that. Undefined
   * where everything is gone when the engine ends.
   */
  readonly keyPrefix: string | undefined;
  /** Newest snapshots, newest run first. */
  all(): readonly EngineRun[];
  /** Those of one session, newest run first. */
  ofSession(sessionId: string): readonly EngineRun[];
  /** Those that have not ended, newest run first. */
  notEnded(): readonly EngineRun[];
  get(runId: string): EngineRun | undefined;
  /** The run that was accepted with the key. */
  findByKey(key: string): { run: EngineRun; digest: string } | undefined;
  /** The key with which a run was accepted. */
  keyOf(runId: string): string | undefined;
  /**
   * Takes a new run on. With a key that is known already nothing happens, and its run is given. With `resumes` that run
   * becomes resumed by the new one in the same moment.
   * @throws NotWritten when it cannot be written: then there is no run
   * @throws KeyReused when the known key came with another digest
   * @throws NotResumable when `resumes` is not to be resumed, or not any more: then there is no run
   */
  accept(run: Omit<RunAccepted, "type" | "at">, key?: RequestKey): Promise<Recorded>;
  /**
   * Changes a run, if the event can happen to it in its newest state.
   * @throws NotWritten with `written`, when it cannot be written
   * @throws Error for a run that is not there
   */
  record(runId: string, change: RunChange, durability: Durability): Promise<Recorded>;
  /**
   * Events after the number, of one run or of all, oldest first; 0 is before the first. `gap`: some in between are
   * gone, or the number is of none of ours, so that the present state has to be looked at anew.
   */
  eventsAfter(id: number, runId?: string): Promise<{ events: StoredEvent[]; gap: boolean }>;
  /** Takes in what other engines have written until now; nothing where no others share the database. Never rejects. */
  refresh(): Promise<void>;
  /** Up to when it is known what other engines have written, where that cannot be read at the moment; epoch ms. */
  knownUntil(): number | undefined;
  /** Calls the listener for every event, in order. Gives back what ends it. */
  subscribe(listener: RunListener): () => void;
  /** 0 before the first event. */
  newestEventId(): number;
  /**
   * Removes ended runs since whose end there were 30 days with a call of this method, the day of `now` (epoch ms)
   * among them, or that are not among the newest 1,000 ended ones. So a clock that is set ahead removes nothing. Runs
   * that have not ended are never removed. Gives the ids of the removed ones.
   */
  prune(now: number): Promise<string[]>;
  /** Writes what is still to be written; afterwards nothing can be changed or looked up any more, only seen. */
  close(): Promise<void>;
}
