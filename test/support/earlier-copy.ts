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
      // Nobody sees it by a connection from before, as with a server that has taken another one's place.
      const lock = `lock table ${TABLES.map((table) => `engine_${table}`).join(", ")} in access exclusive mode;`;
      const part = `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = '${name}' and pid <> pg_backend_pid();`;
      await server.query(`begin; ${lock} ${part} ${TABLES.map(anew).join(" ")} commit`, name);
    },
  };
}
