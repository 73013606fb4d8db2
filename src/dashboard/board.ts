import type { Services } from "../actions/define-action.js";
import { readUsualTurns } from "../actions/follow/expect-turns.js";
import { ApiError } from "../api/errors.js";
import { isFinal } from "../api/types.js";
import type { Log } from "../shared/log.js";
import { createBoardPlans } from "./board-plans.js";
import { createBoardRuns } from "./board-runs.js";
import type { RunPlace } from "./run-row.js";
import type { BoardView } from "./views/board.js";
import type { NeedView } from "./views/needs.js";
import type { RunRow } from "./views/run.js";

/** The board as it stands, made anew with what has happened. */
export interface Board {
  /** Brought up to date where nobody has kept it so. */
  read(): Promise<Omit<BoardView, "at">>;
  /** For a page that opens: what was read a moment ago does for a beginning, and is read again meanwhile. */
  open(): Promise<void>;
  /** As it is known now, without asking anybody. */
  now(): Omit<BoardView, "at">;
  /** Told, a moment after it, that something has changed. */
  onChange(listener: () => void): () => void;
  /** Told of a plan that has changed, at once. */
  onPlan(listener: (planId: string) => void): () => void;
  /** Keeps it up to date until that is called. */
  keepLive(): () => void;
  /** Which plan a run belongs to, as far as its plan was looked at. */
  placeOf(runId: string): RunPlace | undefined;
  /** Somebody has just done something here: looks at once. */
  lookNow(): void;
  /** Told when somebody has just done something here. */
  onDone(listener: () => void): () => void;
  close(): void;
}

/** Changes of one moment are told together, in ms. */
const TOGETHER_MS = 20;
/** What no event tells is looked for so often, in ms: plans that another process carries out, runs that others began. */
const PLANS_MS = 1_000;
const SESSIONS_MS = 5_000;
/** A reading takes at most this part of the time. */
const LOAD = 20;
/** A board that was made so long ago is read again for who asks, in ms. */
const FRESH_MS = 1_000;
/** A page that opens is shown one that is not older than this, in ms, and a moment later the present one. */
const KNOWN_MS = 10_000;
const MOST_ENDED = 200;

export function createBoard({ services, log }: { services: Services; log: Log }): Board {
  const { clock, sessions, watcher } = services;
  const listeners = new Set<() => void>();
  const plans = createBoardPlans({ services, onChange: planChanged });
  const runs = createBoardRuns({ services, placeOf: plans.placeOf });
  const doneListeners = new Set<() => void>();
  const planListeners = new Set<(planId: string) => void>();
  const closing = new AbortController();
  let problem: string | undefined;
  let reading: Promise<void> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /** No reading has succeeded yet. */
  let isUnread = true;
  /** It was read since somebody looks. */
  let isCurrent = false;
  let tookMs = 0;
  let live = 0;
  let cancelSoon: (() => void) | undefined;
  let cancelTell: (() => void) | undefined;
  let cancelTimers: (() => void)[] = [];
  let release: (() => void)[] = [];

  function changed(): void {
    cancelTell ??= clock.after(TOGETHER_MS, () => {
      cancelTell = undefined;
      for (const listener of [...listeners]) listener();
    });
  }

  function planChanged(planId: string, runIds: readonly string[]): void {
    runs.replace(runIds);
    for (const listener of [...planListeners]) listener(planId);
    changed();
  }

  async function readAll(): Promise<void> {
    const begun = clock.elapsed();
    try {
      await Promise.all([plans.read(), readUsualTurns(services)]);
      await runs.read(await sessions.all(closing.signal), startOfDay(clock.now()));
      problem = sessions.problem()?.message;
      if (problem === undefined) isUnread = false;
    } catch (error) {
      if (closing.signal.aborted) return;
      problem = tell(error, log);
    }
    readAt = clock.elapsed();
    isCurrent = true;
    tookMs = readAt - begun;
    changed();
  }

  function readOnce(): Promise<void> {
    reading ??= readAll().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  /** Reads again for what has changed, as often as a reading may be made; what changes during one calls for another. */
  function readSoon(): void {
    const waitMs = Math.max(0, readAt + tookMs * LOAD - clock.elapsed());
    cancelSoon ??= clock.after(waitMs, () => {
      cancelSoon = undefined;
      void (reading ?? Promise.resolve()).then(readOnce);
    });
  }

  function begin(): void {
    // What was known before nobody looked is old.
    if (clock.elapsed() - readAt >= FRESH_MS) isCurrent = false;
    runs.setWatching(true);
    release = [watcher.onEvent(({ run }) => see(run)), watcher.onPushed(see), sessions.onChange(readSoon)];
    repeat(
      () => plans.read().catch(() => {}),
      () => PLANS_MS,
    );
    repeat(readOnce, () => Math.max(SESSIONS_MS, tookMs * LOAD));
  }

  function see(run: Parameters<typeof runs.see>[0]): void {
    const isKnown = runs.see(run);
    changed();
    // Its session, and whatever else belongs to it, is only known by a reading.
    if (!isKnown) readSoon();
  }

  function repeat(work: () => Promise<void>, everyMs: () => number): void {
    const at = cancelTimers.length;
    const again = () => {
      cancelTimers[at] = clock.after(everyMs(), () => void work().finally(() => live > 0 && again()));
    };
    again();
  }

  function end(): void {
    runs.setWatching(false);
    for (const free of release) free();
    for (const cancel of cancelTimers) cancel();
    cancelSoon?.();
    cancelSoon = undefined;
    release = [];
    cancelTimers = [];
  }

  function now(): Omit<BoardView, "at"> {
    const today = startOfDay(clock.now());
    const all = runs.all();
    const goOn = all.filter(({ run }) => !isFinal(run.status));
    const ended = all
      .filter(({ run, row }) => isFinal(run.status) && (row.endedAt ?? 0) >= today)
      .map(({ row }) => row)
      .sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
    const asking = new Set(goOn.filter(({ needs }) => needs.length > 0).map(({ run }) => run.runId));
    const needs = [
      ...goOn.flatMap((one) => one.needs),
      // What the agent of a step asks is told by its run, with what answers it.
      ...plans.needs().filter(({ kind, runId }) => kind !== "question" || !runId || !asking.has(runId)),
    ].sort(bySince);
    const place = ({ queue }: RunRow) => queue?.position ?? Number.POSITIVE_INFINITY;
    return {
      now: clock.now(),
      needs,
      running: goOn
        .flatMap(({ row }) => (row.queue ? [] : [row]))
        .sort((a, b) => (b.startedAt ?? 0) - (a.startedAt ?? 0)),
      queue: goOn.flatMap(({ row }) => (row.queue ? [row] : [])).sort((a, b) => place(a) - place(b)),
      ended: ended.slice(0, MOST_ENDED),
      endedLeft: Math.max(0, ended.length - MOST_ENDED),
      plans: plans.rows(today),
      today,
      totals: {
        running: goOn.filter(({ row }) => !row.queue).length,
        needs: needs.length,
        endedToday: ended.length,
        failedToday: ended.filter(({ status }) => status === "failed").length,
        costTodayUsd: Math.round(ended.reduce((sum, { costUsd = 0 }) => sum + costUsd, 0) * 1e4) / 1e4,
        ...(ended.some((run) => run.costAtLeast) ? { costTodayAtLeast: true as const } : {}),
      },
      ...(problem === undefined ? {} : { problem }),
      ...(isUnread ? { unread: true as const } : {}),
    };
  }

  return {
    async read() {
      const isKept = live > 0 && isCurrent;
      if (!isKept && clock.elapsed() - readAt >= FRESH_MS) await readOnce();
      return now();
    },
    async open() {
      if (live > 0 && isCurrent) return;
      const begun = readOnce();
      if (clock.elapsed() - readAt >= KNOWN_MS) await begun;
    },
    now,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onPlan(listener) {
      planListeners.add(listener);
      return () => planListeners.delete(listener);
    },
    keepLive() {
      if (live++ === 0) begin();
      let isHeld = true;
      return () => {
        if (isHeld && --live === 0) end();
        isHeld = false;
      };
    },
    placeOf: plans.placeOf,
    lookNow() {
      void plans.read().catch(() => {});
      void readOnce();
      for (const listener of [...doneListeners]) listener();
    },
    onDone(listener) {
      doneListeners.add(listener);
      return () => doneListeners.delete(listener);
    },
    close() {
      closing.abort();
      cancelTell?.();
      end();
      plans.close();
      listeners.clear();
      planListeners.clear();
      doneListeners.clear();
    },
  };
}

function bySince(a: NeedView, b: NeedView): number {
  return (
    (a.since ?? Number.POSITIVE_INFINITY) - (b.since ?? Number.POSITIVE_INFINITY) || (a.id < b.id ? -1 : 1)
  );
}

/** When the day began on this machine, epoch ms. */
function startOfDay(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}

/** Why something cannot be known, fit to be shown. */
function tell(error: unknown, log: Log): string {
  if (error instanceof ApiError || (error as Error).name === "StoreError") return (error as Error).message;
  log.error("The board could not be read:", error);
  return "Internal error in this server: what is shown may be out of date.";
}
