import { homedir } from "node:os";
import { createServer } from "../../server/server.js";
import { readSettings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import type { Invocation } from "../command-line.js";
import { describeServer, openServerLog } from "../describe-server.js";
import { endProcess } from "../process.js";
import { createWindowNotifier } from "../window-notifier.js";

/** When told to stop, the server answers calls in flight for so long, in ms. */
const GRACE_MS = 3_000;
/** With nobody left to answer, only what is being written is waited for. */
const GRACE_ALONE_MS = 400;
/** The process ends this long after the grace at the latest, in ms, whatever hangs. */
const STOP_LIMIT_MS = 500;

/** `stdio`, the default: serves one chat client on stdin and stdout, until it goes away or a signal comes. */
export async function serveStdio({ flags, script }: Invocation): Promise<undefined> {
  const settings = readSettings(process.env, flags);
  const secrets = [settings.apiKey, findSharedDatabase(settings)];
  const log = openServerLog(settings, secrets);
  const server = createServer({
    ...describeServer({ settings, flags, script, log, secrets }),
    sharesMachine: true,
    notifier: createWindowNotifier(settings, log, secrets),
    // Claude Code names the project's folder so; most clients start a server in it.
    ownFolders: [process.env.CLAUDE_PROJECT_DIR, process.cwd()].filter((folder) => folder !== undefined),
    home: homedir(),
  });

  let stopping = false;
  async function stop(graceMs: number, why: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.debug(`Stopping: ${why}`);
    setTimeout(() => process.exit(0), graceMs + STOP_LIMIT_MS);
    await server.close(graceMs);
    await endProcess(0);
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // A second signal ends it at once.
      if (stopping) process.exit(1);
      void stop(GRACE_MS, signal);
    });
  }
  // The end of stdin is the one sign of a vanished client that every platform gives; what it has sent is answered first.
  server.onIdle(() => void stop(GRACE_ALONE_MS, "the client has disconnected"));
  process.stdout.on("error", () => void stop(0, "the client no longer reads"));
  await server.serveStdio({ input: process.stdin, output: process.stdout });
}
