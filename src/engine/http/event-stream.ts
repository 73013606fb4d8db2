import type { Clock } from "../../shared/clock.js";
import type { RunStore, StoredEvent } from "../store/run-store.js";
import type { EngineRun } from "../types.js";
import { toMoment, toStatus } from "./run-wire.js";

/** What the streams need of the store. */
export type EventSource = Pick<RunStore, "eventsAfter" | "subscribe" | "newestEventId" | "get">;

export interface EventStreamOptions {
  store: EventSource;
  clock: Clock;
  /** Only this run's events. */
  runId?: string;
  /** The last event that the client has seen; undefined for a client that begins now. */
  after?: number;
  /** Ends the stream. */
  closing?: AbortSignal | undefined;
  /** Called once, when the stream has ended on either side. */
  onEnd?: () => void;
}

/** Proxies and clients take a connection for dead after some half minute of silence. */
const KEEP_ALIVE_MS = 15_000;
/** Bytes made ready ahead of the reader. */
const AHEAD_BYTES = 64 * 1024;
/** Events that wait for a reader; with more it is sent away, and resumes when it has caught up. */
const MAX_WAITING = 1_000;

/**
 * A stream of server-sent events: `open` at once, what the client has missed, then every event at the moment it is
 * stored. Nothing is left out, doubled or held back. A reader that is too slow finds the stream ended.
 *
 * The `id` of `open` is where the stream begins, so that a client that breaks off before the first event resumes there.
 */
export function createEventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { store, clock, runId, after, closing } = options;
  const encoder = new TextEncoder();
  let release: (() => void)[] = [];
  let missed: readonly StoredEvent[] = [];
  let missedSent = 0;
  let waiting: StoredEvent[] = [];
  let lastId = 0;
  let end = () => {};

  function encode(event: StoredEvent, run: EngineRun | undefined): Uint8Array {
    const data = JSON.stringify({
      type: event.type,
      at: toMoment(event.at),
      run_id: event.runId,
      run: run ? toStatus(run, clock.now(), true) : null,
      data: event.data,
    });
    return encoder.encode(`id: ${event.id}\nevent: run\ndata: ${data}\n\n`);
  }

  function flush(controller: ReadableStreamDefaultController<Uint8Array>): void {
    while ((controller.desiredSize ?? 0) > 0) {
      const event = missed[missedSent] ?? waiting.shift();
      if (!event) return;
      if (missedSent < missed.length) missedSent++;
      else if (missed.length > 0) missed = [];
      controller.enqueue(encode(event, store.get(event.runId)));
    }
  }

  function stop(): void {
    if (release.length > 0) options.onEnd?.();
    for (const free of release) free();
    release = [];
    missed = [];
    waiting = [];
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        end = () => {
          if (release.length === 0) return;
          stop();
          controller.close();
        };
        // Both at once, so that nothing can come in between; what is being told at this moment is in both.
        const newest = store.newestEventId();
        const past = after === undefined ? { events: [], gap: false } : store.eventsAfter(after, runId);
        missed = past.events;
        lastId = missed.at(-1)?.id ?? 0;
        release.push(
          store.subscribe((event) => {
            if (event.id <= lastId || (runId !== undefined && event.runId !== runId)) return;
            lastId = event.id;
            waiting.push(event);
            flush(controller);
            if (waiting.length > MAX_WAITING) end();
          }),
        );
        const begin = after === undefined || past.gap ? newest : after;
        const open = JSON.stringify({ newest_id: newest, gap: past.gap });
        controller.enqueue(encoder.encode(`id: ${begin}\nevent: open\ndata: ${open}\n\n`));
        let cancelKeepAlive = () => {};
        const keepAlive = () => {
          cancelKeepAlive = clock.after(KEEP_ALIVE_MS, () => {
            if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": keep-alive\n\n"));
            keepAlive();
          });
        };
        keepAlive();
        release.push(() => cancelKeepAlive());
        closing?.addEventListener("abort", end, { once: true });
        release.push(() => closing?.removeEventListener("abort", end));
        if (closing?.aborted) end();
      },
      pull: flush,
      cancel: stop,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
  );
}
