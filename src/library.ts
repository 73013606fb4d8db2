/**
 * What a program gets that imports this package. The declarations made of this file stand alone, because the package
 * brings no dependencies that they could name.
 */
import { homedir } from "node:os";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { createServer as composeServer } from "./server/server.js";
import { createMemorySessionStore } from "./sessions/store/memory-session-store.js";
import { createSessionStore } from "./sessions/store/open-session-store.js";
import { readSettings as readAllSettings } from "./settings/settings.js";
import { findSharedDatabase } from "./settings/shared-database.js";
import { createLog } from "./shared/log.js";
import { resolveStateFolder } from "./shared/state-folder.js";

/**
 * Reads settings as the command does: variables `AUTOMAGIK_WORKFLOWS_…` and flags, of which a flag wins.
 * @param env environment variables; nothing of the process's own environment is read
 * @param flags flag values by their name without dashes
 * @throws an Error named `SettingsError` that names each variable or flag at fault and its bounds
 */
export function readSettings(
  env: Readonly<Record<string, string | undefined>> = {},
  flags: Readonly<Record<string, string | undefined>> = {},
) {
  // Spread, so that the declared type is spelled out instead of naming the schema library.
  return { ...readAllSettings(env, flags) };
}

/** Every setting with its default filled in. */
export type Settings = ReturnType<typeof readSettings>;

/** A connection of one client; every transport of `@modelcontextprotocol/sdk` is one. */
export interface ServerTransport {
  start(): Promise<void>;
  send(message: never, options?: never): Promise<void>;
  close(): Promise<void>;
}

export interface ServerOptions {
  /** From {@link readSettings}. `engine` must be `off`: the engine of this machine belongs to the command. */
  settings: Settings;
  /** Gets each line of the log, secrets taken out, at the settings' level. Default: nobody does. */
  onLog?: (line: string) => void;
  /**
   * Where sessions are remembered: only in `memory` (default), or where the settings say, in the state folder or
   * in a PostgreSQL database.
   */
  sessions?: "memory" | "settings";
  /** The environment that git gets. Default: none. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Client and server are on one machine, so the client's folders may be looked at. Default false. */
  sharesMachine?: boolean;
}

export interface WorkflowsServer {
  /** Serves on stdin and stdout. Nothing else may write to stdout then. */
  serveStdio(): Promise<void>;
  /** Serves one client; may be called for many. */
  connect(transport: ServerTransport): Promise<void>;
  /** Called when the last client has gone. */
  onIdle(listener: () => void): void;
  /** Answers the calls in flight within `graceMs` (default 3000), then stops everything. Runs go on. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Puts a server together. Nothing is sent and nothing is read before it serves.
 * @throws a TypeError when the settings ask for the engine of this machine
 */
export function createServer(options: ServerOptions): WorkflowsServer {
  const { settings, onLog = () => {}, env = {}, sharesMachine = false } = options;
  if (settings.engine !== "off") {
    throw new TypeError("Only the command can use the engine on this machine: leave the setting ENGINE off.");
  }
  const address = findSharedDatabase(settings);
  const log = createLog({
    level: settings.logLevel,
    secrets: [settings.apiKey, address],
    stderr: {
      write(text: string | Uint8Array) {
        onLog(String(text).trimEnd());
        return true;
      },
    },
  });
  const server = composeServer({
    settings,
    log,
    store:
      options.sessions === "settings"
        ? createSessionStore({
            address,
            folder: resolveStateFolder({
              ...(settings.stateDir ? { override: settings.stateDir } : {}),
              env: process.env,
              platform: process.platform,
              home: homedir(),
            }),
            upstream: settings.baseUrl,
            onProblem: ({ message }) => log.warn(message),
          })
        : createMemorySessionStore(),
    env,
    sharesMachine,
  });
  return {
    serveStdio: () => server.serveStdio({ input: process.stdin, output: process.stdout }),
    connect: (transport) => server.connect(transport as unknown as Transport),
    onIdle: (listener) => server.onIdle(listener),
    close: (graceMs) => server.close(graceMs),
  };
}
