import type { Clock } from "../clock.js";
import { type ProcessLock, REFRESH_MS } from "./process-lock.js";

/** Why and how a process in the background ends. */
export interface End {
  why: string;
  /** The process's exit code. */
  code: number;
  /** Its lock, and with it its record, may be another process's by now. */
  ousted?: true;
  /** It never came to work. */
  failed?: true;
}

/** Decides when a process in the background ends: on a signal, when it has no more to do, or without its lock. */
export interface Life {
  /** Resolves once, with the first reason. */
  over: Promise<End>;
  /** Resolves when the person has asked for the end a second time. */
  askedAgain: Promise<false>;
  isOver(): boolean;
  end(how: End): void;
  told(signal: "SIGTERM" | "SIGINT"): void;
  /**
   * Looks again and again: says that the process lives, and whether it is to end.
   * @param look why it is to end, or undefined
   * @param everyMs the pause before the next look, at most; not longer than a lock may go without a refresh
   */
  watch(look: () => Promise<End | undefined>, everyMs: () => number): void;
}

/**
 * @param options.onEnd called at the moment of the decision
 * @param options.onLost called when the lock is gone
 */
export function createLife(options: {
  lock: ProcessLock;
  onEnd: (how: End) => void;
  onLost: () => void;
  clock: Clock;
}): Life {
  const { lock, onEnd, onLost, clock } = options;
  let ended: End | undefined;
  let tellOver: (end: End) => void = () => {};
  let tellAskedAgain: (isClosed: false) => void = () => {};
  let stopWatching = () => {};
  const over = new Promise<End>((resolve) => {
    tellOver = resolve;
  });
  const askedAgain = new Promise<false>((resolve) => {
    tellAskedAgain = resolve;
  });

  function end(how: End): void {
    if (ended) return;
    ended = how;
    stopWatching();
    onEnd(how);
    tellOver(how);
  }

  return {
    over,
    askedAgain,
    isOver: () => ended !== undefined,
    end,
    told(signal) {
      // Two chat windows may both ask for an end; only Ctrl+C at the terminal means that it should not wait.
      if (ended && signal === "SIGINT") tellAskedAgain(false);
      else end({ why: signal, code: 0 });
    },
    watch(look, everyMs) {
      async function lookOnce(): Promise<void> {
        const found = await look();
        if (ended) return;
        if (found) return end(found);
        const isOurs = await lock.refresh();
        if (ended) return;
        if (!isOurs) {
          onLost();
          return end({ why: "it has lost its state folder", code: 1, ousted: true });
        }
        lookLater();
      }
      function lookLater(): void {
        stopWatching = clock.after(Math.min(REFRESH_MS, everyMs()), () => void lookOnce());
      }
      lookLater();
    },
  };
}
