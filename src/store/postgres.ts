import { randomUUID } from "node:crypto";
import {
  CompiledQuery,
  Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  sql,
} from "kysely";
import type { ClientBase } from "pg";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { Database, type SharedDatabase, type Transaction } from "./database.js";
import { listMissing, listNewer, migrate, readApplied } from "./migrate.js";
import { PostgresConnections } from "./postgres-connection.js";
import { AwayError } from "./postgres-error.js";
import { StoreError } from "./store-error.js";
import type { Tables } from "./tables.js";
import { whenFree } from "./when-free.js";

/** As `server_version_num` tells it: older ones get no corrections any more. */
export const OLDEST_VERSION = 130_000;
/** So long a change waits for other servers that write, in all and in one statement, in ms. */
const [GIVE_UP_AFTER_MS, LOCK_MS] = [30_000, 2_000];
/** A machine that vanishes in the middle of a change holds the others up for so long, in ms. */
const IDLE_MS = 10_000;
const PLACE = { what: "The PostgreSQL database", instead: "database in AUTOMAGIK_WORKFLOWS_DATABASE" };

/**
 * Every change takes one lock before it reads: changes come one after the other, as in SQLite, so that what is read (the
 * number of the last change, a record) is still so when it is written, and who reads by these numbers misses none. The
 * lock ends with the transaction, whatever becomes of its process. Measured with 8 processes that change one session:
 * 72 changes a second, and 42 with serializable transactions that begin anew after a conflict, three of four in vain;
 * with a session for each process 88 and 47. The lock's number is ours alone: any that others do not use.
 */
const takeLock = (lockMs: number) =>
  `select set_config('lock_timeout', '${lockMs}', true),
    set_config('idle_in_transaction_session_timeout', '${IDLE_MS}', true);
  select pg_advisory_xact_lock(5273194802)`;

/**
 * Which change each process has made last, by which one whose answer was lost is not made twice. It is no step of the
 * tables, since a database of one machine has no use for it. The numbers of transactions do not tell that: a server that
 * was killed gives those that it has lost once more.
 */
const MARKS =
  "create table if not exists change_marks (writer uuid primary key, number bigint not null, made_at timestamptz not null)";
const FORGET_MARKS = "delete from change_marks where made_at < now() - interval '7 days'";

const STARTED = sql`extract(epoch from pg_postmaster_start_time()) * 1000`;
/** Its clock in epoch ms. */
const NOW = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::double precision`;

type Connection = Parameters<PostgresDriver["rollbackTransaction"]>[0];

/** The database of several servers. It is reached by the first query; nothing is asked of it before. */
export class PostgresDatabase extends Database {
  override readonly shared: SharedDatabase;
  readonly #connections: PostgresConnections;
  readonly #writer: Kysely<Tables>;
  readonly #changes = createKeyedMutex();
  #ready: Promise<void> | undefined;

  /**
   * @param address of the database; it is checked already
   * @param limitMs how long a server that is away is waited for; 3 s unless told
   * @throws StoreError where the library is not installed
   */
  static async open(address: string, limitMs?: number): Promise<PostgresDatabase> {
    return new PostgresDatabase(await PostgresConnections.open(address, limitMs));
  }

  private constructor(connections: PostgresConnections) {
    super({ dialect: new PostgresDialect({ pool: connections.reading }) });
    this.#connections = connections;
    this.#writer = new Kysely<Tables>({ dialect: new Dialect(connections) });
    this.shared = {
      now: NOW,
      silentSince: (column) => sql<number>`${NOW} - greatest(${sql.ref(column)}, ${STARTED})`,
      digest: (column) => sql<string>`encode(sha256(convert_to(${sql.ref(column)}, 'UTF8')), 'hex')`,
      readNow: async (db) =>
        (await sql<{ now: number }>`select ${NOW} as now`.execute(db)).rows[0]?.now as number,
      losses: () => connections.losses,
      reach: async () => {
        const { isReadOnly } = await this.inspect();
        if (isReadOnly) throw new StoreError("The PostgreSQL server is a replica that takes no writes.");
      },
      notify: async (trx, channel, payload) =>
        void (await sql`select pg_notify(${channel}, ${payload})`.execute(trx)),
      listen: (channel, onNotice) => connections.listen(channel, onNotice),
      openPool: (size) => connections.openPool(size),
      clientOf,
    };
  }

  /**
   * Counts what may have put another database in the place of the one that was read: a lost connection may be followed by
   * one to a copy that lacks the last changes, and whose numbers of changes are others.
   */
  get losses(): number {
    return this.#connections.losses;
  }

  /**
   * Brings the database up to date, once; until that has succeeded, each call tries.
   * @param now epoch ms
   * @throws StoreError when it cannot be used: away, too old, no rights, changed by a newer release
   */
  prepare(now: number): Promise<void> {
    this.#ready ??= this.#bringUpToDate(now).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #bringUpToDate(now: number): Promise<void> {
    const { version, hasMarks } = await this.inspect();
    if (version < OLDEST_VERSION)
      throw new StoreError("The PostgreSQL server is older than version 13, which is needed.");
    const bring = async () => {
      // Who may not create tables can still use those that are there.
      if (!hasMarks) await this.#connections.send([takeLock(LOCK_MS), MARKS].join("; "));
      await migrate(this.#writer, now, PLACE);
    };
    await this.#insist(bring);
  }

  /** The server's version as a number, whether it takes no writes, and its clock in epoch ms. @throws StoreError */
  async inspect(): Promise<{ version: number; isReadOnly: boolean; now: number; hasMarks: boolean }> {
    const query = sql<
      Awaited<ReturnType<PostgresDatabase["inspect"]>>
    >`select current_setting('server_version_num')::int as version, pg_is_in_recovery() as "isReadOnly",
        ${NOW} as now,
        to_regclass('change_marks') is not null as "hasMarks"`;
    const { rows } = await query.execute(this);
    return rows[0] as (typeof rows)[0];
  }

  /**
   * The version that made the last step, whether that is a later one, and whether tables can be created; nothing is
   * changed. @throws StoreError
   */
  async inspectTables(): Promise<{ release: string | undefined; isNewer: boolean; mayCreate: boolean }> {
    const applied = await readApplied(this);
    listMissing(applied, PLACE);
    const last = applied.at(-1);
    const may = sql<{ may: boolean }>`select has_schema_privilege(current_schema(), 'create') as may`;
    const { rows } = await may.execute(this);
    return {
      release: last?.release,
      isNewer: listNewer(applied).length > 0,
      mayCreate: rows[0]?.may === true,
    };
  }

  /** Whether a server of this release, or of one before it, has made the table. @throws StoreError */
  async hasTable(name: keyof Tables): Promise<boolean> {
    const has = sql<{ has: boolean }>`select to_regclass(${name}) is not null as has`;
    return (await has.execute(this)).rows[0]?.has === true;
  }

  override change<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    // One at a time, so that others of this process can read while one waits for the lock.
    return this.#changes.run("all", () => this.#insist(() => this.#writer.transaction().execute(work)));
  }

  /** Does the work, again while the server is away or others write. */
  #insist<T>(work: () => Promise<T>): Promise<T> {
    return whenFree(() => this.#connections.persist(work), performance.now() + GIVE_UP_AFTER_MS);
  }

  /** Closes it. */
  override destroy(): Promise<void> {
    return this.#connections.close();
  }
}

/** Whatever is more than a query in one transaction is the transaction's own business. */
function clientOf(transaction: Transaction): ClientBase {
  async function query(statement: string, parameters: readonly unknown[] = []) {
    const { rows, numAffectedRows } = await transaction.executeQuery(
      CompiledQuery.raw(statement, [...parameters]),
    );
    return { rows, rowCount: Number(numAffectedRows ?? rows.length) };
  }
  return { query } as unknown as ClientBase;
}

class Dialect extends PostgresDialect {
  readonly #connections: PostgresConnections;

  constructor(connections: PostgresConnections) {
    super({ pool: connections.writing });
    this.#connections = connections;
  }

  override createDriver(): PostgresDriver {
    return new Driver({ pool: this.#connections.writing }, this.#connections);
  }
}

class Driver extends PostgresDriver {
  readonly #connections: PostgresConnections;
  readonly #takeLock: string;
  readonly #self = randomUUID();
  /** Of the last change that was begun. */
  #number = 0;

  constructor(config: PostgresDialectConfig, connections: PostgresConnections) {
    super(config);
    this.#connections = connections;
    this.#takeLock = takeLock(Math.min(LOCK_MS, Math.floor(connections.limitMs / 2)));
  }

  override async beginTransaction(connection: Connection): Promise<void> {
    this.#number += 1;
    const mark = `insert into change_marks values ('${this.#self}', ${this.#number}, now())
      on conflict (writer) do update set number = excluded.number, made_at = excluded.made_at`;
    const begin = ["begin", this.#takeLock, mark, ...(this.#number === 1 ? [FORGET_MARKS] : [])];
    try {
      await connection.executeQuery(CompiledQuery.raw(begin.join("; ")));
    } catch (error) {
      await this.rollbackTransaction(connection);
      throw error;
    }
  }

  override async commitTransaction(connection: Connection): Promise<void> {
    const number = this.#number;
    try {
      await super.commitTransaction(connection);
    } catch (error) {
      if (!(error instanceof AwayError) || !(await this.#wasMade(number, error))) throw error;
    }
  }

  /** What has become of a change whose answer was lost: with the lock it is certain that the server is done with it. */
  async #wasMade(number: number, cause: AwayError): Promise<boolean> {
    const mark = `select 1 from change_marks where writer = '${this.#self}' and number = ${number}`;
    const query = [this.#takeLock, mark].join("; ");
    const look = () => this.#connections.persist(() => this.#connections.send(query));
    try {
      return (await whenFree(look, performance.now() + GIVE_UP_AFTER_MS)).length > 0;
    } catch {
      throw new StoreError(
        `${cause.message} It is not known whether the last change was stored.`,
        cause.code,
        "unknown",
      );
    }
  }

  /** A lost connection has done so itself. */
  override async rollbackTransaction(connection: Connection): Promise<void> {
    await super.rollbackTransaction(connection).catch(() => {});
  }
}
