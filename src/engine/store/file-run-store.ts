import { join } from "node:path";
import type { Clock } from "../../shared/clock.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { EngineRun } from "../types.js";
import { syncFolder } from "./durable-files.js";
import { codeOf, type EventNumbers, openEventNumbers } from "./event-numbers.js";
import { createEventWindow, type EventWindow } from "./event-window.js";
import { type LoadedRun, loadRuns, newestEvents, runFileName } from "./load-runs.js";
import { createRunFile } from "./run-file.js";
import {
  assertStorable,
  CONFIRMED_LINE,
  changeLine,
  parseRunFile,
  readLine,
  snapshotLine,
} from "./run-lines.js";
import type { RunStore, RunStoreProblem, StoredEvent } from "./run-store.js";
import { createUpkeep, hasEnded, type StoredRun } from "./upkeep.js";
import { openUsedDays, type UsedDays } from "./used-days.js";

/*
 * Why plain files and no database: the engine is the only process that writes here, it holds all runs in memory
 * anyway, and the only queries are "all runs" and "events after". That needs an append and a rename. The embedded
 * database that installs without scripts on every Node we support (libsql) is 19 MB of native code.
 *
 *     <folder>/runs/<run id>.jsonl   one file per run, 0600; see run-lines.ts
 *                   numbers.json     which event numbers are in use; see event-numbers.ts
 *                   days.json        on which days the engine was in use; see used-days.ts
 *                   damaged/         what was found and is not a run
 *
 * A save appends one line with what has changed. Some time after its end a run's file is rewritten compactly, the
 * whole run first, so that opening reads one line of each. Appends are synchronous: they take some microseconds, and
 * order and atomicity become plain. Bringing the bytes onto the disk takes milliseconds and blocks nobody.
 */

const LIMITS = {
  /** Some hours of a busy engine, and some MB. */
  eventsInMemory: 10_000,
  /** For events that are not small after all. */
  eventBytesInMemory: 16 * 1024 * 1024,
  /** Kept of one run when its file is rewritten: a run of 200 turns has about a thousand. */
  eventsPerRun: 2_000,
  endedRuns: 1_000,
  /** Days on which the engine was in use since the run's end. */
  endedRunDays: 30,
  /** What a power failure may take of turns and actions. */
  syncWithinMs: 200,
  /** After its end a run is often saved once or twice more. */
  rewriteAfterMs: 1_000,
  /** Growth after which the file of a run that goes on is rewritten: so much is read in some 10 ms. */
  rewriteAfterBytes: 4 * 1024 * 1024,
  /** Until a disk that failed is tried again. */
  retryAfterMs: 2_000,
};

/**
 * The store of the runs below `folder`, for one process at a time. Nothing is created before `open`.
 * `onProblem` must not throw. `limits` are for tests.
 */
export function createRunStore(options: {
  folder: string;
  clock: Clock;
  onProblem?: (problem: RunStoreProblem) => void;
  limits?: Partial<typeof LIMITS>;
}): RunStore {
  const { clock } = options;
  const limits = { ...LIMITS, ...options.limits };
  const folder = join(options.folder, "runs");
  const report = options.onProblem ?? (() => undefined);
  const upkeep = createUpkeep({ clock, onProblem: report, limits });
  const runs = new Map<string, StoredRun>();
  const listeners = new Set<{ call: (event: StoredEvent, run: EngineRun) => void }>();
  const toTell: { event: StoredEvent; run: EngineRun }[] = [];
  let telling = false;
  let opened: { numbers: EventNumbers; window: EventWindow; days: UsedDays } | undefined;
  let closing: Promise<void> | undefined;

  function parts() {
    if (closing || !opened) throw new Error(`The run store is ${closing ? "closed" : "not open"}.`);
    return opened;
  }

  function hold(run: EngineRun, confirmed: boolean, loaded?: LoadedRun): StoredRun {
    const path = loaded?.path ?? join(folder, runFileName(run.runId));
    const size = loaded?.size ?? 0;
    return {
      live: run,
      saved: loaded && !(loaded.compact && hasEnded(run)) ? structuredClone(run) : undefined,
      file: createRunFile({ path, size, syncFolder: () => syncFolder(folder) }),
      lastEventId: loaded?.content.lastEventId ?? 0,
      droppedThrough: loaded?.content.droppedThrough ?? 0,
      behind: "no",
      rewrittenSize: loaded?.compact ? size : 0,
      confirmed,
    };
  }

  async function open(): Promise<void> {
    await ensurePrivateFolder(folder);
    await syncFolder(options.folder);
    const loaded = loadRuns({ folder, now: clock.now(), onProblem: report });
    const newestSeen = Math.max(0, ...loaded.map((run) => run.content.lastEventId));
    const path = join(folder, "numbers.json");
    const numbers = openEventNumbers({ path, newestSeen, onProblem: report });
    const { events, low } = newestEvents(loaded, limits.eventsInMemory);
    const kept = { events: limits.eventsInMemory, bytes: limits.eventBytesInMemory };
    const window = createEventWindow(kept, low);
    for (const event of events) window.add(freeze(event));
    loaded.sort(
      (a, b) =>
        a.content.run.createdAt - b.content.run.createdAt || a.content.lastEventId - b.content.lastEventId,
    );
    for (const each of loaded) {
      const { run, lostInside } = each.content;
      const held = hold(run, true, each);
      runs.set(run.runId, held);
      if (!each.compact && (hasEnded(run) || lostInside)) upkeep.rewriteLater(held, 0);
    }
    opened = { numbers, window, days: openUsedDays(join(folder, "days.json"), report) };
  }

  function tell(event: StoredEvent, run: EngineRun): void {
    toTell.push({ event, run });
    // A listener that saves must not bring its event to the others before this one.
    if (telling) return;
    telling = true;
    for (let next = toTell.shift(); next; next = toTell.shift()) {
      for (const listener of [...listeners]) {
        try {
          listener.call(next.event, next.run);
        } catch (error) {
          report({ kind: "listener", message: `A listener for events failed: ${(error as Error).message}` });
        }
      }
    }
    telling = false;
  }

  /** Everything of a save that cannot wait. */
  function write(
    run: EngineRun,
    event: { type: string; data: unknown } | undefined,
    durability: "now" | "soon",
  ) {
    const { numbers, window } = parts();
    assertStorable(run);
    const known = runs.get(run.runId);
    const held = known ?? hold(run, durability === "soon");
    const part = event && { id: numbers.next(), at: clock.now(), type: event.type, data: event.data ?? null };
    const line =
      held.saved && held.behind === "no" ? changeLine(held.saved, run, part) : snapshotLine(run, held, part);
    let failure: Error | undefined;
    if (line !== undefined) {
      try {
        held.file.append(line);
        held.behind = "no";
        if (durability === "soon") upkeep.syncSoon(held);
      } catch (error) {
        if (!known) throw notKept(error);
        failure = upkeep.failed(held, error);
        if (part) held.droppedThrough = part.id;
      }
    }
    held.live = run;
    runs.set(run.runId, held);
    if (line === undefined) return { held };
    // The line is read back, so that what is held is detached from the caller's objects and as a restart will see it.
    const read = readLine(line, held.saved);
    if (!read || read === "newer") throw new Error("A run was written that cannot be read.");
    held.saved = read.run;
    const grown = held.file.size() - held.rewrittenSize;
    if (hasEnded(run)) upkeep.rewriteLater(held, limits.rewriteAfterMs);
    else if (grown > Math.max(limits.rewriteAfterBytes, held.rewrittenSize)) upkeep.rewriteLater(held, 0);
    if (!read.event) return { held, failure };
    const stored = freeze({ runId: run.runId, ...read.event });
    held.lastEventId = stored.id;
    window.add(stored);
    tell(stored, run);
    return { held, failure, stored };
  }

  /** Makes a new run count, or takes it back: whatever the disk does, it is never both refused and found again. */
  async function confirm(held: StoredRun): Promise<void> {
    try {
      await held.file.sync();
      held.file.append(CONFIRMED_LINE);
      held.confirmed = true;
    } catch (error) {
      const { runId } = held.live;
      runs.delete(runId);
      opened?.window.drop(new Set([runId]));
      upkeep.forget(held);
      // Where it cannot be removed, it is not confirmed, and goes when the store is opened again.
      await held.file.remove().catch(() => undefined);
      throw notKept(error);
    }
  }

  /** Resolves when the run as it was saved would survive a power failure. */
  async function bringToDisk(held: StoredRun): Promise<void> {
    if (held.confirmed) return upkeep.sync(held);
    const isFirst = held.confirming === undefined;
    held.confirming ??= confirm(held);
    await held.confirming;
    const synced = upkeep.sync(held);
    // It is taken by now, so this failure is told and mended like that of any run, and nobody is refused for it.
    await (isFirst ? synced.catch(() => undefined) : synced);
  }

  /** Events after the number from the run's file, for what has left the memory. Blocks while it is read. */
  function eventsInFile(held: StoredRun, id: number, through: number) {
    try {
      const parsed = parseRunFile(held.file.read());
      if (parsed.kind !== "run") return { older: [], dropped: Number.POSITIVE_INFINITY };
      const { events, droppedThrough } = parsed.content;
      const older = events.filter((event) => event.id > id && event.id <= through).map(freeze);
      return { older, dropped: Math.max(droppedThrough, held.droppedThrough) };
    } catch {
      return { older: [], dropped: Number.POSITIVE_INFINITY };
    }
  }

  return {
    async open() {
      if (closing) parts();
      if (opened) return;
      try {
        await open();
      } catch (error) {
        const message = `The folder of runs cannot be used (${codeOf(error)}). Nothing was started.`;
        throw new Error(message, { cause: error });
      }
    },

    all() {
      parts();
      // Of runs of the same millisecond the one that came last is the newest.
      const newest = [...runs.values()].reverse().map((held) => held.live);
      return newest.sort((a, b) => b.createdAt - a.createdAt);
    },

    get(runId) {
      parts();
      return runs.get(runId)?.live;
    },

    async save(run, event, durability = "now") {
      const { held, failure, stored } = write(run, event, durability);
      if (durability === "now") {
        if (failure) throw failure;
        await bringToDisk(held);
      }
      return stored;
    },

    eventsAfter(id, runId) {
      const { numbers, window } = parts();
      const recent = window.after(id, runId);
      const held = runId === undefined ? undefined : runs.get(runId);
      if (numbers.isUnknown(id)) return { events: recent, gap: true };
      if (!held) {
        const begins = runId === undefined ? window.low() : 0;
        return { events: recent, gap: id < Math.max(begins, numbers.prunedThrough()) };
      }
      if (id >= window.low()) return { events: recent, gap: false };
      const { older, dropped } = eventsInFile(held, id, window.low());
      return { events: [...older, ...recent], gap: id < dropped };
    },

    subscribe(listener) {
      parts();
      const held = { call: listener };
      listeners.add(held);
      return () => void listeners.delete(held);
    },

    newestEventId: () => parts().numbers.newest(),

    async prune(now) {
      const { numbers, window, days } = parts();
      days.note(now);
      const ended = [...runs.values()]
        .filter((held) => hasEnded(held.live))
        // By their last events: a clock that was set does not change the order of those.
        .sort((a, b) => b.lastEventId - a.lastEventId);
      const old = ended.filter(
        (held, index) => index >= limits.endedRuns || days.since(endOf(held.live)) >= limits.endedRunDays,
      );
      if (old.length === 0) return [];
      numbers.prune(Math.max(...old.map((held) => held.lastEventId)));
      const removed = new Set<string>();
      for (const held of old) {
        const { runId } = held.live;
        try {
          await held.file.remove();
          upkeep.forget(held);
          runs.delete(runId);
          removed.add(runId);
        } catch (error) {
          const message = `The file of run ${runId} could not be removed (${codeOf(error)}).`;
          report({ kind: "unwritable", message });
        }
      }
      window.drop(removed);
      return [...removed];
    },

    close() {
      closing ??= upkeep.close(runs.values()).then(() => opened?.numbers.close());
      return closing;
    },
  };
}

function notKept(error: unknown): Error {
  return new Error(`The run could not be written (${codeOf(error)}). It is not kept.`, { cause: error });
}

function endOf(run: EngineRun): number {
  return run.endedAt ?? run.killedAt ?? run.createdAt;
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) freeze(part);
    Object.freeze(value);
  }
  return value;
}
