import { type Clock, sleep } from "../../shared/clock.js";

/** At most two notifications a second: clients draw each of them. */
const PAUSE_MS = 500;
/**
 * Between a last notification and the answer, in ms: the SDK's client forgets the call as soon as it has read the
 * answer, and drops a notification that came in with it.
 */
const LAST_BEFORE_ANSWER_MS = 25;
/** By how much a report rises that has nothing to count: the protocol wants every one above the last. */
const STEP = 0.001;

interface Update {
  progress?: number;
  total?: number;
  message: string;
}

export interface ProgressReporter {
  /** Tells the newest state; what comes too fast is replaced by what comes after it. */
  report(update: Update): void;
  /** Another one listens from now on, who was told nothing yet: what comes next is told, also when it says the same. */
  forget(): void;
  /** Sends what is still held back; afterwards nothing is sent any more. */
  finish(): Promise<void>;
}

/**
 * Progress of one call: strictly increasing, on change only, at most two a second, the last one always sent, and
 * none after the answer.
 */
export function createProgress(
  send: (update: Update & { progress: number }) => Promise<void>,
  clock: Clock,
): ProgressReporter {
  let last = 0;
  let sentAt = Number.NEGATIVE_INFINITY;
  let lastMessage = "";
  let held: Update | undefined;
  let cancelTimer: (() => void) | undefined;
  let finished = false;
  let sending: Promise<void> = Promise.resolve();

  /** How long the next one has to keep its distance, in ms. */
  const pause = () => Math.max(0, sentAt + PAUSE_MS - clock.elapsed());

  function flush(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (!held) return;
    const { progress, total, message } = held;
    held = undefined;
    if (message === lastMessage && (progress ?? 0) <= last) return;
    last = progress !== undefined && progress > last ? progress : Math.round((last + STEP) * 1000) / 1000;
    lastMessage = message;
    sentAt = clock.elapsed();
    const update = { progress: last, message, ...(total === undefined ? {} : { total }) };
    sending = sending.then(() => send(update)).catch(() => {});
  }

  return {
    report(update) {
      if (finished) return;
      held = update;
      if (pause() === 0) flush();
      else cancelTimer ??= clock.after(pause(), flush);
    },
    forget() {
      lastMessage = "";
    },
    async finish() {
      const before = sentAt;
      // The last one keeps its distance too: what came too fast is waited for, not lost.
      if (held) await sleep(clock, pause());
      flush();
      finished = true;
      await sending;
      if (sentAt !== before) await sleep(clock, LAST_BEFORE_ANSWER_MS);
    },
  };
}
