import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readBegan } from "../../src/engine/agent/process-list.js";
import { resolveEngineKey } from "../../src/engine/background/engine-key.js";
import {
  type CreateEngineServer,
  type EngineServer,
  runEngineProcess,
} from "../../src/engine/background/engine-process.js";
import { findOrStartEngine } from "../../src/engine/background/find-or-start.js";
import { createSpawnEngine, type SpawnEngine } from "../../src/engine/background/spawn-engine.js";
import { lastingIdentity } from "../../src/shared/background/process-life.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";

/** How a stand-in behaves; it is a whole engine but for the runs. */
export interface StandIn {
  version?: string;
  runs?: number;
  background?: boolean;
  idleMs?: number;
  settingsKey?: string;
  /** Says so and ends while it is opened. */
  fails?: string;
  /** Does not hear SIGTERM. */
  deaf?: boolean;
  /** Has a process at work, in a group of its own as agents are; it is in the roll. */
  agent?: boolean;
}

/** Where each stand-in writes down its process, and that it listens. */
export const ROLL = "stand-ins.txt";

/** An HTTP server with nothing but the health check. */
export function createStandInServer(
  standIn: StandIn & { version: string },
): (options: Pick<Parameters<CreateEngineServer>[0], "host" | "port" | "touch">) => Promise<EngineServer> {
  return async ({ host, port, touch }) => {
    const server: Server = createServer((request, response) => {
      touch();
      const { version, runs = 0 } = standIn;
      const health = { status: "healthy", version, environment: "local", active_runs: runs, clients: 0 };
      response.writeHead(request.url === "/health" ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(health));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(port, host, resolve);
    });
    return {
      url: `http://${host}:${(server.address() as AddressInfo).port}`,
      activeRuns: () => standIn.runs ?? 0,
      clients: () => 0,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  };
}

/** What starts stand-ins in the background, the way engines are started. */
export function spawnStandIn(script: string, stateFolder: string, standIn: StandIn = {}): SpawnEngine {
  return createSpawnEngine({
    program: process.execPath,
    args: [script, "engine", stateFolder, JSON.stringify(standIn)],
    env: { PATH: process.env.PATH },
    cwd: stateFolder,
    stateFolder,
  });
}

async function runStandIn(stateFolder: string, standIn: StandIn): Promise<number> {
  const version = standIn.version ?? "1.0.0";
  const identity = await lastingIdentity();
  const enrol = (what: string, who = identity) =>
    appendFileSync(join(stateFolder, ROLL), `${JSON.stringify({ what, ...who })}\n`);
  enrol("began");
  const { settingsKey, idleMs, background = true } = standIn;
  return runEngineProcess({
    stateFolder,
    version,
    background,
    host: "127.0.0.1",
    ...(settingsKey ? { settingsKey } : {}),
    ...(idleMs ? { idleMs: () => idleMs } : {}),
    async createEngineServer(options) {
      if (standIn.fails) throw new Error(standIn.fails);
      const server = await createStandInServer({ ...standIn, version })(options);
      if (standIn.agent) {
        const { pid = 0 } = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
        enrol("agent", { ...identity, pid, began: readBegan(pid) });
      }
      enrol("listens");
      return server;
    },
    clock: systemClock,
    log: createLog({ level: "info", stderr: process.stderr }),
    onSignal(listener) {
      const hear = () => {
        if (!standIn.deaf) listener("SIGTERM");
      };
      process.on("SIGTERM", hear);
      return () => process.off("SIGTERM", hear);
    },
  });
}

/** The window of a chat client: waits for the word to begin, then finds the engine and says what it got. */
async function findAsWindow(stateFolder: string, standIn: StandIn): Promise<void> {
  process.stdout.write("ready\n");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  const found = await findOrStartEngine({
    stateFolder,
    version: "1.0.0",
    spawnEngine: spawnStandIn(fileURLToPath(import.meta.url), stateFolder, standIn),
    clock: systemClock,
    log: createLog({ level: "info", stderr: process.stderr }),
  });
  process.stdout.write(`${JSON.stringify(found)}\n`);
}

const [, script, role, stateFolder = "", json = "{}"] = process.argv;
if (script === fileURLToPath(import.meta.url)) {
  if (role === "engine") process.exit(await runStandIn(stateFolder, JSON.parse(json)));
  if (role === "window") await findAsWindow(stateFolder, JSON.parse(json));
  if (role === "key") process.stdout.write(await resolveEngineKey({ stateFolder }));
  process.exit(0);
}
