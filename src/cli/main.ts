#!/usr/bin/env node
// First, because each schema looks at it when it is made.
import "./no-jit.js";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import type { Connection } from "../api/http.js";
import { refuseInsideAgent } from "../engine/agent/mark.js";
import { createStartLine } from "../runs/start-limiter.js";
import { createServer, type ServerOptions } from "../server/server.js";
import { createSessionStore } from "../sessions/store/open-session-store.js";
import {
  listEngineVariables,
  listGivenVariables,
  readSettings,
  type Settings,
  SettingsError,
} from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import { createLog, type Log } from "../shared/log.js";
import { resolveStateFolder } from "../shared/state-folder.js";
import { VERSION } from "../shared/version.js";
import { type CommandLine, readCommandLine, renderHelp } from "./command-line.js";

/** Calls in flight get this long to be answered when the server is told to stop, in ms. */
const GRACE_MS = 3_000;
/** With nobody left to answer, only what is being written is waited for. */
const GRACE_ALONE_MS = 400;
/** Whatever hangs while stopping, this long after the grace the process is gone, in ms. */
const STOP_LIMIT_MS = 500;
/** The same over HTTP, where answers and connections of several clients are waited for. */
const HTTP_STOP_LIMIT_MS = 1_500;

try {
  const commandLine = readCommandLine(process.argv.slice(2));
  const { command, flags } = commandLine;
  const refusal = command === "help" || command === "version" ? undefined : refuseInsideAgent(process.env);
  if (refusal) throw new SettingsError(refusal);
  if (command === "help") process.stdout.write(renderHelp());
  else if (command === "version") process.stdout.write(`${VERSION}\n`);
  else if (command === "demo") await showDemo(commandLine);
  else if (command === "stdio") await serveStdio(readSettings(process.env, flags), flags);
  else if (command === "install") await installClient(commandLine);
  else if (command === "doctor") await examine(commandLine);
  else if (command === "serve") await serve(readSettings(process.env, flags), commandLine);
  else await runEngine({ ...commandLine, command });
} catch (error) {
  process.stderr.write(`automagik-workflows-mcp: ${(error as Error).message}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}

async function showDemo({ flags, yes }: CommandLine): Promise<void> {
  const { runDemo } = await import("./demo/demo.js");
  const serverScript = fileURLToPath(import.meta.url);
  // Of the person's settings only the agent's program is the demo's business.
  const { AUTOMAGIK_WORKFLOWS_CLAUDE_PATH } = process.env;
  const { engine, claudePath } = readSettings({ AUTOMAGIK_WORKFLOWS_CLAUDE_PATH }, flags);
  const real = { claudePath: claudePath && expandHome(claudePath), env: process.env, yes: yes === true };
  await runDemo({ serverScript, ...(engine === "local" ? { engine: real } : {}) });
}

async function installClient(commandLine: CommandLine): Promise<void> {
  const { client = "", flags, name, yes, print, project } = commandLine;
  const { runInstall } = await import("./install/install.js");
  const { createConfigFiles } = await import("./install/config-files.js");
  const { chooseLaunch } = await import("./install/launch.js");
  const { findClaudeCli } = await import("./install/claude-cli.js");
  const { createAsk } = await import("./install/ask.js");
  const settings = readSettings(process.env, flags);
  const env = foreignEnvironment();
  const { platform } = process;
  const runClaude = client === "claude-code" ? await findClaudeCli({ env, platform }) : undefined;
  const ask = createAsk(process.stdin, process.stderr);
  const code = await runInstall({
    client,
    yes: yes === true,
    print: print === true,
    project: project === true,
    withKey: commandLine["with-key"] === true,
    ...(name ? { name } : {}),
    launch: chooseLaunch({
      script: fileURLToPath(import.meta.url),
      node: process.execPath,
      platform,
      shared: project === true,
    }),
    ...listGivenVariables(process.env, flags),
    ...(settings.apiKey ? { apiKey: settings.apiKey } : {}),
    env,
    // Not what the system's list of users says in its place: a service's home is not the person's.
    home: platform === "win32" ? homedir() : (process.env.HOME ?? ""),
    platform,
    cwd: process.cwd(),
    files: createConfigFiles(),
    ...(runClaude ? { runClaude } : {}),
    ...(ask ? { ask } : {}),
    now: Date.now,
    out: (text) => process.stdout.write(text),
  });
  await leave(code);
}

async function examine({ flags, json }: CommandLine): Promise<void> {
  const { runDoctor } = await import("./doctor/doctor.js");
  let settings: Settings | SettingsError;
  try {
    settings = readSettings(process.env, flags);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    settings = error;
  }
  const code = await runDoctor({
    settings,
    env: foreignEnvironment(),
    home: homedir(),
    platform: process.platform,
    nodeVersion: process.versions.node,
    clock: systemClock,
    json: json === true,
    out: (text) => process.stdout.write(text),
  });
  await leave(code);
}

/** Ends the process once what was written has gone out. */
async function leave(code: number): Promise<never> {
  await new Promise((resolve) => process.stdout.write("", resolve));
  process.exit(code);
}

async function serveStdio(settings: Settings, flags: CommandLine["flags"]): Promise<void> {
  const secrets = [settings.apiKey, settings.state];
  const log = openLog(settings, secrets);
  const server = createServer({
    ...describeServer(settings, flags, log, secrets),
    sharesMachine: true,
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
  // The end of stdin is the one sign of a vanished client that every platform gives; what it has sent is answered first.
  server.onIdle(() => void stop(GRACE_ALONE_MS, "the client has gone"));
  process.stdout.on("error", () => void stop(0, "the client does not read any more"));
  await server.serveStdio({ input: process.stdin, output: process.stdout });
}

/** Serves over HTTP until it is told to stop. */
async function serve(settings: Settings, { flags, sse }: CommandLine): Promise<void> {
  const { settleTokens } = await import("../server/http/serve-settings.js");
  const tokens = settleTokens(settings);
  const secrets = [settings.apiKey, settings.state, ...tokens.map(({ token }) => token)];
  const log = openLog(settings, secrets);
  const { serveHttp } = await import("../server/fastmcp/serve-http.js");
  const { KEY_HEADER } = await import("../server/http/callers.js");
  const common: ServerOptions = {
    ...describeServer(settings, flags, log, secrets),
    sharesMachine: false,
    gitHosts: settings.httpGitHosts ?? [],
    // A caller with a key of its own stands in the same line as all others.
    startLine: createStartLine({ limit: settings.maxConcurrentRuns, clock: systemClock }),
  };
  const server = createServer(common);
  const served = await serveHttp({
    server,
    createServerForKey(apiKey) {
      // Whoever brings the key that this server has is served with it anyway, at one rate.
      if (apiKey === settings.apiKey) return { ...server, close: async () => {} };
      secrets.push(apiKey);
      const { store: _, ...rest } = common;
      const own = createServer({
        ...rest,
        settings: { ...settings, apiKey },
        refusedKeyAdvice: `Open a new session with a key in ${KEY_HEADER} that this API accepts.`,
      });
      return {
        ...own,
        async close(graceMs) {
          await own.close(graceMs);
          secrets.splice(secrets.lastIndexOf(apiKey), 1);
        },
      };
    },
    clock: systemClock,
    log,
    host: settings.httpHost,
    port: settings.httpPort,
    allowedHosts: settings.httpAllowedHosts ?? [],
    allowedOrigins: settings.httpOrigins ?? [],
    tokens,
    takesKeys: settings.callerKeys === "on",
    sse: sse === true,
    replica: settings.httpReplica,
    requestsPerMinute: settings.httpRate,
    maxSessions: settings.httpMaxSessions,
    maxCalls: settings.httpMaxCalls,
    bodyLimitBytes: settings.httpBodyLimitKib * 1024,
    idleMs: settings.httpIdleTimeoutS * 1000,
  });
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      log.info(`Stopping: ${signal}`);
      setTimeout(() => process.exit(0), GRACE_MS + HTTP_STOP_LIMIT_MS);
      void served.close(GRACE_MS).then(() => process.exit(0));
    });
  }
  // Not by the log, whose level may hide it: the port may be any free one, and somebody has to know it.
  process.stderr.write(`Serving at ${served.url}/mcp${tokens.length > 0 ? ", with a token" : ""}\n`);
}

/** The log of a process that serves, which from now on also takes unexpected errors and what libraries print. */
function openLog(settings: Settings, secrets: (string | undefined)[]): ReturnType<typeof createLog> {
  const log = createLog({ level: settings.logLevel, secrets, stderr: process.stderr });
  captureConsole(log);
  // A client that went away may have taken stderr with it, which is no reason to fall over while stopping.
  process.stderr.on("error", () => {});
  process.on("uncaughtException", (error) => {
    log.error(`Unexpected error; this server shuts down: ${error?.message}`);
    process.exit(1);
  });
  process.on("unhandledRejection", (error) =>
    log.error(`Unhandled promise rejection: ${(error as Error)?.message}`),
  );
  if (!settings.apiKey && settings.engine === "off")
    log.warn("No API key: set AUTOMAGIK_WORKFLOWS_API_KEY. Nothing can be run without it.");
  return log;
}

/** What a server is made of, whichever way it serves. */
function describeServer(
  settings: Settings,
  flags: CommandLine["flags"],
  log: Log,
  secrets: (string | undefined)[],
): ServerOptions {
  return {
    settings,
    log,
    store: createSessionStore({
      state: settings.state,
      folder: findStateFolder(settings),
      // The engine's port may change; its sessions stay the same.
      upstream: settings.engine === "local" ? "engine on this machine" : settings.baseUrl,
      onProblem: ({ message }) => log.warn(message),
    }),
    env: foreignEnvironment(),
    locate: settings.engine === "local" ? createLocate(settings, flags, log, secrets) : undefined,
  };
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
    const { findOrStartEngine } = await import("../engine/background/find-or-start.js");
    const { createSpawnEngine, engineEnvironment } = await import("../engine/background/spawn-engine.js");
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
  const { runEngineCommand } = await import("./engine.js");
  const { engineEnvironment } = await import("../engine/background/spawn-engine.js");
  const { createAsk } = await import("./install/ask.js");
  // A terminal that is gone is no reason to fall over while runs are ended.
  process.stderr.on("error", () => {});
  const stateFolder = findStateFolder(settings);
  const code = await runEngineCommand({
    command,
    background: commandLine.background === true,
    force: commandLine.force === true,
    ask: createAsk(process.stdin, process.stderr),
    settings,
    stateFolder,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    createLog(write, secrets) {
      const log = createLog({ level: settings.logLevel, secrets, stderr: { write } });
      captureConsole(log);
      process.on("uncaughtException", (error) => {
        log.error(`Unexpected error; the engine shuts down: ${error?.message}`);
        process.exit(1);
      });
      process.on("unhandledRejection", (error) =>
        log.error(`Unhandled promise rejection: ${(error as Error)?.message}`),
      );
      return log;
    },
    onSignal(listener) {
      const hangUp = () => listener("SIGTERM");
      process.on("SIGTERM", listener).on("SIGINT", listener).on("SIGHUP", hangUp);
      return () => process.off("SIGTERM", listener).off("SIGINT", listener).off("SIGHUP", hangUp);
    },
    async createEngineServer(options) {
      const { createLocalEngine } = await import("../engine/create-local-engine.js");
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
