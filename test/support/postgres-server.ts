import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { findProgram } from "./debian-program.js";
import { freePort } from "./free-port.js";

const run = promisify(execFile);
const START_LIMIT_MS = 30_000;
/** Where Debian has the programs of each version. */
const VERSIONS = "/usr/lib/postgresql";
export const PASSWORD = "correct-horse-4711";

/**
 * The folder of PostgreSQL's programs, or undefined where there are none and they cannot be installed; see findProgram.
 */
export async function findPostgres(): Promise<string | undefined> {
  // What Debian's package puts on the path is a script of its own; it shows that the package is there.
  if (!(await findProgram("pg_ctlcluster", "postgresql", "Tests on PostgreSQL"))) return undefined;
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : join(VERSIONS, newest, "bin");
}

export interface PostgresServer {
  port: number;
  /** The address of an empty database of its own. */
  createDatabase(): Promise<string>;
  /** Asks the server as its owner. */
  query<Row extends pg.QueryResultRow>(sql: string, database?: string): Promise<Row[]>;
  /** Sends the server, and all processes that serve its connections, a signal; STOP and CONT freeze and thaw it. */
  signal(name: NodeJS.Signals): Promise<void>;
  /** Kills it, as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Makes a replica the primary. */
  promote(): Promise<void>;
  /** Kills it and removes its folder. */
  dispose(): Promise<void>;
}

/** Another network than that of this process, in which a server listens: a namespace that root has made. */
export interface PostgresPlace {
  /** An address there that this process reaches; in its net passwords are asked for, except of the owner. */
  host: string;
  /** The command that carries another one out there, as this user. */
  enter: (owner: { uid: number; gid: number }) => readonly string[];
}

/**
 * Starts a server of its own on a free port of loopback, in a temporary folder, and waits until it answers.
 * @param programs as findPostgres gives them
 * @param options.files put beside its data, by their names
 * @param options.durable whether it survives being killed; else it writes faster
 * @param options.place where it listens, if not on loopback
 * @param options.replicaOf it takes over what this one writes, and takes no writes of others
 * @throws with what it has written when it does not start within 30 s
 */
export async function startPostgres(
  programs: string,
  options: {
    durable?: boolean;
    settings?: readonly string[];
    files?: Record<string, string | Buffer>;
    place?: PostgresPlace | undefined;
    replicaOf?: Pick<PostgresServer, "port">;
  } = {},
): Promise<PostgresServer> {
  const owner = await findOwner();
  const folder = mkdtempSync(join(owner ? openFolder() : tmpdir(), "postgres-"));
  const { place } = options;
  const { host } = place ?? { host: "127.0.0.1" };
  const port = place ? 5432 : await freePort();
  if (owner) {
    chownSync(folder, owner.uid, owner.gid);
    chmodSync(folder, 0o700);
  }
  const as = { ...owner, cwd: "/", env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" } };
  const data = join(folder, "data");
  const { replicaOf } = options;
  const initdb = ["-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync"];
  const copy = ["-D", data, "-U", "owner", "-h", "127.0.0.1", "-p", `${replicaOf?.port}`, "-R", "-c", "fast"];
  if (replicaOf) await run(join(programs, "pg_basebackup"), copy, as);
  else await run(join(programs, "initdb"), initdb, as);
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    if (owner) chownSync(join(data, name), owner.uid, owner.gid);
  }
  if (place)
    appendFileSync(
      join(data, "pg_hba.conf"),
      "host all owner samenet trust\nhost all all samenet scram-sha-256\n",
    );
  let child: ChildProcess | undefined;
  let count = 0;
  // A test run that ends early must not leave a server behind: SIGQUIT ends it at once, with its processes.
  const endNow = () => void child?.kill("SIGQUIT");
  process.on("exit", endNow);

  async function query<Row extends pg.QueryResultRow>(sql: string, database = "postgres"): Promise<Row[]> {
    const client = new pg.Client({ host, port, user: "owner", database });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async function start(): Promise<void> {
    const settings = [
      ...[`listen_addresses=${host}`, `unix_socket_directories=${folder}`, "max_connections=60"],
      ...(options.durable ? [] : ["fsync=off", "synchronous_commit=off"]),
      ...(options.settings ?? []),
    ];
    const args = ["-D", data, "-p", `${port}`, ...settings.flatMap((one) => ["-c", one])];
    const program = join(programs, "postgres");
    const started =
      place && owner
        ? spawnBy([...place.enter(owner), program, ...args])
        : spawn(program, args, { ...as, stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    let output = "";
    started.stderr.setEncoding("utf8").on("data", (text) => (output += text));
    for (const until = performance.now() + START_LIMIT_MS; ; await delay(20)) {
      const isUp = await query("select 1").then(Boolean, () => false);
      if (isUp) return;
      if (started.exitCode === null && performance.now() < until) continue;
      await kill();
      throw new Error(`postgres did not start: ${output.slice(-500)}`);
    }
  }

  function spawnBy([command = "", ...args]: readonly string[]) {
    const { cwd, env } = as;
    return spawn(command, args, { cwd, env, stdio: ["ignore", "ignore", "pipe"] });
  }

  async function processes(): Promise<number[]> {
    if (!child?.pid) return [];
    const { stdout } = await run("ps", ["-o", "pid=", "--ppid", `${child.pid}`]).catch(() => ({
      stdout: "",
    }));
    return [child.pid, ...stdout.split("\n").flatMap((line) => Number(line) || [])];
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (!running?.pid || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, "exit");
    running.kill("SIGCONT");
    running.kill("SIGQUIT");
    await gone;
  }

  await start();
  return {
    port,
    async createDatabase() {
      count += 1;
      const [name, user] = [`team_${count}`, `user_${count}`];
      await query(`create role ${user} login password '${PASSWORD}'`);
      await query(`create database ${name} owner ${user}`);
      return `postgres://${user}:${PASSWORD}@${host}:${port}/${name}`;
    },
    query,
    async signal(name) {
      for (const pid of await processes()) {
        try {
          process.kill(pid, name);
        } catch (error) {
          // A connection that was lost meanwhile has ended its process.
          if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
        }
      }
    },
    kill,
    start,
    promote: async () => void (await query("select pg_promote()")),
    async dispose() {
      process.off("exit", endNow);
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Root's folders of tests are closed to others: the one in which they lie, which is not. */
function openFolder(): string {
  return tmpdir().startsWith("/dev/shm/") ? "/dev/shm" : "/tmp";
}

/** PostgreSQL refuses to run as root: there it is the user that Debian's package brings. */
async function findOwner(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => Number((await run("id", [flag, "postgres"])).stdout)),
  );
  return { uid: uid as number, gid: gid as number };
}
