import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createRunStore } from "../../../src/engine/runs/create-run-store.js";
import type { RunStore } from "../../../src/engine/runs/run-store.js";
import type { WriteAlongside } from "../../../src/engine/runs/write-changes.js";
import { type OpenedWorker, openWorker } from "../../../src/engine/workers/open-worker.js";
import type { Clock } from "../../../src/shared/clock.js";
import type { Log } from "../../../src/shared/log.js";
import { openDatabase, transaction } from "../../../src/store/database.js";
import { StoreError } from "../../../src/store/store-error.js";
import { type AtWait, walkCalls } from "./walked-calls.js";

/** Who was killed is gone soon, and its sessions go on elsewhere at once. In ms. */
const TIMES = { timeoutMs: 1_500, moveAfterMs: 1_500, moveLimitBytes: 1024 * 1024 };

/** The points of a store's transactions. */
interface WalkedTransactions {
  transact: typeof transaction;
  /** The store with points around each change. */
  walk(real: RunStore): RunStore;
}

/** The runs, and with others that share them what joins these. */
export interface WalkedRuns {
  runs: RunStore;
  opened?: OpenedWorker;
}

/**
 * Runs in the folder's database, or in one that is shared, with a wait before each change (`write …`), where a failure is
 * the disk's, and one behind it (`written …`); and with points in, at the end of and after each transaction, and where an
 * event is told (`told …`).
 */
export async function openWalkedRuns(options: {
  folder: string;
  /** The address of the shared database. */
  shared: string | undefined;
  limits: Parameters<typeof openWorker>[0]["limits"] & { concurrency: number };
  clock: Clock;
  log: Log;
  at: AtWait;
  atPoint: AtWait;
  isDiskFull: () => boolean;
  alongside: WriteAlongside | undefined;
}): Promise<WalkedRuns> {
  const { folder, clock, alongside, shared, limits } = options;
  const { transact, walk } = walkTransactions(options);
  const tell = (real: RunStore) => real.subscribe(({ type }) => void options.atPoint(`told ${type}`));
  if (shared === undefined) {
    const database = await openDatabase({ folder });
    const real = await createRunStore({ database, clock, alongside, transact });
    tell(real);
    return { runs: walk(real) };
  }
  mkdirSync(folder, { recursive: true });
  const opened = await openWorker({
    ...options,
    ...{ stateFolder: folder, privateFolder: join(folder, "private"), transact },
    places: () => limits.concurrency,
    shared: { database: shared, ...TIMES },
  });
  tell(opened.runs);
  return { runs: walk(opened.runs), opened };
}

function walkTransactions({
  at,
  atPoint,
  isDiskFull,
}: Pick<Parameters<typeof openWalkedRuns>[0], "at" | "atPoint" | "isDiskFull">): WalkedTransactions {
  /** The next transaction fails, as on a full disk. */
  let failsNext = false;
  /** What was asked to be written last. */
  let writing = "open";

  // A failure of the first wait is the disk's: the store sees it.
  async function written<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      await at(`write ${name}`);
    } catch {
      failsNext = true;
    }
    writing = name;
    const done = await work();
    await at(`written ${name}`);
    return done;
  }

  return {
    transact: (database, work) => {
      const fails = failsNext || isDiskFull();
      failsNext = false;
      if (fails) return Promise.reject(new StoreError("The disk is full.", "SQLITE_FULL", "full"));
      const of = writing;
      return transaction(database, async (trx) => {
        await atPoint(`transaction of ${of}`);
        const done = await work(trx);
        await atPoint(`commit of ${of}`);
        return done;
      }).then(async (done) => {
        await atPoint(`committed ${of}`);
        return done;
      });
    },
    walk: (real) => ({
      ...walkCalls("runs", real, atPoint),
      accept: (run, key) => written("accepted", () => real.accept(run, key)),
      record: (runId, change, durability) =>
        written(change.type, () => real.record(runId, change, durability)),
    }),
  };
}
