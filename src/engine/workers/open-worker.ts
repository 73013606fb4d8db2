import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { transaction } from "../../store/database.js";
import { createDatabaseCheck } from "../../store/database-check.js";
import { openStore } from "../../store/open-store.js";
import type { EngineLimits, EngineWorker } from "../engine-options.js";
import { createRunStore } from "../runs/create-run-store.js";
import { openKeeping } from "../runs/open-keeping.js";
import { type EngineRun, isAtWork } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";
import { LIMITS } from "../runs/run-writer.js";
import type { WriteAlongside } from "../runs/write-changes.js";
import type { Engine, WorkerSight } from "../types.js";
import type { DayLimits } from "../work/day-limit.js";
import { createBeginRules } from "./begin-rules.js";
import { settleForgotten } from "./forgotten-runs.js";
import { interruptRuns } from "./interrupt-runs.js";
import { createSessionBundles } from "./session-bundles.js";
import { createCarryOutCall, shareEngine } from "./shared-engine.js";
import { createSlotsElsewhere } from "./slots-elsewhere.js";
import { createWorkerCalls } from "./worker-calls.js";
import { noteInstance, openWorkerFile } from "./worker-file.js";
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
 * @param options.transact stands in for `transaction`, for tests
 * @throws StoreError when the database cannot be used, and Error when the folder is a copy of another worker's
 */
export async function openWorker(options: {
  shared: SharedWork;
  stateFolder: string;
  folder: string;
  /** The engine's folder for what no agent may read. */
  privateFolder: string;
  places: () => number;
  /** They are read whenever something begins, or is interrupted. */
  limits: DayLimits & Pick<EngineLimits, "resumeOnce">;
  alongside: WriteAlongside | undefined;
  transact?: typeof transaction;
  clock: Clock;
  log: Log;
}): Promise<OpenedWorker> {
  const { stateFolder, folder, places, limits, alongside, clock, log } = options;
  const { timeoutMs, moveAfterMs, moveLimitBytes } = options.shared;
  const file = await openWorkerFile(folder);
  const { id } = file;
  const database = await openStore({ folder: stateFolder, address: options.shared.database, clock });
  const { shared } = database;
  if (!shared) throw new TypeError("A worker needs a database that can be shared.");
  const name = hostname();
  const instance = randomUUID();
  let workers: Workers | undefined;
  /** Once it has joined the others. */
  let engine: Engine | undefined;
  const endings: (() => void)[] = [];
  const closing = new AbortController();
  let tellJoined = () => {};
  let tellReplaced = () => {};
  const isJoined = new Promise<void>((resolve) => {
    tellJoined = resolve;
  });
  const rules = createBeginRules(() => workers, { timeoutMs, moveAfterMs }, { shared, limits, clock });

  /** Whatever is at work here is to end, since the others may take over, or have done so. */
  async function endAgents(because: string, told: string, isAccident = false): Promise<void> {
    log.error(`${told} This worker ends its agents.`);
    await engine?.interruptAll(because, isAccident);
  }

  /** What was begun, or over, may wait or go on in an earlier copy of the database. @param known the runs before it came */
  async function endForgotten(
    runs: Pick<RunStore, "all" | "record">,
    known: ReadonlyMap<string, EngineRun>,
  ): Promise<void> {
    const workerId = engine && id;
    await endAgents(
      "The database was replaced by an earlier copy, which may not know of this run",
      "The database lacks what was written last: an earlier copy is in its place.",
    );
    await settleForgotten(known, { runs, workerId, signal: closing.signal, clock });
    tellReplaced();
  }

  /** @returns the runs of all, and the process that the database has for this worker */
  const openRuns = async (): Promise<{ stored: RunStore; former: string | undefined }> => {
    // Before anything is done to its runs.
    const former = await refuseCopy(database, file, { shared, clock, timeoutMs });
    await noteInstance(folder, file, { instance, known: former });
    const keeping = await openKeeping(join(options.privateFolder, "waiting"), {
      ...{ database, workerId: id },
      onOthers: () =>
        log.warn(
          "On this machine's disk there are changes that wait for another database, or are of another worker: they are left as they are, and made when that worker is started with that database.",
        ),
      onFull: () =>
        void endAgents(
          "The database is away, and there is no room for more of what agents tell",
          "The database is away, and what waits for it has reached its size.",
          true,
        ),
    });
    const stored = await createRunStore({
      ...{ database, clock, alongside, guard: rules.guard, keeping, limits: SHARED_LIMITS },
      ...(options.transact ? { transact: options.transact } : {}),
      onProblem: ({ message }) => log.warn(message),
      onEarlierCopy: (known) => void endForgotten(stored, known),
    });
    // What a former process has left is taken in before anything is done to its runs.
    await stored.refresh();
    return { stored, former };
  };

  const { stored, former } = await openRuns().catch(async (error) => {
    await database.destroy();
    throw error;
  });
  const runs: RunStore = {
    ...stored,
    async close() {
      closing.abort();
      for (const end of endings) end();
      await workers?.close();
      await stored.close();
    },
  };

  function lookLater(look: () => void): () => void {
    let cancel = () => {};
    const next = () => {
      cancel = clock.after(LOOK_MS, () => {
        look();
        next();
      });
    };
    next();
    return () => cancel();
  }

  return {
    runs,
    worker: {
      ...createSlotsElsewhere(() => workers, { runs, onlyAt: rules.onlyAt }),
      othersBegin: () => workers?.all().some((one) => one.id !== id && one.state === "ready") === true,
      hasOthers: () => workers?.all().some((one) => one.id !== id && one.state !== "ended") === true,
      ...{ id, name, joined: isJoined },
      // What cannot be written does not begin; else all that wait would be tried in vain.
      mayBegin: (run) =>
        stored.knownUntil() === undefined && rules.mayBegin(run, runs.ofSession(run.sessionId)),
      find: (workerId) => workers?.get(workerId),
      onEarlierCopy(listener) {
        tellReplaced = listener;
      },
      bundles: createSessionBundles({ database, shared, workerId: id, limitBytes: moveLimitBytes }),
      keepEveryMs: options.shared.keepEveryMs ?? KEEP_EVERY_MS,
    },
    async join(own) {
      engine = own;
      const joined = await joinWorkers({
        ...{ database, shared, id, instance, name, places, clock, log, timeoutMs },
        former: former === undefined ? [] : [former],
        busy: () => runs.notEnded().filter((run) => run.worker === id && isAtWork(run)).length,
        onGone: (gone) => interruptRuns(gone, { runs, resumeOnce: limits.resumeOnce === true, log }),
        onCopied() {
          void workers?.drain();
          void endAgents(
            "A copy of this worker's state folder has taken its place",
            "Another engine with a copy of this state folder has become this worker: end one of the two. Nothing more begins here.",
          );
        },
        onLost: () =>
          void endAgents(
            "The database was not reached for too long, so that others may take over",
            "The database was not reached for too long.",
            true,
          ),
      });
      workers = joined;
      const carryOut = createCarryOutCall(own, runs.refresh);
      const calls = createWorkerCalls({ database, shared, workers: joined, carryOut, clock, log });
      endings.push(calls.close, joined.onChange(own.limitsChanged), lookLater(own.limitsChanged));
      tellJoined();
      own.limitsChanged();
      const checkDatabase = createDatabaseCheck(shared.reach, clock);
      return {
        engine: shareEngine(own, { runs, workers: joined, calls }),
        workers: joined,
        see: () => seeWorkers(joined, runs),
        async ready() {
          if (joined.isDraining()) return DRAINS;
          return (await checkDatabase()) && "The database is away. It is looked for again.";
        },
      };
    },
  };
}
