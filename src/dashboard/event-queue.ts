/** What is to be sent to one reader, as long as that keeps up. */
export interface EventQueue {
  /**
   * Adds an event. @param replaces one of the same name that was not sent yet goes: only the newest of it matters
   */
  add(event: string, data: unknown, options?: { id?: string; replaces?: boolean }): void;
  /** All that waits is let go, and what comes next too, until {@link restart}. */
  readonly isBehind: boolean;
  /** Takes up again after all was let go. */
  restart(): void;
  /** The next event as text; undefined when nothing waits. */
  take(): string | undefined;
}

/** What waits for one reader, in characters: with more it is behind, and is told the whole anew when it reads on. */
export const MOST_WAITING = 1024 * 1024;

/** @param onAdded called when there is something to take, or the reader has fallen behind */
export function createEventQueue(onAdded: () => void, limit = MOST_WAITING): EventQueue {
  let waiting: { event: string; text: string }[] = [];
  let size = 0;
  let isBehind = false;

  return {
    add(event, data, { id, replaces = false } = {}) {
      if (isBehind) return;
      if (replaces && waiting.some((one) => one.event === event)) {
        waiting = waiting.filter((one) => one.event !== event);
        size = waiting.reduce((sum, { text }) => sum + text.length, 0);
      }
      const text = `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
      // One alone may be longer: the whole board has to go out some time.
      if (waiting.length > 0 && size + text.length > limit) {
        waiting = [];
        size = 0;
        isBehind = true;
      } else {
        waiting.push({ event, text });
        size += text.length;
      }
      onAdded();
    },
    get isBehind() {
      return isBehind;
    },
    restart() {
      isBehind = false;
    },
    take() {
      const next = waiting.shift();
      if (next) size -= next.text.length;
      return next?.text;
    },
  };
}
