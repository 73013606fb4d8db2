import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PASSWORD, type PostgresServer, startPostgres } from "../../support/postgres-server.js";
import { type Machines, namespacesAsMachines, processesAsMachines } from "./machines.js";
import { type ClusterWorker, createClusterWorker, KEY } from "./worker.js";

/** What no worker may log. */
export const SECRETS = { "the database's password": PASSWORD, "the API key": KEY };

/** Workers on machines, with one database. */
export interface Cluster {
  workers: readonly ClusterWorker[];
  postgres: PostgresServer;
  /** The address of the database that they share. */
  database: string;
  /** Asks that database. */
  query: <Row extends object>(sql: string) => Promise<Row[]>;
  /** Takes the worker's cable to the database out, or puts it back; undefined where there is none. */
  link: ((worker: number, state: "up" | "down") => Promise<void>) | undefined;
  /** Ends all of it, and removes what it has on the disk. */
  dispose(): Promise<void>;
}

export interface ClusterOptions {
  /** PostgreSQL's programs. */
  programs: string;
  workers: number;
  /** Namespaces as machines; else processes. */
  namespaces: boolean;
  /** Tells the network from those of other clusters, 0 to 249. */
  net: number;
  /** The agents' program, and settings of the workers, without the prefix of their names. */
  agent?: string | undefined;
  settings?: Record<string, string>;
  postgresSettings?: readonly string[];
}

/** Starts the database and the workers, and waits until all listen. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { programs, namespaces, net, agent, settings } = options;
  const folder = mkdtempSync(join(tmpdir(), "cluster-"));
  const ends: (() => Promise<unknown>)[] = [];
  async function dispose(): Promise<void> {
    for (const end of ends.reverse()) await end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  try {
    const machines: Machines = namespaces
      ? await namespacesAsMachines(options.workers, net)
      : processesAsMachines(options.workers);
    ends.push(machines.dispose);
    const { place } = machines;
    const postgresSettings = options.postgresSettings ?? [];
    const postgres = await startPostgres(programs, { durable: true, place, settings: postgresSettings });
    ends.push(postgres.dispose);
    const database = await postgres.createDatabase();
    const name = new URL(database).pathname.slice(1);
    const workers = machines.all.map((machine, index) =>
      createClusterWorker({ index, machine, folder, database, agent, ...(settings ? { settings } : {}) }),
    );
    ends.push(() => Promise.all(workers.map((worker) => worker.kill())));
    const up = await Promise.all(workers.map((worker) => worker.start()));
    const failed = workers[up.indexOf(false)];
    if (failed) throw new Error(`A worker did not start: ${failed.log().slice(-1_000)}`);
    const { all } = machines;
    return {
      ...{ workers, postgres, database, dispose },
      query: <Row extends object>(sql: string) => postgres.query<Row & Record<string, unknown>>(sql, name),
      link: all[0]?.link && (async (worker, state) => all[worker]?.link?.(state)),
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
