import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from "kysely";
import type Libsql from "libsql";
import { setBounded } from "../shared/bounded-map.js";
import { explained } from "./sqlite-error.js";

/** Statements kept prepared: more than the product has; lists of values of every length come on top. */
const STATEMENTS_KEPT = 200;

/** One connection of the library, as the query builder wants it. Queries throw StoreErrors, or what is their own mistake. */
export class SqliteConnection implements SqliteDatabase {
  readonly #library: Libsql.Database;
  readonly #assertCurrent: () => void;
  readonly #statements = new Map<string, SqliteStatement>();
  /** A transaction has begun, and its end has not: the library is not asked, which ends the process once it is closed. */
  isWithinTransaction = false;
  #hasBeenAsked = false;

  /**
   * @param assertCurrent called before each query, and of a transaction before it begins and before it is committed; throws
   * when the file is not the one that was opened
   */
  constructor(library: Libsql.Database, assertCurrent: () => void = () => {}) {
    this.#library = library;
    this.#assertCurrent = assertCurrent;
  }

  prepare(sql: string): SqliteStatement {
    if (!this.isWithinTransaction) this.#assertCurrent();
    this.#hasBeenAsked = true;
    const statement = this.#statements.get(sql) ?? prepare(this.#library, sql);
    setBounded(this.#statements, sql, statement, STATEMENTS_KEPT);
    return statement;
  }

  /** After some errors, such as a full disk, SQLite has done so itself. */
  rollback(): void {
    if (this.#library.inTransaction) this.#library.exec("rollback");
  }

  close(): void {
    // The library lets go of the files only when its statements are collected: leave nothing to be done by then.
    this.#statements.clear();
    try {
      // A connection that has read nothing yet would open the log of another database that is in its place by now. One that
      // has read empties its own, which would else be taken for that of the file in its place.
      if (!this.#hasBeenAsked) this.#assertCurrent();
      this.#library.exec("pragma wal_checkpoint(truncate)");
    } catch {
      // Whoever uses it next does so.
    }
    this.#library.close();
  }

  dialect(): Dialect {
    return {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new Driver(this),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    };
  }
}

class Driver extends SqliteDriver {
  readonly #database: SqliteConnection;

  constructor(database: SqliteConnection) {
    super({ database });
    this.#database = database;
  }

  /** A transaction that takes the lock later fails when another process has written since its first read. */
  override async beginTransaction(connection: DatabaseConnection) {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
    this.#database.isWithinTransaction = true;
  }

  override commitTransaction(connection: DatabaseConnection) {
    this.#database.isWithinTransaction = false;
    return super.commitTransaction(connection);
  }

  override async rollbackTransaction() {
    this.#database.isWithinTransaction = false;
    this.#database.rollback();
  }
}

function prepare(library: Libsql.Database, sql: string): SqliteStatement {
  const statement = explained(() => library.prepare(sql));
  const all: SqliteStatement["all"] = (values) => {
    values.forEach(assertStorable);
    return explained(() => statement.all(values));
  };
  return {
    reader: statement.reader,
    all,
    iterate: (values) => all(values)[Symbol.iterator](),
    run(values) {
      values.forEach(assertStorable);
      return explained(() => statement.run(values));
    },
  };
}

/** The library ends the whole process for some values of other kinds, a boolean for one. */
function assertStorable(value: unknown): void {
  if (value === null || ["string", "number", "bigint"].includes(typeof value)) return;
  if (value instanceof Uint8Array) return;
  throw new TypeError(`A ${typeof value} cannot be stored.`);
}
