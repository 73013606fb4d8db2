import { keepAwake } from "../../shared/background/keep-awake.js";
import { createStarter } from "../../shared/background/start-once.js";
import { isOlder } from "../../shared/background/versions.js";
import { type Clock, sleep } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { engineFiles } from "./engine-files.js";
import { createHealthProbe, type ProbeHealth } from "./engine-health.js";
import { digestOfKey, resolveEngineKey } from "./engine-key.js";
import { ALREADY_RUNNING } from "./engine-process.js";
import { type EngineSight, lookAtEngine } from "./look-at-engine.js";
import type { SpawnEngine } from "./spawn-engine.js";
import { ELSEWHERE, endOrderly } from "./stop-engine.js";

export interface FindOptions {
  /** The product's state folder, absolute. */
  stateFolder: string;
  /** Ours, to tell an older engine. */
  version: string;
  spawnEngine: SpawnEngine;
  /**
   * Called once before an engine is used or started, so that it has the newest settings; not when the state folder's
   * engine is another machine's, whose person has settings of their own there.
   */
  bringSettings?: () => Promise<void>;
  /** The key from the settings: an engine that a person has started may have it. */
  settingsKey?: string;
  clock: Clock;
  log: Log;
  probe?: ProbeHealth;
  /** How long to wait for an answer, in ms; an older engine that is replaced gets as long again. */
  timeoutMs?: number;
}

export interface FoundEngine {
  url: string;
  apiKey: string;
  /** It was started by this call. */
  started: boolean;
}

/** No engine can be had. The message says what was found, what was (not) done, and what to do. */
export class EngineUnavailable extends Error {
  override name = "EngineUnavailable";
}

const TIMEOUT_MS = 15_000;
/** An engine is there about 500 ms after its start. */
const LOOK_EVERY_MS = 50;

/**
 * Finds the one engine of this user and state folder, or starts it in the background, and waits until it answers.
 * Several processes may do so at once: one of them starts it, and all get the same. An older engine in the
 * background without runs is replaced; any other is used as it is.
 * @throws EngineUnavailable
 */
export function findOrStartEngine(options: FindOptions): Promise<FoundEngine> {
  return keepAwake(() => find(options));
}

async function find(options: FindOptions): Promise<FoundEngine> {
  const { stateFolder, clock, log, timeoutMs = TIMEOUT_MS } = options;
  const probe = options.probe ?? createHealthProbe();
  const starter = createStarter({
    folder: engineFiles(stateFolder).folder,
    what: "The engine",
    whereMore: "engine.log in the engine's state folder",
    spawn: options.spawnEngine,
    alreadyRunning: ALREADY_RUNNING,
    unavailable: (message) => new EngineUnavailable(message),
    clock,
    timeoutMs,
  });
  let deadline = clock.elapsed() + timeoutMs;
  let brought = false;
  try {
    for (;;) {
      const sight = await lookAtEngine(stateFolder, { probe, now: clock.now() });
      if (sight.kind === "elsewhere") throw new EngineUnavailable(ELSEWHERE);
      if (!brought) await options.bringSettings?.();
      brought = true;
      if (sight.kind === "answers") {
        const { record, health } = sight;
        const isOld = isOlder(health.version, options.version);
        if (!isOld || health.activeRuns !== 0 || !record.background) {
          if (isOld) log.warn(describeOld(sight, options.version));
          return {
            url: record.url,
            apiKey: await keyOf(sight, options),
            started: starter.pid() === record.pid,
          };
        }
        log.info(
          `The engine of version ${health.version} has no runs and is replaced by ${options.version}.`,
        );
        const { stopped, message } = await endOrderly(sight.holder, { log, limitMs: timeoutMs });
        if (!stopped) throw new EngineUnavailable(message);
        deadline = clock.elapsed() + timeoutMs;
        continue;
      }
      if (sight.kind === "none") await starter.start();
      if (clock.elapsed() >= deadline) throw new EngineUnavailable(describeSilence(sight, timeoutMs));
      await sleep(clock, LOOK_EVERY_MS);
    }
  } finally {
    await starter.close();
  }
}

/** The key that the engine has, out of those that we know. */
async function keyOf(
  { record }: Extract<EngineSight, { kind: "answers" }>,
  { stateFolder, settingsKey }: FindOptions,
): Promise<string> {
  if (settingsKey && digestOfKey(settingsKey) === record.keyDigest) return settingsKey;
  const key = await resolveEngineKey({ stateFolder });
  if (digestOfKey(key) === record.keyDigest) return key;
  throw new EngineUnavailable(
    `The engine at ${record.url} (process ${record.pid}) was started with another key. Give the same ` +
      "AUTOMAGIK_WORKFLOWS_API_KEY here, or end it with `automagik-workflows-mcp engine stop`.",
  );
}

function describeOld({ record, health }: Extract<EngineSight, { kind: "answers" }>, ours: string): string {
  const { version, activeRuns } = health;
  const runs =
    activeRuns === undefined ? "may have runs" : `has ${activeRuns} run${activeRuns === 1 ? "" : "s"}`;
  return (
    `The engine that is running is of version ${version}, this is ${ours}. ` +
    (record.background
      ? `It ${runs} going on, so it is used as it is, and replaced at the first start without runs.`
      : "A person has started it, so it is used as it is: end it and start it again to have the newer one.")
  );
}

function describeSilence(sight: EngineSight, timeoutMs: number): string {
  const seconds = Math.round(timeoutMs / 1000);
  if (sight.kind === "silent" || sight.kind === "unready") {
    const { pid } = sight.holder;
    const state = sight.kind === "silent" ? "does not answer" : "is starting or ending, and has not finished";
    return (
      `The engine (process ${pid}) ${state}, for ${seconds} s now. No second one was started. ` +
      "`automagik-workflows-mcp engine stop` ends it, with --force if need be."
    );
  }
  return (
    `The engine did not start within ${seconds} s. See engine.log in the engine's state folder. ` +
    "Try again: it may be running by now."
  );
}
