/** What commands take from the process that they run in. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Settings } from "../settings/settings.js";
import { resolveConfigFolder } from "../shared/config-folder.js";
import { createLog } from "../shared/log.js";
import { resolveStateFolder } from "../shared/state-folder.js";

/** Ends the process once what was written to stdout has gone out: `process.exit()` alone waits for nothing. */
export async function endProcess(exitCode: number): Promise<never> {
  await new Promise((resolve) => process.stdout.write("", resolve));
  process.exit(exitCode);
}

/**
 * From now on a command ends as by Ctrl-C when nobody reads what it prints any more (`history | head`): that is no
 * failure of it, and no stack is shown.
 */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (!process.emit("SIGTERM")) process.exit(0);
    });
}

type EndSignal = "SIGHUP" | "SIGINT" | "SIGTERM";

/** Calls the listener for each signal that asks this process to end, until the function is called that it gives. */
export function onEndSignal(listener: (signal: EndSignal) => void): () => void {
  const signals: readonly EndSignal[] = ["SIGHUP", "SIGINT", "SIGTERM"];
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}

/** The same for a process in the background, to which a terminal that hangs up says as much as SIGTERM. */
export function onStopSignal(listener: (signal: "SIGINT" | "SIGTERM") => void): () => void {
  return onEndSignal((signal) => listener(signal === "SIGHUP" ? "SIGTERM" : signal));
}

/** When this process began, in epoch ms: by this the newest of several windows is known. */
export function processBegan(): number {
  return Math.round(performance.timeOrigin);
}

/** The product's state folder, absolute: that of the settings, or the user's own. */
export function findStateFolder(settings: Settings): string {
  return resolveStateFolder({
    ...(settings.stateDir ? { override: settings.stateDir } : {}),
    env: process.env,
    platform: process.platform,
    home: homedir(),
  });
}

/** The folder of the person's own templates of plans, absolute. */
export function findOwnPlans(): string {
  return join(
    resolveConfigFolder({ env: process.env, platform: process.platform, home: homedir() }),
    "plans",
  );
}

/** A path that did not go through a shell may still begin with `~`. */
export function expandHome(path: string): string {
  return path.replace(/^~(?=$|[\\/])/, () => homedir());
}

/** The environment of this process, with what its settings are read from. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/** The environment for other programs, without our variables: nothing that they start may see the key. */
export function foreignEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("AUTOMAGIK_WORKFLOWS_")),
  );
}

/**
 * The log of a process that serves. From now on it also takes unexpected errors, which end the process, and what
 * libraries print to the console, which must get neither into the protocol nor past the log's censorship.
 * @param options.what names the process in the message of an unexpected error: "this server"
 * @param options.write takes the lines; stderr unless given
 */
export function openLog(options: {
  level: Settings["logLevel"];
  secrets: readonly (string | undefined)[];
  what: string;
  write?: (text: string) => boolean;
}): ReturnType<typeof createLog> {
  const { level, secrets, what, write } = options;
  // A client or terminal that went away may have closed stderr, which must not make the process fail while it stops.
  process.stderr.on("error", () => {});
  const log = createLog({ level, secrets, stderr: write ? { write } : process.stderr });
  for (const name of ["log", "info", "debug", "trace", "warn", "error"] as const) {
    console[name] = (...args: unknown[]) => log[name]("", ...args);
  }
  process.on("uncaughtException", (error) => {
    log.error(`Unexpected error; ${what} shuts down: ${error?.message}`);
    process.exit(1);
  });
  process.on("unhandledRejection", (error) =>
    log.error(`Unhandled promise rejection: ${(error as Error)?.message}`),
  );
  return log;
}
