import type { StoredEvent } from "./run-store.js";

/** The newest events of all runs, in memory, for clients that resume. */
export interface EventWindow {
  /** Adds the newest event. */
  add(event: StoredEvent): void;
  /** Events after the number, of one run or of all, oldest first. */
  after(id: number, runId?: string): StoredEvent[];
  /** Every event after this number is in the window, unless its run was removed. */
  low(): number;
  /** Forgets the events of removed runs. */
  drop(runIds: ReadonlySet<string>): void;
}

/** A window that holds at most so many events and bytes, and always the newest one. `low` is where it begins. */
export function createEventWindow(limits: { events: number; bytes: number }, low: number): EventWindow {
  let items: { event: StoredEvent; bytes: number }[] = [];
  // Taking one from the front of a long array costs as much as the array is long, so it is done by the thousand.
  let first = 0;
  let bytesHeld = 0;
  let begins = low;

  function firstAfter(id: number): number {
    let [from, to] = [first, items.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((items[middle]?.event.id ?? 0) > id) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  return {
    add(event) {
      const bytes = JSON.stringify(event).length;
      items.push({ event, bytes });
      bytesHeld += bytes;
      while (items.length - first > 1 && (items.length - first > limits.events || bytesHeld > limits.bytes)) {
        const gone = items[first++];
        bytesHeld -= gone?.bytes ?? 0;
        begins = gone?.event.id ?? begins;
      }
      if (first > 1_000) items = items.slice(first);
      if (first > 1_000) first = 0;
    },
    after(id, runId) {
      const events = items.slice(firstAfter(id)).map((item) => item.event);
      return runId === undefined ? events : events.filter((event) => event.runId === runId);
    },
    low: () => begins,
    drop(runIds) {
      items = items.slice(first).filter((item) => !runIds.has(item.event.runId));
      first = 0;
      bytesHeld = items.reduce((sum, item) => sum + item.bytes, 0);
    },
  };
}
