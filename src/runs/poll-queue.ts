import type { Clock } from "../shared/clock.js";
import type { RequestBudget } from "./request-budget.js";

/** Something that asks the API again and again, one request at a time. */
export interface PollJob {
  /** When its next request is due, epoch ms; infinite when there is nothing to ask. */
  dueAt: number;
  /** How much earlier than another that is due at the same moment it comes, in ms; negative for later. */
  headStartMs: number;
  /** Its request is out. */
  busy: boolean;
  /** Its next request will follow this one at once, and should find room. */
  readonly hasMore?: boolean;
  /** Sends the request and sets `dueAt` anew. Never throws. */
  send(): Promise<void>;
}

export interface PollQueue {
  /** To be called when a job has become due earlier than it was. */
  wake(): void;
  /** Nothing is sent for so long, in ms: the API has asked for that. */
  hold(ms: number): void;
  close(): void;
}

/** Requests in flight at once; more would queue up in the API anyway. */
const MAX_IN_FLIGHT = 8;
/** An API that asks for more patience than this is asked again all the same, in ms. */
const LONGEST_HOLD_MS = 60_000;
/** However far the clock is set back, nothing waits longer than this for its turn, in ms. */
const LONGEST_PAUSE_MS = 60_000;
/** What is kept of the budget for a request that follows at once is asked for again after this long, in ms. */
const KEPT_FOR_MS = 25;
/** No busy machine makes a timer so late, in ms: the clock was set, or the machine has slept. */
const JUMP_MS = 30_000;

/**
 * The only poller of the process: sends what is due under one budget. What has waited longest comes first, counted
 * from when it was due and with its head start, so that what is urgent goes ahead and nothing waits for ever.
 */
export function createPollQueue(options: {
  clock: Clock;
  budget: RequestBudget;
  /** Hands over every job there is. */
  eachJob: (visit: (job: PollJob) => void) => void;
  /** The clock was set, or the machine has slept: so many ms have not passed here; negative when it was set back. */
  onJump: (byMs: number) => void;
}): PollQueue {
  const { clock, budget, eachJob, onJump } = options;
  let closed = false;
  let inFlight = 0;
  let heldUntil = 0;
  let lastNow = clock.now();
  let cancelTimer: () => void = () => {};

  function checkClock(): number {
    const now = clock.now();
    if (now < lastNow) {
      heldUntil = Math.min(heldUntil, now);
      onJump(now - lastNow);
    }
    lastNow = now;
    return now;
  }

  function pump(): void {
    cancelTimer();
    while (!closed && inFlight < MAX_IN_FLIGHT) {
      const now = checkClock();
      const { first, earliest, isAwaited } = findFirst(now);
      const wait = first ? waitMsFor(first, isAwaited) : earliest - now;
      const pause = Math.max(heldUntil - now, wait);
      if (!first || pause > 0) {
        if (pause < Number.POSITIVE_INFINITY) {
          sleepFor(now, Math.min(pause, LONGEST_PAUSE_MS));
        }
        return;
      }
      budget.take();
      void send(first);
    }
  }

  /** @param isAwaited half of the budget is kept for a request that is about to come */
  function waitMsFor(job: PollJob, isAwaited: boolean): number {
    const waitMs = budget.waitMs();
    if (waitMs > 0 || job.hasMore || !isAwaited || budget.isPlenty()) return waitMs;
    return KEPT_FOR_MS;
  }

  function sleepFor(now: number, ms: number): void {
    cancelTimer = clock.after(ms, () => {
      const lateMs = clock.now() - now - ms;
      if (lateMs >= JUMP_MS) onJump(lateMs);
      pump();
    });
  }

  /** The job whose turn it is, when the next one is due, and whether a request is out that will be followed at once. */
  function findFirst(now: number) {
    const found = {
      first: undefined as PollJob | undefined,
      earliest: Number.POSITIVE_INFINITY,
      isAwaited: false,
    };
    eachJob((job) => {
      if (job.busy) {
        found.isAwaited ||= job.hasMore === true;
        return;
      }
      const { dueAt } = job;
      found.earliest = Math.min(found.earliest, dueAt);
      if (dueAt <= now && (!found.first || rank(job) < rank(found.first))) found.first = job;
    });
    return found;
  }

  async function send(job: PollJob): Promise<void> {
    job.busy = true;
    inFlight++;
    try {
      await job.send();
    } finally {
      job.busy = false;
      inFlight--;
      pump();
    }
  }

  return {
    wake: pump,
    hold(ms) {
      heldUntil = Math.max(heldUntil, clock.now() + Math.min(ms, LONGEST_HOLD_MS));
    },
    close() {
      closed = true;
      cancelTimer();
    },
  };
}

const rank = (job: PollJob) => job.dueAt - job.headStartMs;
