import type { Clock } from "../../shared/clock.js";
import type { EngineRun } from "../runs/run.js";
import type { RunStore, StoredEvent } from "../runs/run-store.js";
import type { Engine } from "../types.js";
import { toEventWire } from "./event-wire.js";
import { toMoment, toStatus } from "./run-wire.js";

/** What the streams need of the runs. */
export type EventSource = Pick<RunStore, "eventsAfter" | "subscribe" | "newestEventId" | "get">;

export interface EventStreamOptions {
  runs: EventSource;
  /** How runs wait for a slot, which is no event of theirs. */
  waits: Pick<Engine, "waitOf" | "onWaitChange">;
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
 * stored. Nothing is left out, doubled or held back. A stream is ended when its reader is too slow.
 *
 * The `id` of `open` is where the stream begins, so that a client that breaks off before the first event resumes there.
 */
export function createEventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { runs, waits, clock, runId, after, closing } = options;
  const encoder = new TextEncoder();
  let release: (() => void)[] = [];
  let missed: readonly StoredEvent[] = [];
  let missedSent = 0;
  let waiting: { event: StoredEvent | undefined; run: EngineRun }[] = [];
  /** The newest event that was sent, or where the stream begins. */
  let lastSent = 0;
  /** The newest event of those that were missed. */
  let lastSeen = 0;
  /** The event "open" has been sent. */
  let isOpen = false;
  let end = () => {};

  function encode(event: StoredEvent, run: EngineRun | undefined): Uint8Array {
    lastSent = event.id;
    return frame({ ...toEventWire(event), at: toMoment(event.at), run_id: event.runId }, run);
  }

  /** That a run waits otherwise than before. It is no event of its own, so the number stays that of the last one. */
  function encodeWait({ runId }: EngineRun): Uint8Array | undefined {
    const run = runs.get(runId);
    return run && frame({ type: "wait", data: {}, at: toMoment(clock.now()), run_id: runId }, run);
  }

  function frame(event: object, run: EngineRun | undefined): Uint8Array {
    const status = run ? toStatus(run, clock.now(), true, waits.waitOf(run)) : null;
    return encoder.encode(
      `id: ${lastSent}\nevent: run\ndata: ${JSON.stringify({ ...event, run: status })}\n\n`,
    );
  }

  function flush(controller: ReadableStreamDefaultController<Uint8Array>): void {
    while (isOpen && (controller.desiredSize ?? 0) > 0) {
      const past = missed[missedSent];
      const next = past ? { event: past, run: runs.get(past.runId) } : waiting.shift();
      if (!next) return;
      if (past) missedSent++;
      else if (missed.length > 0) missed = [];
      const sent = next.event ? encode(next.event, next.run) : next.run && encodeWait(next.run);
      if (sent) controller.enqueue(sent);
    }
  }

  /** What the client has missed; undefined when it cannot be read. */
  async function lookBack(): Promise<{ events: readonly StoredEvent[]; gap: boolean } | undefined> {
    if (after === undefined) return { events: [], gap: false };
    return runs.eventsAfter(after, runId).catch(() => undefined);
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
      async start(controller) {
        end = () => {
          if (release.length === 0) return;
          stop();
          controller.close();
        };
        // Listens before it looks back, so that nothing is lost in between.
        const newest = runs.newestEventId();
        release.push(
          runs.subscribe((event, run) => {
            if (event.id <= lastSeen || (runId !== undefined && event.runId !== runId)) return;
            if (!toEventWire(event)) return;
            waiting.push({ event, run });
            flush(controller);
            if (waiting.length > MAX_WAITING) end();
          }),
        );
        release.push(
          waits.onWaitChange((run) => {
            if (runId !== undefined && run.runId !== runId) return;
            waiting.push({ event: undefined, run });
            flush(controller);
          }),
        );
        closing?.addEventListener("abort", end, { once: true });
        release.push(() => closing?.removeEventListener("abort", end));
        const past = await lookBack();
        // The client comes back, and finds it then.
        if (!past) end();
        if (!past || release.length === 0) return;
        missed = past.events.filter((event) => toEventWire(event));
        // What was told meanwhile, or is told in a moment, may be in both.
        lastSeen = past.events.at(-1)?.id ?? 0;
        waiting = waiting.filter(({ event }) => event === undefined || event.id > lastSeen);
        const begin = after === undefined || past.gap ? newest : after;
        lastSent = begin;
        const open = JSON.stringify({ newest_id: newest, gap: past.gap });
        controller.enqueue(encoder.encode(`id: ${begin}\nevent: open\ndata: ${open}\n\n`));
        isOpen = true;
        let cancelKeepAlive = () => {};
        const keepAlive = () => {
          cancelKeepAlive = clock.after(KEEP_ALIVE_MS, () => {
            if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": keep-alive\n\n"));
            keepAlive();
          });
        };
        keepAlive();
        release.push(() => cancelKeepAlive());
        flush(controller);
        if (closing?.aborted) end();
      },
      pull(controller) {
        // Many at a time: what they tell of the queue is reckoned once for them.
        if ((controller.desiredSize ?? 0) >= AHEAD_BYTES / 2) flush(controller);
      },
      cancel: stop,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
  );
}
