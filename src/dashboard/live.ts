import { randomBytes } from "node:crypto";
import type { Clock } from "../shared/clock.js";
import type { Board } from "./board.js";
import { changeOf } from "./board-change.js";
import { createEventQueue } from "./event-queue.js";
import type { Topics } from "./topics.js";
import type { BoardChange, BoardView } from "./views/board.js";

/** What one page listens to. */
export interface StreamOptions {
  /** Where the page's board stands; undefined for a page without one. */
  after: string | undefined;
  run: string | undefined;
  plan: string | undefined;
  /** Ends the stream. */
  signal: AbortSignal;
}

/** The board, and how it goes on. */
export interface Live {
  /** Begins to read the board, for somebody who is about to open it. */
  prepare(): void;
  /** The board as it is now, with where its stream goes on. */
  board(): Promise<BoardView>;
  /** Server-sent events, as `StreamEvents` has them. */
  stream(options: StreamOptions): ReadableStream<Uint8Array>;
  /** How many streams are open. */
  streams(): number;
}

/** Changes that are kept for who comes back, in number and in characters. */
const MOST_KEPT = 500;
const KEPT_CHARS = 2 * 1024 * 1024;
/** Proxies and browsers take a connection for dead after some half minute of silence. */
const HEARTBEAT_MS = 15_000;
/** A reader that takes nothing for so long while something waits is sent away, in ms; it comes back by itself. */
const STUCK_MS = 60_000;
const ENDED = "This session has ended: open a new link.";
/** Made ready ahead of the reader, in bytes. */
const AHEAD_BYTES = 64 * 1024;

/** Tells the board's changes to all pages: each is made once, whoever listens. */
export function createLive({ board, topics, clock }: { board: Board; topics: Topics; clock: Clock }): Live {
  /** Numbers of another process's changes are nobody's. */
  const epoch = randomBytes(6).toString("base64url");
  const kept: { number: number; change: BoardChange; size: number }[] = [];
  const readers = new Set<(number: number, change: BoardChange) => void>();
  let keptChars = 0;
  let number = 0;
  let last: BoardView | undefined;

  const at = () => `${epoch}.${number}`;

  board.onChange(() => void bringUpToDate());

  /** Makes a change of what is different since the last one. */
  function bringUpToDate(): BoardView {
    const now = board.now();
    const change = last && changeOf(last, { ...now, at: "" });
    if (change) {
      number++;
      const size = JSON.stringify(change).length;
      kept.push({ number, change, size });
      keptChars += size;
      while (kept.length > MOST_KEPT || keptChars > KEPT_CHARS) keptChars -= kept.shift()?.size ?? 0;
    }
    last = { ...now, at: at() };
    if (change) for (const tell of [...readers]) tell(number, change);
    return last;
  }

  /** The changes behind a place; undefined where they are not known (any more). */
  function changesAfter(place: string | undefined) {
    const [of, text = ""] = place?.split(".") ?? [];
    const from = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (of !== epoch || Number.isNaN(from) || from > number) return undefined;
    const behind = kept.filter((one) => one.number > from);
    return behind.length === number - from ? behind : undefined;
  }

  function stream({ after, run, plan, signal }: StreamOptions): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let release: (() => void)[] = [];
    let flush = () => {};
    let takenAt = clock.elapsed();
    const queue = createEventQueue(() => flush());
    const addChange = (of: number, change: BoardChange) =>
      queue.add("change", change, { id: `${epoch}.${of}` });

    function addWhole(): void {
      const whole = bringUpToDate();
      queue.add("board", whole, { id: whole.at });
      topic?.tellAll();
    }
    const topic = run === undefined && plan === undefined ? undefined : topics.open({ run, plan }, queue);

    function stop(): void {
      for (const free of release) free();
      release = [];
      topic?.close();
    }

    /** The board first, which is not waited for by the run or the plan that the page shows. */
    async function begin(): Promise<void> {
      void topic?.begin();
      await board.open();
      if (release.length === 0) return;
      const whole = bringUpToDate();
      const missed = changesAfter(after);
      if (missed) for (const one of missed) addChange(one.number, one.change);
      else queue.add("board", whole, { id: whole.at });
      readers.add(addChange);
      release.push(() => readers.delete(addChange));
    }

    return new ReadableStream<Uint8Array>(
      {
        start(controller) {
          const send = () => {
            while (release.length > 0 && (controller.desiredSize ?? 0) > 0) {
              let text = queue.take();
              if (text === undefined && queue.isBehind) {
                queue.restart();
                addWhole();
                text = queue.take();
              }
              if (text === undefined) return;
              takenAt = clock.elapsed();
              controller.enqueue(encoder.encode(text));
            }
          };
          const end = (why?: string) => {
            if (release.length === 0) return;
            stop();
            if (why) controller.enqueue(encoder.encode(`event: bye\ndata: ${JSON.stringify({ why })}\n\n`));
            controller.close();
          };
          const onAbort = () => end(ENDED);
          release = [board.keepLive()];
          signal.addEventListener("abort", onAbort, { once: true });
          release.push(() => signal.removeEventListener("abort", onAbort));
          release.push(beat(controller, () => clock.elapsed() - takenAt > STUCK_MS && end()));
          controller.enqueue(encoder.encode(": open\n\n"));
          flush = send;
          if (signal.aborted) onAbort();
          else void begin();
        },
        pull: () => flush(),
        cancel: stop,
      },
      new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
    );
  }

  /** Says that the stream lives, as long as its reader reads. */
  function beat(controller: ReadableStreamDefaultController<Uint8Array>, look: () => void): () => void {
    const comment = new TextEncoder().encode(": here\n\n");
    let cancel = () => {};
    const again = () => {
      cancel = clock.after(HEARTBEAT_MS, () => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(comment);
        else look();
        again();
      });
    };
    again();
    return () => cancel();
  }

  return {
    prepare: () => void board.read(),
    async board() {
      await board.read();
      return bringUpToDate();
    },
    stream,
    streams: () => readers.size,
  };
}
