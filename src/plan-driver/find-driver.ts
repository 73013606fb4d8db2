import { keepAwake } from "../shared/background/keep-awake.js";
import { signalProcess, waitUntilEnded } from "../shared/background/process-life.js";
import type { StartedProcess } from "../shared/background/spawn.js";
import { createStarter } from "../shared/background/start-once.js";
import { isOlder } from "../shared/background/versions.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { type DriverPlace, driverFiles } from "./driver-files.js";
import { ALREADY_DRIVING } from "./driver-process.js";
import { type DriverRecord, markOfKey } from "./driver-record.js";
import { lookAtDriver } from "./look-at-driver.js";

export interface FindDriverOptions extends DriverPlace {
  /** Ours, to tell an older driver. */
  version: string;
  /** Ours, which stands in for one that the API refuses. */
  apiKey: string | undefined;
  /** Starts a driver as a process of its own. Rejects when that cannot be done. */
  spawn: () => Promise<StartedProcess>;
  clock: Clock;
  log: Log;
  timeoutMs?: number;
}

/** Nobody carries the plans out. The message says why, and what to do. */
export class DriverUnavailable extends Error {
  override name = "DriverUnavailable";
}

/** As long as an old driver may take to end, and a new one to start, in ms. */
const TIMEOUT_MS = 20_000;
/** A driver has its lock about 200 ms after its start. */
const LOOK_EVERY_MS = 25;

/**
 * Makes sure that a process drives the plans of this place: finds it, or starts it in the background, and waits only
 * until it has its lock. Several processes may do so at once: one is started. One of an older version, and one whose key
 * the API refuses where this process has another one, is replaced; its runs go on meanwhile.
 * @throws DriverUnavailable
 */
export function findDriver(options: FindDriverOptions): Promise<void> {
  return keepAwake(() => find(options));
}

async function find(options: FindDriverOptions): Promise<void> {
  const { clock, log, timeoutMs = TIMEOUT_MS } = options;
  const { parent, folder } = driverFiles(options);
  const starter = createStarter({
    folder,
    what: "What carries plans out",
    whereMore: "driver.log in the folder plan-drivers of the state folder",
    spawn: options.spawn,
    alreadyRunning: ALREADY_DRIVING,
    unavailable: (message) => new DriverUnavailable(message),
    clock,
    timeoutMs,
  });
  const deadline = clock.elapsed() + timeoutMs;
  try {
    for (;;) {
      const sight = await lookAtDriver(options, clock.now());
      if (sight.kind === "elsewhere") return;
      if (sight.kind === "drives") {
        const why = whyReplaced(sight.record, options);
        if (why === undefined) return;
        log.info(`${why} It is replaced; runs go on.`);
        await signalProcess(sight.holder, "SIGTERM");
        await waitUntilEnded(sight.holder, Math.max(0, deadline - clock.elapsed()));
      }
      if (sight.kind === "none") {
        await ensurePrivateFolder(parent);
        await starter.start();
      }
      if (clock.elapsed() >= deadline) throw new DriverUnavailable(describeSilence(sight.kind, timeoutMs));
      await sleep(clock, LOOK_EVERY_MS);
    }
  } catch (error) {
    if (error instanceof DriverUnavailable) throw error;
    throw new DriverUnavailable(`What carries plans out could not be started: ${(error as Error).message}`);
  } finally {
    await starter.close();
  }
}

function whyReplaced(record: DriverRecord, { version, apiKey }: FindDriverOptions): string | undefined {
  if (isOlder(record.version, version))
    return `Plans are carried out by version ${record.version}, and this is ${version}.`;
  if (record.keyRefused && record.keyMark !== markOfKey(record.salt, apiKey))
    return "The API refuses the key with which plans are carried out, and there is another one here.";
  return undefined;
}

function describeSilence(kind: "none" | "unready" | "drives", timeoutMs: number): string {
  const seconds = Math.round(timeoutMs / 1000);
  if (kind === "none")
    return `What carries plans out did not start within ${seconds} s. Ask for the plan's status to try again.`;
  return (
    `The process that carries plans out is starting or ending, and has not finished within ${seconds} s. ` +
    "No second one was started. Ask for the plan's status to try again."
  );
}
