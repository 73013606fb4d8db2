import type * as Dbos from "@dbos-inc/dbos-sdk";
import type { Log } from "../../shared/log.js";
import type { SharedDatabase } from "../../store/database.js";
import { COMMON, NO_ADDRESS } from "./dbos-shifts.js";
import { withLaunchLock } from "./launch-lock.js";
import { giveBackDbos, takeDbos } from "./load-dbos.js";

type Pool = ReturnType<SharedDatabase["openPool"]>;

/** New shifts are announced; without that they are looked for so often, in ms. */
const POLL_MS = 1_000;
/** Plans that one process carries out at once. Most of them wait for somebody, and cost next to nothing meanwhile. */
const AT_ONCE = 500;
/** How often a shift may be given to another process, before DBOS takes it for broken. */
const ATTEMPTS = 1_000;
/** DBOS's own timetable is not used: so often it is looked at all the same, in ms. */
const TIMETABLE_MS = 24 * 60 * 60_000;

/** The part of DBOS that executes shifts in this process. */
export interface Executor {
  /** Looks for new shifts now. Never rejects. */
  wake(): void;
  /** Takes no shifts on any more; resolves when those of this process are over, or after so many ms. */
  close(graceMs: number): Promise<void>;
}

/**
 * Begins to take shifts on. Nothing of it listens on a port, and nothing is sent to anybody but the database.
 * @param options.id of this process, unlike any other
 * @param options.carry carries out a shift to its end
 * @throws whatever keeps it from that; nothing is left behind then
 */
export async function launchExecutor(options: {
  id: string;
  queue: string;
  pool: Pool;
  carry: (dbos: typeof Dbos, planId: string, after: number) => Promise<string>;
  log: Log;
}): Promise<Executor> {
  const { id, queue, pool, carry, log } = options;
  const copy = takeDbos();
  const { sdk } = copy;
  const { DBOS } = sdk;
  const shutDown = async (workflowCompletionTimeoutMS: number) => {
    await DBOS.shutdown({ workflowCompletionTimeoutMS, deregister: true });
    giveBackDbos(copy);
  };
  try {
    const config = {
      name: COMMON.applicationName,
      applicationVersion: COMMON.version,
      executorID: id,
      systemDatabaseUrl: NO_ADDRESS,
      systemDatabasePool: pool,
      systemDatabaseSchemaName: COMMON.schema,
      listenQueues: [queue],
      schedulerPollingIntervalMs: TIMETABLE_MS,
      enableOTLP: false,
      tracingEnabled: false,
      logger: loggerFor(log),
    };
    const work = (planId: string, after: number) => carry(sdk, planId, after);
    DBOS.registerWorkflow(work, { name: COMMON.workflow, maxRecoveryAttempts: ATTEMPTS });
    await withLaunchLock(pool, (runMigrations) => {
      DBOS.setConfig({ ...config, runMigrations });
      return DBOS.launch();
    });
    const shifts = await DBOS.registerQueue(queue, {
      minPollingIntervalMs: POLL_MS,
      workerConcurrency: AT_ONCE,
    });
    const wake = againAndAgain(() => copy.look(shifts));
    return { wake, close: shutDown };
  } catch (error) {
    await shutDown(0).catch(() => {});
    throw error;
  }
}

/** Does it, and once more where it was asked for meanwhile. */
function againAndAgain(work: () => Promise<void>): () => void {
  let isAsked = false;
  let isUnderWay = false;
  async function go(): Promise<void> {
    isUnderWay = true;
    while (isAsked) {
      isAsked = false;
      await work().catch(() => {});
    }
    isUnderWay = false;
  }
  return () => {
    isAsked = true;
    if (!isUnderWay) void go();
  };
}

/** What the library tells of itself is for who looks for a fault; its stacks are for nobody. */
function loggerFor(log: Log): Dbos.DLogger {
  const write = (entry: unknown) => log.debug(`DBOS: ${String(entry)}`);
  return { debug: write, info: write, warn: write, error: write };
}
