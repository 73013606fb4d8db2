import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Update and installation together take some 10 s where the network is good. */
const INSTALL_LIMIT_MS = 120_000;
const START_LIMIT_MS = 10_000;

/**
 * The path of `redis-server`, installed from the system's packages where that can be done without asking anybody.
 * Undefined where it cannot; the reason is written to stderr, so that a skipped test says why.
 */
export async function findRedisServer(): Promise<string | undefined> {
  const found = findOnPath("redis-server");
  if (found) return found;
  const obstacle = whyNotInstall() ?? (await install());
  const installed = findOnPath("redis-server");
  if (!installed) {
    process.stderr.write(`Tests on Redis are skipped: there is no redis-server, and ${obstacle}.\n`);
  }
  return installed;
}

function whyNotInstall(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can install it (apt-get install redis-server)";
  if (!findOnPath("apt-get")) return "there is no apt-get to install it";
  // Debian's package starts its server there, on its usual port.
  if (existsSync("/run/systemd/system")) return "installing it here would start a service";
  return undefined;
}

/** What went wrong, in one line. */
async function install(): Promise<string> {
  const options = {
    timeout: INSTALL_LIMIT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  // Another test may be installing something else.
  const wait = ["-o", "DPkg::Lock::Timeout=60"];
  try {
    // What is known of packages may do where the list cannot be fetched.
    await run("apt-get", [...wait, "update"], options).catch(() => undefined);
    await run("apt-get", [...wait, "install", "-y", "--no-install-recommends", "redis-server"], options);
    return "apt-get has not installed it";
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return `apt-get failed: ${(stderr || message).trim().split("\n").at(-1)}`;
  }
}

function findOnPath(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RedisServer {
  port: number;
  /** redis://127.0.0.1:… without credentials. */
  url: string;
  /** Sends the server a signal; STOP and CONT freeze and thaw it. */
  signal(name: NodeJS.Signals): void;
  /** Kills it; what it has not written to disk is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port, with what it has written. */
  start(): Promise<void>;
  /** Kills it and removes its folder. */
  dispose(): Promise<void>;
}

/**
 * Starts a server of its own on a free port of loopback, in a temporary folder, and waits until it answers. It keeps
 * nothing on disk unless `args` say so. Throws with what the server has written when it does not start within 10 s.
 */
export async function startRedisServer(program: string, args: string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "redis-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  // A test run that ends early must not leave a server behind.
  const killNow = () => void child?.kill("SIGKILL");
  process.on("exit", killNow);

  async function start(): Promise<void> {
    const fixed = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    const started = spawn(program, [...fixed, "--appendonly", "no", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    let output = "";
    for (const stream of [started.stdout, started.stderr]) stream.on("data", (text) => (output += text));
    let failed = "";
    started.on("error", (error) => (failed = error.message));
    const until = performance.now() + START_LIMIT_MS;
    while (!(await answers(port))) {
      if (failed || started.exitCode !== null || performance.now() > until) {
        await kill();
        throw new Error(`redis-server did not start: ${failed || output.slice(-500)}`);
      }
      await delay(20);
    }
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (!running?.pid || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, "exit");
    running.kill("SIGKILL");
    await gone;
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    signal: (name) => void child?.kill(name),
    kill,
    start,
    dispose: async () => {
      process.off("exit", killNow);
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Any reply will do: one that wants a password is up as well, one that is loading is not. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const done = (up: boolean) => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("data", (reply) => done(/^(\+PONG|-NOAUTH)/.test(reply.toString())));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
