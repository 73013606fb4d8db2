import type { PostgresServer } from "./postgres-server.js";

const TABLES = ["runs", "parts", "events"];

/** The runs of a shared database as they are at the moment, to be put in their place later. */
export interface EarlierCopy {
  /** Makes it otherwise: its tables are `copy_runs`, `copy_parts` and `copy_events`. */
  change(statement: string): Promise<unknown>;
  /** The database is this copy from now on, and all connections to it are lost. */
  putInPlace(): Promise<void>;
}

/** @param database its address */
export async function copyRuns(server: PostgresServer, database: string): Promise<EarlierCopy> {
  const name = new URL(database).pathname.slice(1);
  for (const table of TABLES)
    await server.query(`create table copy_${table} as select * from engine_${table}`, name);
  return {
    change: (statement) => server.query(statement, name),
    async putInPlace() {
      const anew = (table: string) =>
        `delete from engine_${table}; insert into engine_${table} select * from copy_${table};`;
      await server.query(`begin; ${TABLES.map(anew).join(" ")} commit`, name);
      await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    },
  };
}
