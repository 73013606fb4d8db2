import type { Clock } from "../shared/clock.js";

export interface Paced<Key> {
  /** Reports the key, at once or when its pause is over. */
  touch(key: Key): void;
  close(): void;
}

/** Reports each key at most once in `pauseMs`, and never loses the last change. */
export function createPaced<Key>(clock: Clock, pauseMs: number, tell: (key: Key) => void): Paced<Key> {
  const waiting = new Map<Key, { again: boolean; cancel: () => void }>();
  let closed = false;

  function open(key: Key): void {
    tell(key);
    const entry = { again: false, cancel: () => {} };
    waiting.set(key, entry);
    entry.cancel = clock.after(pauseMs, () => {
      waiting.delete(key);
      if (entry.again) open(key);
    });
  }

  return {
    touch(key) {
      if (closed) return;
      const entry = waiting.get(key);
      if (entry) entry.again = true;
      else open(key);
    },
    close() {
      closed = true;
      for (const { cancel } of waiting.values()) cancel();
      waiting.clear();
    },
  };
}
