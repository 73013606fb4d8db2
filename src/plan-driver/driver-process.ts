import { keepAwake } from "../shared/background/keep-awake.js";
import { createLife, type End } from "../shared/background/life.js";
import { lastingIdentity } from "../shared/background/process-life.js";
import { takeLock } from "../shared/background/process-lock.js";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { DRIVER_LOCK, type DriverPlace, driverFiles } from "./driver-files.js";
import { markOfKey, newSalt, removeDriverRecord, writeDriverRecord } from "./driver-record.js";

/** The plans that a driver carries out. */
export interface PlansAtWork {
  /**
   * How many plans have not ended, and whether something of them is under way or to be done.
   * @throws Error when they cannot be read; `kind` is `removed` where their database is not there any more
   */
  look(): Promise<{ open: number; isBusy: boolean }>;
  /** Lets go of the plans in an orderly way; their runs go on. */
  close(): Promise<void>;
}

export interface DriverProcessOptions extends DriverPlace {
  version: string;
  /** The key that the API is asked with. */
  apiKey: string | undefined;
  /**
   * Begins to carry plans out.
   * @param onKey to be told whether the API takes the key
   */
  open: (onKey: (isTaken: boolean) => void) => Promise<PlansAtWork>;
  /** How long, in ms, the driver stays while all plans wait for people. */
  idleMs: number;
  clock: Clock;
  log: Log;
  /** Registers for the system's wish that the process ends; gives back what ends that. */
  onSignal: (listener: (signal: "SIGTERM" | "SIGINT") => void) => () => void;
}

/** Another process drives these plans. 0 is an orderly end, 1 any failure. */
export const ALREADY_DRIVING = 3;

/** Without any open plan it ends after so long, in ms: until what there was to tell has been told. */
const LINGER_MS = 30_000;
/** What was sent gets its answer within this time, in ms, or is looked up by the next driver. */
const CLOSE_LIMIT_MS = 15_000;

/**
 * The life of a driver: takes the lock of these plans, carries them out, and ends in an orderly way on a signal, when no
 * plan is open, when all wait for people for too long, or when its folder is taken away.
 * @returns the exit code; the process should end now, whatever is still open
 */
export function runDriverProcess(options: DriverProcessOptions): Promise<number> {
  return keepAwake(() => run(options));
}

async function run(options: DriverProcessOptions): Promise<number> {
  const { clock, log } = options;
  const { parent, folder } = driverFiles(options);
  await ensurePrivateFolder(parent);
  await ensurePrivateFolder(folder);
  const taken = await takeLock(folder, DRIVER_LOCK, clock.now());
  if ("holder" in taken) {
    log.info(`Plans are carried out by process ${taken.holder.pid} already.`);
    return ALREADY_DRIVING;
  }
  const record = createOwnRecord(options, await lastingIdentity());
  const life = createLife({
    lock: taken.lock,
    onEnd: ({ ousted }) => !ousted && record.remove(),
    onLost: () =>
      log.error("The driver's lock is gone: its folder was removed, or another one took it over."),
    clock,
  });
  const offSignal = options.onSignal((signal) => life.told(signal));
  let plans: PlansAtWork | undefined;
  try {
    record.write();
    plans = await options.open((isTaken) => record.setKeyRefused(!isTaken));
    log.info(`Plans are carried out by version ${options.version}.`);
    if (!life.isOver()) watch(life, plans, record, options);
  } catch (error) {
    life.end({ why: (error as Error).message, code: 1, failed: true });
  }
  const { why, code, failed } = await life.over;
  if (failed) log.error(`Plans cannot be carried out: ${why}`);
  else log.info(`The driver of plans ends: ${why}.`);
  const isClosed = await withDeadline(clock, CLOSE_LIMIT_MS, () => close(plans, log));
  if (!isClosed) log.warn("Not everything ended cleanly; the next driver looks up what was sent.");
  offSignal();
  await taken.lock.release();
  return code;
}

async function close(plans: PlansAtWork | undefined, log: Log): Promise<boolean> {
  await plans?.close().catch((error: Error) => log.error(`The plans could not be closed: ${error.message}`));
  return true;
}

type OwnRecord = ReturnType<typeof createOwnRecord>;

function createOwnRecord(
  { stateFolder, upstream, database, version, apiKey, clock, log }: DriverProcessOptions,
  identity: Awaited<ReturnType<typeof lastingIdentity>>,
) {
  const place = { stateFolder, upstream, database };
  const salt = newSalt();
  const known = { ...identity, version, startedAt: clock.now(), salt, keyMark: markOfKey(salt, apiKey) };
  let keyRefused = false;
  let isThere = false;

  function write(): void {
    writeDriverRecord(place, { ...known, keyRefused });
    isThere = true;
  }
  return {
    write,
    remove() {
      isThere = false;
      removeDriverRecord(place);
    },
    setKeyRefused(isRefused: boolean) {
      if (keyRefused === isRefused) return;
      keyRefused = isRefused;
      try {
        if (isThere) write();
      } catch (error) {
        log.warn(
          `That the key was ${isRefused ? "refused" : "taken"} could not be noted: ${(error as Error).message}`,
        );
      }
    },
  };
}

/** Decides when there is nothing more to do. */
function watch(
  life: ReturnType<typeof createLife>,
  plans: PlansAtWork,
  record: OwnRecord,
  { idleMs, clock, log }: DriverProcessOptions,
): void {
  const lingerMs = Math.min(idleMs, LINGER_MS);
  let busyAt = clock.elapsed();

  async function look(): Promise<End | undefined> {
    try {
      return await lookForEnd();
    } catch (error) {
      if ((error as { kind?: unknown }).kind === "removed")
        return { why: "the plans were removed with their database", code: 0 };
      log.warn(`The plans could not be looked at: ${(error as Error).message}`);
      return undefined;
    }
  }

  async function lookForEnd(): Promise<End | undefined> {
    const { open, isBusy } = await plans.look();
    if (isBusy) busyAt = clock.elapsed();
    const limitMs = open === 0 ? lingerMs : idleMs;
    if (clock.elapsed() - busyAt < limitMs) return undefined;
    // From here on whoever adds something does not count on this driver; what was added before is seen now.
    record.remove();
    const last = await plans.look().catch((error) => {
      record.write();
      throw error;
    });
    if (last.isBusy) {
      busyAt = clock.elapsed();
      record.write();
      return undefined;
    }
    const why = last.open === 0 ? "no plan is open" : "all open plans wait for people";
    return { why, code: 0 };
  }

  life.watch(look, () => lingerMs / 4);
}
