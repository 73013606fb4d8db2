import { setTimeout as delay } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { KEY } from "./program.js";
import type { ClusterWorker } from "./worker.js";

/** An event as a stream has told it. */
export interface ToldEvent {
  id: number;
  runId: string;
  type: string;
  /** The worker that has told it. */
  worker: number;
}

/** A client that follows all events, and goes on at another worker where its stream has ended. */
export interface EventReader {
  /** What it was told between two gaps; the last part goes on. `after` is where the part begins. */
  parts: readonly { after: number; events: readonly ToldEvent[] }[];
  /** Goes on at this worker. */
  moveTo(worker: ClusterWorker): void;
  /** The last event that it knows, or where it begins; undefined before the first `open`. */
  lastId(): number | undefined;
  stop(): Promise<void>;
}

/** @param tap changes what is read, for products that are broken on purpose; undefined leaves an event out */
export function readEvents(
  first: ClusterWorker,
  tap: (event: ToldEvent, again: () => void) => ToldEvent | undefined = (event) => event,
): EventReader {
  const parts: { after: number; events: ToldEvent[] }[] = [];
  let at = first;
  let lastId: number | undefined;
  let stream = new AbortController();
  let isStopped = false;

  function take(name: string | undefined, id: string | undefined, data: string): void {
    const told = JSON.parse(data);
    if (name === "open") {
      if (lastId === undefined || told.gap) parts.push({ after: Number(id), events: [] });
      lastId = Number(id);
      return;
    }
    lastId = Number(id);
    // That a run waits otherwise is no event of its own, and has the number of the one before.
    if (told.type === "wait") return;
    const event = { id: Number(id), runId: told.run_id, type: told.type, worker: at.index };
    const add = (one: ToldEvent | undefined) => one && parts.at(-1)?.events.push(one);
    add(tap(event, () => add(event)));
  }

  async function readOnce(): Promise<void> {
    const { signal } = stream;
    const url = new URL("/api/v1/workflows/claude-code/events", at.url());
    const resume = lastId === undefined ? {} : { "last-event-id": String(lastId) };
    const response = await fetch(url, { headers: { "x-api-key": KEY, ...resume }, signal });
    if (!response.ok || !response.body) throw new Error(`refused: ${response.status}`);
    const parser = createParser({
      onEvent: ({ event, id, data }) => signal.aborted || take(event, id, data),
    });
    for await (const text of response.body.pipeThrough(new TextDecoderStream() as never))
      parser.feed(text as never);
  }

  async function read(): Promise<void> {
    while (!isStopped) {
      await readOnce().catch(() => {});
      await delay(stream.signal.aborted ? 0 : 100);
    }
  }

  const reading = read();
  return {
    parts,
    moveTo(worker) {
      at = worker;
      stream.abort();
      stream = new AbortController();
    },
    lastId: () => lastId,
    async stop() {
      isStopped = true;
      stream.abort();
      await reading;
    },
  };
}
