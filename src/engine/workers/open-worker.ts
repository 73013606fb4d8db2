import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { openStore } from "../../store/open-store.js";
import type { EngineWorker } from "../engine-options.js";
import { createRunStore } from "../runs/create-run-store.js";
import { hasEnded, isAtWork } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { LIMITS } from "../runs/run-writer.js";
import type { WriteAlongside } from "../runs/write-changes.js";
import type { Engine, WorkerSight } from "../types.js";
import { createBeginRules } from "./begin-rules.js";
import { createPlacesElsewhere } from "./places-elsewhere.js";
import { createReachDatabase } from "./reach-database.js";
import { createSessionBundles } from "./session-bundles.js";
import { createCarryOutCall, shareEngine } from "./shared-engine.js";
import { createWorkerCalls } from "./worker-calls.js";
import { noteInstance, openWorkerFile } from "./worker-file.js";
import type { Worker } from "./worker-rows.js";
import { seeWorkers } from "./worker-sights.js";
import { joinWorkers, refuseCopy, type Workers } from "./workers.js";

/** More than one engine keeps: a team's runs. */
const SHARED_LIMITS = { ...LIMITS, endedRuns: 10_000, eventsKept: 1_000_000 };

/** Why a load balancer is to go elsewhere. */
export const DRAINS = "It begins nothing more, and ends when what goes on has ended.";

/** How several engines work together. */
export interface SharedWork {
  /** The address of their PostgreSQL database. It is a secret. */
  database: string;
  /** The file that the address was read from, absolute: no agent reads it. */
  databaseFile?: string | undefined;
  /** A worker that was silent for so long is gone, in ms. */
  timeoutMs: number;
  /** The sessions of one that was gone for so long go on elsewhere, in ms. */
  moveAfterMs: number;
  /** Of a session at most so many bytes of commits are kept in the database, for that. */
  moveLimitBytes: number;
  /** So often they are kept while a run is at work, in ms; a minute unless told. */
  keepEveryMs?: number;
}

const KEEP_EVERY_MS = 60_000;

/** So often runs that wait are looked at, in ms: after some time others may begin those of a worker that is gone. */
const LOOK_MS = 5_000;

/** An engine's part in a database that it shares with others. */
export interface OpenedWorker {
  /** The runs of all. Closing them leaves the workers. */
  runs: RunStore;
  worker: Omit<EngineWorker, "workspaces">;
  /**
   * Joins the others: from now on runs begin here.
   * @param engine this one
   * @throws StoreError
   */
  join(engine: Engine): Promise<JoinedWorker>;
}

/** An engine that has joined the others. */
export interface JoinedWorker {
  /** It as the API of all of them. */
  engine: Engine;
  workers: Workers;
  see(): WorkerSight[];
  /** Why requests should not come here, as a sentence; undefined when they may. Never rejects. */
  ready(): Promise<string | undefined>;
}

/**
 * Opens the runs in a PostgreSQL database that several engines share.
 * @param options.folder this engine's folder, where its id is kept and its workspaces lie
 * @param options.places how many agents work here at once, by now
 * @throws StoreError when the database cannot be used, and Error when the folder is a copy of another worker's
 */
export async function openWorker(options: {
  shared: SharedWork;
  stateFolder: string;
  folder: string;
  places: () => number;
  alongside: WriteAlongside | undefined;
  clock: Clock;
  log: Log;
}): Promise<OpenedWorker> {
  const { stateFolder, places, alongside, clock, log } = options;
  const { timeoutMs, moveAfterMs, moveLimitBytes } = options.shared;
  const database = await openStore({ folder: stateFolder, address: options.shared.database, clock });
  const { shared } = database;
  if (!shared) throw new TypeError("A worker needs a database that can be shared.");
  const ours = shared;
  const name = hostname();
  const instance = randomUUID();
  const file = await openWorkerFile(options.folder);
  const { id } = file;
  let workers: Workers | undefined;
  let busy: number | undefined;
  let closeCalls = () => {};
  let cancelLook = () => {};
  let tellJoined = () => {};
  const isJoined = new Promise<void>((resolve) => {
    tellJoined = resolve;
  });
  let former: readonly string[] = [];
  let interruptAll: Engine["interruptAll"] = async () => {};
  function onEarlierCopy(): void {
    log.error(
      "The database lacks what was written last: an earlier copy is in its place. This worker ends its agents.",
    );
    void interruptAll("The database was replaced by an earlier copy, which may not know of this run");
  }
  const rules = createBeginRules(() => workers, moveAfterMs, shared);
  const onProblem = ({ message }: { message: string }) => log.warn(message);
  const parts = {
    database,
    clock,
    guard: rules.guard,
    alongside,
    onProblem,
    limits: SHARED_LIMITS,
    onEarlierCopy,
  };
  async function open(): Promise<RunStore> {
    // Before anything is done to its runs.
    const known = await refuseCopy(database, file, { shared: ours, clock, timeoutMs });
    await noteInstance(options.folder, file, { instance, known });
    former = known === undefined ? [] : [known];
    return createRunStore(parts);
  }
  const stored = await open().catch(async (error) => {
    await database.destroy();
    throw error;
  });
  const runs: RunStore = {
    ...stored,
    async close() {
      cancelLook();
      closeCalls();
      await workers?.close();
      await stored.close();
    },
  };

  function lookLater(engine: Engine): void {
    cancelLook = clock.after(LOOK_MS, () => {
      engine.limitsChanged();
      lookLater(engine);
    });
  }

  function interruptRuns({ id: workerId, name, silentMs }: Worker): void {
    for (const run of runs.all().filter((one) => one.worker === workerId && !hasEnded(one))) {
      const error =
        `The worker that carried it out (${name}) was not heard of for ${Math.round(silentMs / 1000)} s. ` +
        "The conversation is kept there: continue the session to go on.";
      runs
        .record(run.runId, { type: "ended", status: "interrupted", error, leftBehind: true }, "written")
        .catch((problem: Error) => log.warn(`Run ${run.runId} could not be ended: ${problem.message}`));
    }
  }

  /** Once for all that ask in one turn of the loop: each run that waits does, and there may be 10,000 others. */
  function countBusy(): number {
    if (busy === undefined) {
      busy = runs.all().filter((run) => run.worker === id && isAtWork(run)).length;
      setImmediate(() => {
        busy = undefined;
      });
    }
    return busy;
  }

  return {
    runs,
    worker: {
      elsewhere: createPlacesElsewhere(() => workers, { runs, waitsFor: rules.onlyAt }),
      othersBegin: () => workers?.all().some((one) => one.id !== id && one.state === "ready") === true,
      ...{ id, name, joined: isJoined },
      // What cannot be written does not begin; else all that wait would be tried in vain.
      mayBegin: (run) =>
        stored.knownUntil() === undefined && rules.mayBegin(run, runs.ofSession(run.sessionId)),
      find: (workerId) => workers?.get(workerId),
      bundles: createSessionBundles({ database, shared, workerId: id, limitBytes: moveLimitBytes }),
      keepEveryMs: options.shared.keepEveryMs ?? KEEP_EVERY_MS,
    },
    async join(engine) {
      interruptAll = engine.interruptAll;
      const joined = await joinWorkers({
        ...{ database, shared, id, instance, former, name, places, clock, log, timeoutMs },
        busy: countBusy,
        onGone: interruptRuns,
        onCopied() {
          log.error(
            "Another engine with a copy of this state folder has become this worker: this one ends its agents and begins nothing more. End one of the two.",
          );
          void joined?.drain();
          void engine.interruptAll("A copy of this worker's state folder has taken its place");
        },
        onLost() {
          log.error("The database was not reached for too long: this worker ends its agents.");
          void engine.interruptAll("The database was not reached for too long, so that others may take over");
        },
      });
      workers = joined;
      joined.onChange(() => engine.limitsChanged());
      const carryOut = createCarryOutCall(engine, runs.refresh);
      const calls = createWorkerCalls({ database, shared, workers: joined, carryOut, clock, log });
      closeCalls = calls.close;
      tellJoined();
      lookLater(engine);
      engine.limitsChanged();
      const isReached = createReachDatabase({ database, shared, clock });
      return {
        engine: shareEngine(engine, { runs, workers: joined, calls }),
        workers: joined,
        see: () => seeWorkers(joined, runs),
        async ready() {
          if (joined.isDraining()) return DRAINS;
          return (await isReached()) ? undefined : "The database is away. It is looked for again.";
        },
      };
    },
  };
}
