import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PASSWORD, type PostgresServer, startPostgres } from "../../support/postgres-server.js";
import { openAddress } from "./address.js";
import { type Machines, namespacesAsMachines, processesAsMachines } from "./machines.js";
import { type ClusterProgram, KEY } from "./program.js";
import { createClusterServer, TOKEN } from "./server.js";
import { type ClusterWorker, createClusterWorker } from "./worker.js";

/** What no program may log. */
export const SECRETS = {
  "the database's password": PASSWORD,
  "the API key": KEY,
  "the clients' token": TOKEN,
};

/** Workers and servers on machines, with one database. */
export interface Cluster {
  workers: readonly ClusterWorker[];
  /** They reach the workers at one address, and carry plans out. */
  servers: readonly ClusterProgram[];
  /** All that runs. */
  programs: readonly ClusterProgram[];
  postgres: PostgresServer;
  /** The address of the database that they share. */
  database: string;
  /** Asks that database. */
  query: <Row extends object>(sql: string) => Promise<Row[]>;
  /** Takes the machine's cable to the database, and to the one address, out or puts it back; undefined where there is none. */
  link: ((machine: number, state: "up" | "down") => Promise<void>) | undefined;
  /** Ends all of it, and removes what it has on the disk. */
  dispose(): Promise<void>;
}

export interface ClusterOptions {
  /** PostgreSQL's programs. */
  programs: string;
  workers: number;
  /** Servers on the machines of the first workers. */
  servers?: number;
  /** Namespaces as machines; else processes. */
  namespaces: boolean;
  /** Tells the network from those of other clusters, 0 to 249. */
  net: number;
  /** The agents' program, and settings of the workers, without the prefix of their names. */
  agent?: string | undefined;
  settings?: Record<string, string>;
  postgresSettings?: readonly string[];
}

/** Starts the database, the workers and the servers, and waits until all listen. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { programs, namespaces, net, agent, settings, servers: serverCount = 0 } = options;
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
    await startAll(workers);
    const address = await openAddress(machines.here, () => workers);
    ends.push(address.close);
    const servers = machines.all
      .slice(0, serverCount)
      .map((machine, index) => createClusterServer({ index, machine, folder, database, api: address.url }));
    await startAll(servers);
    const { all } = machines;
    return {
      ...{ workers, servers, programs: [...workers, ...servers], postgres, database, dispose },
      query: <Row extends object>(sql: string) => postgres.query<Row & Record<string, unknown>>(sql, name),
      link: all[0]?.link && (async (machine, state) => all[machine]?.link?.(state)),
    };
    async function startAll(some: readonly ClusterProgram[]): Promise<void> {
      ends.push(() => Promise.all(some.map((one) => one.kill())));
      const up = await Promise.all(some.map((one) => one.start()));
      const failed = some[up.indexOf(false)];
      if (failed) throw new Error(`${failed.name} did not start: ${failed.log().slice(-1_000)}`);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
}
