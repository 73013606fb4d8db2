import { once } from "node:events";
import { createServer } from "node:net";
import { keepAwake } from "../../shared/background/keep-awake.js";
import { createLife, type End } from "../../shared/background/life.js";
import { lastingIdentity } from "../../shared/background/process-life.js";
import { type ProcessLock, REFRESH_MS, takeLock } from "../../shared/background/process-lock.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Log } from "../../shared/log.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { followDrainRequest, removeDrainRequest } from "./drain-request.js";
import { engineFiles } from "./engine-files.js";
import { digestOfKey, resolveEngineKey } from "./engine-key.js";
import {
  type EngineRecord,
  readEngineRecord,
  readLastPort,
  removeEngineRecord,
  writeEngineRecord,
  writeLastPort,
} from "./engine-record.js";
import { writeLastEnd } from "./last-end.js";
import { ENGINE_LOCK } from "./look-at-engine.js";

/** An engine that listens. */
export interface EngineServer {
  /** Its origin; a wildcard address is allowed. */
  url: string;
  /** Runs that are waiting or going on. */
  activeRuns(): number;
  /** A pull request is still to be opened: who asked for it may have closed everything by now. */
  opensPullRequests?(): boolean;
  /** Open streams of events. */
  clients(): number;
  /** Looks whether settings have changed. */
  refresh?(): Promise<void>;
  /** Begins nothing more from now on. Resolves when nothing goes on any more. */
  drain?(): Promise<void>;
  /** Ends the runs that go on, in an orderly way. @param why for the person */
  interrupt?(why: string): Promise<void>;
  /** Ends runs in an orderly way and stops listening. */
  close(): Promise<void>;
}

/** Opens the engine and listens. Rejects, with everything given back, when that cannot be done. */
export type CreateEngineServer = (options: {
  apiKey: string;
  host: string;
  /** 0 for any free one. */
  port: number;
  /** The product's state folder, where the database is. */
  stateFolder: string;
  /** The engine's own folder, which exists and is private; its workspaces go below it. */
  folder: string;
  /** The engine's folder for what no agent may look into, which exists and is private. */
  privateFolder: string;
  /** To be called for every request. */
  touch: () => void;
}) => Promise<EngineServer>;

export interface EngineProcessOptions {
  /** The product's state folder, absolute. */
  stateFolder: string;
  version: string;
  /** Started by a chat window, which a newer one may replace. */
  background: boolean;
  host: string;
  /** Left out: the free port of last time when it is still free, else any. */
  port?: number;
  settingsKey?: string;
  /** How long, in ms, the engine stays without runs and clients, by now; left out, until it is stopped. */
  idleMs?: () => number;
  createEngineServer: CreateEngineServer;
  clock: Clock;
  log: Log;
  /** Registers for the system's wish that the process ends; gives back what ends that. */
  onSignal: (listener: (signal: "SIGTERM" | "SIGINT") => void) => () => void;
  /** How long, in ms, ending runs may take. */
  closeLimitMs?: number;
}

/** Another process is the engine of this state folder. 0 is an orderly end, 1 any failure, 2 wrong settings. */
export const ALREADY_RUNNING = 3;

/** Agents get some seconds each to end, all at once; then the process ends all the same. */
const CLOSE_LIMIT_MS = 45_000;

/**
 * The life of an engine: takes the state folder's lock, opens the engine, writes its record, and ends in an orderly
 * way on a signal, when it is idle for too long, or when its folder is taken away.
 * @returns the exit code; the process should end now, whatever is still open
 */
export function runEngineProcess(options: EngineProcessOptions): Promise<number> {
  return keepAwake(() => run(options));
}

async function run(options: EngineProcessOptions): Promise<number> {
  const { stateFolder, clock, log } = options;
  const { folder, privateFolder } = engineFiles(stateFolder);
  await ensurePrivateFolder(folder);
  await ensurePrivateFolder(privateFolder);
  const taken = await takeLock(folder, ENGINE_LOCK, clock.now());
  if ("holder" in taken) {
    const url = (await readEngineRecord(stateFolder))?.url;
    log.error(
      `An engine is already running for this state folder: process ${taken.holder.pid}${url ? ` at ${url}` : ""}. ` +
        "No second one was started. `automagik-workflows-mcp engine stop` ends it.",
    );
    return ALREADY_RUNNING;
  }
  const life = createEngineLife(options, taken.lock);
  const offSignal = options.onSignal((signal) => life.told(signal));
  let server: EngineServer | undefined;
  try {
    const { settingsKey, host } = options;
    const apiKey = await resolveEngineKey({ stateFolder, ...(settingsKey ? { settingsKey } : {}) });
    const port = await choosePort(options);
    const identity = await lastingIdentity();
    server = await options.createEngineServer({
      apiKey,
      host,
      port,
      stateFolder,
      folder,
      privateFolder,
      touch: life.touch,
    });
    if (!life.isOver()) {
      announce(options, server, { ...identity, keyDigest: digestOfKey(apiKey) });
      life.watch(server);
    }
  } catch (error) {
    life.end({ why: (error as Error).message, code: 1, failed: true });
  }
  const { why, code, failed, ousted } = await life.over;
  if (failed) log.error(`The engine could not be started: ${why}`);
  else log.info(`The engine ends: ${why}.`);
  const isClosed = await withDeadline(clock, options.closeLimitMs ?? CLOSE_LIMIT_MS, () =>
    Promise.race([close(server, log), life.askedAgain]),
  );
  if (!isClosed) log.error("Not everything ended cleanly; the next start handles the rest.");
  offSignal();
  if (!ousted) removeDrainRequest(stateFolder);
  if (!failed && !ousted) writeLastEnd(stateFolder, { at: clock.now(), why });
  await taken.lock.release();
  return isClosed ? code : 1;
}

/** Before the engine is opened: a taken port should not cost the time, and the traces, of opening. */
async function choosePort({ stateFolder, host, port }: EngineProcessOptions): Promise<number> {
  if (port === undefined) {
    const last = await readLastPort(stateFolder);
    return last !== undefined && (await portProblem(host, last)) === undefined ? last : 0;
  }
  const problem = port === 0 ? undefined : await portProblem(host, port);
  if (problem === "EADDRINUSE") {
    throw new Error(`port ${port} is in use by another program. Choose another one with --port.`);
  }
  if (problem !== undefined) throw new Error(`port ${port} of ${host} cannot be used (${problem}).`);
  return port;
}

/** The system's word for why one cannot listen there, or undefined. */
async function portProblem(host: string, port: number): Promise<string | undefined> {
  const trial = createServer();
  try {
    trial.listen({ host, port, exclusive: true });
    await once(trial, "listening");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
  trial.close();
  await once(trial, "close");
  return undefined;
}

/** In one go, so that an end cannot come in between and leave a record behind. */
function announce(
  { stateFolder, version, background, port, clock, log }: EngineProcessOptions,
  server: EngineServer,
  known: Pick<EngineRecord, "pid" | "began" | "place" | "keyDigest">,
): void {
  const url = server.url.replace(/\/\/(0\.0\.0\.0|\[::\])/, "//127.0.0.1");
  writeEngineRecord(stateFolder, { ...known, url, version, background, startedAt: clock.now() });
  if (port === undefined) writeLastPort(stateFolder, Number(new URL(url).port));
  log.info(`The engine (version ${version}) listens on ${server.url}.`);
}

/** When it ends, and who has used it. */
function createEngineLife({ stateFolder, idleMs, clock, log }: EngineProcessOptions, lock: ProcessLock) {
  let lastUse = clock.elapsed();
  let lookForDrain = async () => {};
  const life = createLife({
    lock,
    onEnd: ({ ousted }) => !ousted && removeEngineRecord(stateFolder),
    onLost: () =>
      log.error("The engine's lock is gone: its folder was removed, or another engine took it over."),
    clock,
  });

  async function look(server: EngineServer): Promise<End | undefined> {
    await Promise.all([server.refresh?.(), lookForDrain()]);
    const isUsed = server.activeRuns() > 0 || server.clients() > 0 || server.opensPullRequests?.() === true;
    if (isUsed) lastUse = clock.elapsed();
    const limitMs = idleMs?.();
    if (limitMs === undefined || clock.elapsed() - lastUse < limitMs) return undefined;
    return { why: `no runs and no clients for ${Math.round(limitMs / 1000)} s`, code: 0 };
  }

  return {
    ...life,
    touch: () => {
      lastUse = clock.elapsed();
      void lookForDrain();
    },
    watch: (server: EngineServer) => {
      const { drain, interrupt } = server;
      if (drain && interrupt) {
        const onDrained = () =>
          life.end({ why: "nothing goes on any more, and it was told to end then", code: 0 });
        lookForDrain = followDrainRequest({ stateFolder, drain, interrupt, onDrained, clock, log });
      }
      life.watch(
        () => look(server),
        () => (idleMs?.() ?? REFRESH_MS) / 4,
      );
    },
  };
}

async function close(server: EngineServer | undefined, log: Log): Promise<boolean> {
  try {
    await server?.close();
    return true;
  } catch (error) {
    log.error(`The engine could not be closed: ${(error as Error).message}`);
    return false;
  }
}
