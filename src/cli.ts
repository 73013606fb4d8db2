#!/usr/bin/env node
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { systemClock } from "./clock.js";
import { type CommandLine, readCommandLine, renderHelp } from "./command-line.js";
import { createLog, type Log } from "./log.js";
import { createServer } from "./server.js";
import { listEngineVariables, readSettings, type Settings, SettingsError } from "./settings.js";
import { createSessionStore } from "./state/open-session-store.js";
import { resolveStateFolder } from "./state/state-folder.js";
import type { Connection } from "./upstream/http.js";
import { VERSION } from "./version.js";

/** Calls in flight get this long to be answered when the server is told to stop, in ms. */
const GRACE_MS = 3_000;
/** With nobody left to answer, only what is being written is waited for. */
const GRACE_ALONE_MS = 400;
/** Whatever hangs while stopping, this long after the grace the process is gone, in ms. */
const STOP_LIMIT_MS = 500;

try {
  const commandLine = readCommandLine(process.argv.slice(2));
  const { command, flags } = commandLine;
  if (command === "help") process.stdout.write(renderHelp());
  else if (command === "version") process.stdout.write(`${VERSION}\n`);
  else if (command === "demo") await (await import("./demo/demo.js")).runDemo();
  else if (command === "stdio") await serveStdio(readSettings(process.env, flags), flags);
  else await runEngine({ ...commandLine, command });
} catch (error) {
  process.stderr.write(`automagik-workflows-mcp: ${(error as Error).message}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}

async function serveStdio(settings: Settings, flags: CommandLine["flags"]): Promise<void> {
  const secrets = [settings.apiKey, settings.state];
  const log = createLog({ level: settings.logLevel, secrets, stderr: process.stderr });
  captureConsole(log);
  // A client that went away may have taken stderr with it, which is no reason to fall over while stopping.
  process.stderr.on("error", () => {});
  process.on("uncaughtException", (error) => {
    log.error(`Something failed unforeseen, so this server ends: ${error?.message}`);
    process.exit(1);
  });
  if (!settings.apiKey && settings.engine === "off")
    log.warn("No API key: set AUTOMAGIK_WORKFLOWS_API_KEY. Nothing can be run without it.");
  const store = createSessionStore({
    state: settings.state,
    folder: findStateFolder(settings),
    // The engine's port may change; its sessions stay the same.
    upstream: settings.engine === "local" ? "engine on this machine" : settings.baseUrl,
    onProblem: ({ message }) => log.warn(message),
  });
  const server = createServer({
    settings,
    log,
    store,
    env: foreignEnvironment(),
    sharesMachine: true,
    locate: settings.engine === "local" ? createLocate(settings, flags, log, secrets) : undefined,
  });

  let stopping = false;
  async function stop(graceMs: number, why: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.debug(`Stopping: ${why}`);
    setTimeout(() => process.exit(0), graceMs + STOP_LIMIT_MS);
    await server.close(graceMs);
    // What is written to a pipe is not yet through it, and process.exit() waits for nothing.
    await new Promise((resolve) => process.stdout.write("", resolve));
    process.exit(0);
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // Told twice, the person is in a hurry.
      if (stopping) process.exit(1);
      void stop(GRACE_MS, signal);
    });
  }
  // The end of stdin is the one sign of a vanished client that every platform gives.
  for (const event of ["end", "close"] as const) {
    process.stdin.on(event, () => void stop(GRACE_ALONE_MS, "the client has gone"));
  }
  server.onIdle(() => void stop(GRACE_ALONE_MS, "the client has gone"));
  process.stdout.on("error", () => void stop(0, "the client does not read any more"));
  process.on("unhandledRejection", (error) =>
    log.error(`A promise failed unheard: ${(error as Error)?.message}`),
  );
  await server.serveStdio();
}

function findStateFolder(settings: Settings): string {
  return resolveStateFolder({
    ...(settings.stateDir ? { override: settings.stateDir } : {}),
    env: process.env,
    platform: process.platform,
    home: homedir(),
  });
}

/** What no shell has seen may still begin with the home folder's short name. */
function expandHome(path: string): string {
  return path.replace(/^~(?=$|[\\/])/, () => homedir());
}

/** For programs that are started: what they start in their turn (ssh, helpers) has no business with the key. */
function foreignEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("AUTOMAGIK_WORKFLOWS_")),
  );
}

/** Whatever a library prints must neither get between the protocol's lines nor past the log's censorship. */
function captureConsole(log: ReturnType<typeof createLog>): void {
  for (const name of ["log", "info", "debug", "trace", "warn", "error"] as const) {
    console[name] = (...args: unknown[]) => log[name]("", ...args);
  }
}

/**
 * With `--engine local`: finds or starts this machine's engine when it is first needed, and again when it has gone.
 * The keys it finds join the secrets of the log.
 */
function createLocate(
  settings: Settings,
  flags: CommandLine["flags"],
  log: Log,
  secrets: (string | undefined)[],
): () => Promise<Connection> {
  const stateFolder = findStateFolder(settings);
  return async () => {
    const { findOrStartEngine } = await import("./engine/local/find-or-start.js");
    const { createSpawnEngine, engineEnvironment } = await import("./engine/local/spawn-engine.js");
    const { url, apiKey, started } = await findOrStartEngine({
      stateFolder,
      version: VERSION,
      ...(settings.apiKey ? { settingsKey: settings.apiKey } : {}),
      spawnEngine: createSpawnEngine({
        program: process.execPath,
        args: [fileURLToPath(import.meta.url), "engine", "--background"],
        env: engineEnvironment(process.env, {
          ...listEngineVariables(process.env, flags),
          AUTOMAGIK_WORKFLOWS_STATE_DIR: stateFolder,
        }),
        cwd: homedir(),
        stateFolder,
      }),
      clock: systemClock,
      log,
    });
    if (!secrets.includes(apiKey)) secrets.push(apiKey);
    log.info(
      `Runs are carried out on this machine, by the engine at ${url}${started ? ", just started" : ""}.`,
    );
    return { baseUrl: url, apiKey };
  };
}

async function runEngine(commandLine: CommandLine & { command: `engine${string}` }): Promise<void> {
  const { command, flags } = commandLine;
  const settings = readSettings(process.env, flags);
  const { runEngineCommand } = await import("./engine/local/commands.js");
  const { engineEnvironment } = await import("./engine/local/spawn-engine.js");
  // A terminal that is gone is no reason to fall over while runs are ended.
  process.stderr.on("error", () => {});
  const stateFolder = findStateFolder(settings);
  const code = await runEngineCommand({
    command,
    background: commandLine.background === true,
    force: commandLine.force === true,
    settings,
    stateFolder,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    createLog(write, secrets) {
      const log = createLog({ level: settings.logLevel, secrets, stderr: { write } });
      captureConsole(log);
      process.on("uncaughtException", (error) => {
        log.error(`Something failed unforeseen, so the engine ends: ${error?.message}`);
        process.exit(1);
      });
      process.on("unhandledRejection", (error) =>
        log.error(`A promise failed unheard: ${(error as Error)?.message}`),
      );
      return log;
    },
    onSignal(listener) {
      const hangUp = () => listener("SIGTERM");
      process.on("SIGTERM", listener).on("SIGINT", listener).on("SIGHUP", hangUp);
      return () => process.off("SIGTERM", listener).off("SIGINT", listener).off("SIGHUP", hangUp);
    },
    async createEngineServer(options) {
      const { createLocalEngine } = await import("./engine/create-local-engine.js");
      return createLocalEngine({
        ...options,
        settings: {
          ...settings,
          claudePath: settings.claudePath && expandHome(settings.claudePath),
          engineAllowedFolders: settings.engineAllowedFolders?.map(expandHome),
        },
        env: engineEnvironment(process.env, {}),
        home: homedir(),
        platform: process.platform,
        clock: systemClock,
        version: VERSION,
      });
    },
  });
  await new Promise((resolve) => process.stdout.write("", resolve));
  process.exit(code);
}
