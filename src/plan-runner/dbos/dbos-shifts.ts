import type { DBOSClient } from "@dbos-inc/dbos-sdk";
import type { SharedDatabase, Transaction } from "../../store/database.js";
import { loadDbos } from "./load-dbos.js";

/** What is the same for all that work with one database. The version stays: with another one waiting plans would be left. */
export const COMMON = {
  applicationName: "automagik-workflows",
  version: "plans-1",
  schema: "dbos",
  workflow: "carry plan",
  /** Of the messages that tell of new entries. */
  topic: "entries",
} as const;

/** No address is told: the library gets connections. */
export const NO_ADDRESS = "postgresql://plans@automagik/plans";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
/** Connections of one process at once, of which one listens. */
const CONNECTIONS = 4;
/** Shifts that have ended are kept so long, in ms, so that people can look at them with DBOS's own tools. */
const KEPT_MS = 7 * 24 * 60 * 60_000;
/** So many are removed at once. */
const REMOVED_AT_ONCE = 500;
/** A message to a shift: how many entries the plan has now; without them the shift is over. */
export interface ShiftMessage {
  entries?: number;
}

/**
 * Who has to carry plans out, as DBOS brings that to the processes that do so. A shift is one process's time with one plan:
 * a workflow on the queue of its API's plans, known by the plan's epoch before it. All methods throw StoreError unless
 * told.
 */
export interface DbosShifts {
  readonly queue: string;
  /** To be awaited before the others. @throws StoreError where DBOS is not installed */
  ready(): Promise<void>;
  /**
   * Has a plan carried out that nobody carries out, together with the transaction. Asked again it is the same shift. Where
   * DBOS's tables are not there (yet) nothing happens: whoever carries plans out finds the plan later.
   * @param after the plan's epoch
   */
  offer(trx: Transaction, planId: string, after: number): Promise<void>;
  /** The same, but failing where that cannot be done. */
  insist(trx: Transaction, planId: string, after: number): Promise<void>;
  /**
   * Tells who carries a plan out that there is more of it, together with the transaction; told again it is one message.
   * @param plan.entries how many entries it has now
   */
  tell(trx: Transaction, plan: { planId: string; epoch: number; entries: number }): Promise<void>;
  /** For an executor of this process. */
  pool(): ReturnType<SharedDatabase["openPool"]>;
  /** Wakes a shift of this process, which is over. Never rejects. */
  end(planId: string, after: number): Promise<void>;
  /** Nobody is to go on with this shift. Never rejects. */
  cancel(planId: string, after: number): Promise<void>;
  /**
   * A shift that was begun and by which nobody has taken the plan on is given to whoever is there.
   * @returns false when it cannot be: it has ended
   */
  resume(planId: string, after: number): Promise<boolean>;
  /** Removes shifts that ended long ago. */
  prune(): Promise<void>;
}

/** The name of a shift: one for each epoch of a plan. */
export const nameOfShift = (planId: string, after: number) => `plan/${planId}/${after + 1}`;

/** @param options.upstream names the workflows API: only who works with it carries its plans out */
export function createDbosShifts(options: { shared: SharedDatabase; upstream: string }): DbosShifts {
  const { shared, upstream } = options;
  const queue = `plans ${upstream}`;
  let opened: ReturnType<SharedDatabase["openPool"]> | undefined;
  let client: Promise<DBOSClient> | undefined;

  const pool = () => (opened ??= shared.openPool(CONNECTIONS));

  function open(): Promise<DBOSClient> {
    client ??= Promise.resolve()
      .then(() =>
        loadDbos().DBOSClient.create({
          systemDatabaseUrl: NO_ADDRESS,
          systemDatabasePool: pool(),
          systemDatabaseSchemaName: COMMON.schema,
          applicationName: COMMON.applicationName,
          logger: SILENT,
        }),
      )
      .catch((error) => {
        client = undefined;
        throw error;
      });
    return client;
  }

  async function insist(trx: Transaction, planId: string, after: number): Promise<void> {
    const shift = {
      queueName: queue,
      workflowName: COMMON.workflow,
      workflowID: nameOfShift(planId, after),
      appVersion: COMMON.version,
    };
    await (await open()).enqueueInTransaction(shared.clientOf(trx), shift, planId, after);
  }

  /** What DBOS's tables refuse is no reason for the rest of the transaction to fail. */
  async function attempt(trx: Transaction, work: () => Promise<unknown>): Promise<void> {
    const { query } = shared.clientOf(trx);
    await query("savepoint dbos");
    try {
      await work();
    } catch {
      // Fails where the connection is lost, and with it all.
      await query("rollback to savepoint dbos");
    }
  }

  return {
    queue,
    pool,
    insist,
    async ready() {
      await open();
    },
    offer: (trx, planId, after) => attempt(trx, () => insist(trx, planId, after)),
    async tell(trx, { planId, epoch, entries }) {
      const message: ShiftMessage = { entries };
      const to = nameOfShift(planId, epoch - 1);
      const dbos = await open();
      await attempt(trx, () =>
        dbos.sendInTransaction(shared.clientOf(trx), to, message, COMMON.topic, `entries ${entries}`),
      );
    },
    async end(planId, after) {
      const message: ShiftMessage = {};
      const sent = open().then((dbos) => dbos.send(nameOfShift(planId, after), message, COMMON.topic, "end"));
      await sent.catch(() => {});
    },
    async cancel(planId, after) {
      await open()
        .then((dbos) => dbos.cancelWorkflow(nameOfShift(planId, after)))
        .catch(() => {});
    },
    async resume(planId, after) {
      const dbos = await open();
      const name = nameOfShift(planId, after);
      const status = (await dbos.getWorkflow(name))?.status;
      if (status === "SUCCESS" || status === "ERROR") return false;
      if (status !== undefined && status !== "ENQUEUED")
        await dbos.resumeWorkflow(name, { queueName: queue });
      return true;
    },
    async prune() {
      const dbos = await open();
      const old = await dbos.listWorkflows({
        queueName: queue,
        status: ["SUCCESS", "ERROR", "CANCELLED"],
        completedBefore: new Date(Date.now() - KEPT_MS).toISOString(),
        limit: REMOVED_AT_ONCE,
        loadInput: false,
        loadOutput: false,
      });
      if (old.length > 0) await dbos.deleteWorkflows(old.map(({ workflowID }) => workflowID));
    },
  };
}
