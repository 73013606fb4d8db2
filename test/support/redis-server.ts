import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findProgram } from "./debian-program.js";
import { freePort } from "./free-port.js";

const START_LIMIT_MS = 10_000;

/** The path of `redis-server`, or undefined where there is none and it cannot be installed; see findProgram. */
export function findRedisServer(): Promise<string | undefined> {
  return findProgram("redis-server", "redis-server", "Tests on Redis");
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
