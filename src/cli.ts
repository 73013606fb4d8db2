#!/usr/bin/env node
import { homedir } from "node:os";
import { readCommandLine, renderHelp } from "./command-line.js";
import { createLog } from "./log.js";
import { createServer } from "./server.js";
import { readSettings, type Settings, SettingsError } from "./settings.js";
import { createFolderSessionStore } from "./state/session-store.js";
import { resolveStateFolder } from "./state/state-folder.js";
import { VERSION } from "./version.js";

/** Calls in flight get this long to be answered when the server is told to stop, in ms. */
const GRACE_MS = 3_000;
/** With nobody left to answer, only what is being written is waited for. */
const GRACE_ALONE_MS = 400;
/** Whatever hangs while stopping, this long after the grace the process is gone, in ms. */
const STOP_LIMIT_MS = 500;

try {
  const { command, flags } = readCommandLine(process.argv.slice(2));
  if (command === "help") process.stdout.write(renderHelp());
  else if (command === "version") process.stdout.write(`${VERSION}\n`);
  else if (command === "demo") await (await import("./demo/demo.js")).runDemo();
  else await serveStdio(readSettings(process.env, flags));
} catch (error) {
  process.stderr.write(`automagik-workflows-mcp: ${(error as Error).message}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}

async function serveStdio(settings: Settings): Promise<void> {
  const log = createLog({ level: settings.logLevel, secrets: [settings.apiKey], stderr: process.stderr });
  // Whatever a library prints must neither get between the protocol's lines nor past the log's censorship.
  for (const name of ["log", "info", "debug", "trace", "warn", "error"] as const) {
    console[name] = (...args: unknown[]) => log[name]("", ...args);
  }
  // A client that went away may have taken stderr with it, which is no reason to fall over while stopping.
  process.stderr.on("error", () => {});
  process.on("uncaughtException", (error) => {
    log.error(`Something failed unforeseen, so this server ends: ${error?.message}`);
    process.exit(1);
  });
  if (!settings.apiKey)
    log.warn("No API key: set AUTOMAGIK_WORKFLOWS_API_KEY. Nothing can be run without it.");
  const store = createFolderSessionStore({
    folder: resolveStateFolder({
      ...(settings.stateDir ? { override: settings.stateDir } : {}),
      env: process.env,
      platform: process.platform,
      home: homedir(),
    }),
    upstream: settings.baseUrl,
    onProblem: ({ message }) => log.warn(message),
  });
  // What git starts in its turn (ssh, credential helpers) has no business with the key.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("AUTOMAGIK_WORKFLOWS_")),
  );
  const server = createServer({ settings, log, store, env, sharesMachine: true });

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
