import type { Readable, Writable } from "node:stream";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ErrorCode } from "@modelcontextprotocol/sdk/types.js";
import { parseBoundedJson, TooDeepError } from "../../shared/bounded-json.js";
import { describeFault, readFrame } from "./frames.js";

/** What a client and this process talk over. */
export interface Streams {
  input: Readable;
  output: Writable;
}

/** The protocol over two streams, a message a line. */
export interface StdioTransport extends Transport {
  /** Resolves when nothing more comes from the client, and all that came has been handed on. */
  ended: Promise<void>;
  /** Resolves when no request is left to be answered. */
  answered(): Promise<void>;
  /** Resolves when all that was written has gone out, or nothing of it for a while. */
  flushed(): Promise<void>;
}

/** Longer lines are no messages. */
const MAX_LINE_BYTES = 10 * 1024 * 1024;
/** What is kept of the beginning and the end of a longer one. */
const EDGE_BYTES = 300;
/** What is written at once, so that a reader's progress can be seen. */
const PIECE_BYTES = 64 * 1024;
/** A reader that has taken nothing for this long takes nothing any more, in ms. */
const STALLED_MS = 10_000;

/**
 * In place of the SDK's transport, which forgets what it has read when its input ends, gives up at one line that is
 * too long, says nothing to a request that it cannot read, and leaves a listener on the output for each message that
 * waits.
 * @param onProblem told of what was dropped, in words that hold nothing of it
 */
export function createStdioTransport(
  { input, output }: Streams,
  onProblem: (message: string) => void,
): StdioTransport {
  const lines = createLines(onLine, (head, tail) => refuse("it is too long", findRequestId(head, tail)));
  const open = new Map<string | number, number>();
  const waiting = new Set<() => void>();
  let isClosed = false;
  let pending = 0;
  let lastTakenAt = 0;
  let end = () => {};

  function onLine(line: string): void {
    if (line.trim() === "") return;
    let value: unknown;
    try {
      value = parseBoundedJson(line);
    } catch (error) {
      if (error instanceof TooDeepError) refuse("it is nested too deep", idOfRest(error.rest));
      else onProblem("A line from the client was not valid JSON.");
      return;
    }
    // The protocol no longer has batches; earlier clients may send them, and match answers by their ids.
    for (const one of Array.isArray(value) ? value : [value]) onFrame(one);
  }

  function onFrame(value: unknown): void {
    const frame = readFrame(value);
    if ("fault" in frame) {
      refuse(frame.fault, frame.id);
      return;
    }
    const { message } = frame;
    if ("method" in message) {
      if ("id" in message) open.set(message.id, (open.get(message.id) ?? 0) + 1);
      // A cancelled request gets no answer.
      const cancelled = message.method === "notifications/cancelled" && message.params?.requestId;
      if (typeof cancelled === "string" || typeof cancelled === "number") settle(cancelled);
    }
    transport.onmessage?.(message);
  }

  function refuse(fault: string, id: string | number | null | undefined): void {
    onProblem(`A message from the client cannot be read: ${fault}.`);
    if (id === undefined) return;
    void write({
      jsonrpc: "2.0",
      id,
      error: { code: ErrorCode.InvalidRequest, message: describeFault(fault) },
    });
  }

  function settle(id: string | number): void {
    const count = (open.get(id) ?? 0) - 1;
    if (count > 0) open.set(id, count);
    else open.delete(id);
    if (open.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting.clear();
  }

  function write(message: object): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    if (pending === 0) lastTakenAt = performance.now();
    return new Promise((resolve) => {
      for (let at = 0; at < line.length; at += PIECE_BYTES) {
        pending++;
        output.write(line.subarray(at, at + PIECE_BYTES), () => {
          pending--;
          lastTakenAt = performance.now();
          if (at + PIECE_BYTES >= line.length) resolve();
        });
      }
    });
  }

  const onData = (piece: Buffer) => lines.add(piece);
  const onEnd = () => {
    lines.end();
    end();
  };
  const transport: StdioTransport = {
    ended: new Promise((resolve) => {
      end = resolve;
    }),
    async start() {
      input.on("data", onData);
      for (const event of ["end", "close", "error"]) input.once(event, onEnd);
    },
    async send(message) {
      if (isClosed) throw new Error("Not connected");
      try {
        await write(message);
      } finally {
        if (!("method" in message) && message.id !== undefined) settle(message.id);
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      input.off("data", onData);
      input.pause();
      transport.onclose?.();
    },
    answered: () => (open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.add(resolve))),
    async flushed() {
      while (pending > 0 && !output.destroyed && performance.now() - lastTakenAt < STALLED_MS) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, STALLED_MS);
          output.write("", () => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    },
  };
  return transport;
}

/** The id of a request that is too deep, by what is left of it. */
function idOfRest(rest: unknown): string | number | null | undefined {
  const frame = readFrame(rest);
  if ("fault" in frame) return frame.id;
  return "method" in frame.message && "id" in frame.message ? frame.message.id : undefined;
}

const ID = '"id"\\s*:\\s*(-?\\d{1,15}|"[^"\\\\]{1,200}")';
const REQUEST_HEAD = new RegExp(`^\\s*\\{\\s*(?:(?:"jsonrpc"\\s*:\\s*"2.0"|${ID})\\s*,\\s*)*"method"\\s*:`);
const ID_AT_END = new RegExp(`,\\s*${ID}\\s*\\}\\s*$`);

/** The id of a request of which only the beginning and the end are there, where it stands in one of them. */
function findRequestId(head: string, tail: string): string | number | undefined {
  const request = REQUEST_HEAD.exec(head);
  const id = request && (request[1] ?? ID_AT_END.exec(tail)?.[1]);
  return id ? (JSON.parse(id) as string | number) : undefined;
}

/** Cuts what comes in pieces into lines; the last one needs no end. Of one that is too long, both ends are told. */
function createLines(onLine: (line: string) => void, onTooLong: (head: string, tail: string) => void) {
  let pieces: Buffer[] = [];
  let tail = Buffer.alloc(0);
  let size = 0;
  function finish(): void {
    const text = () => Buffer.concat(pieces).toString("utf8");
    if (size > MAX_LINE_BYTES) onTooLong(text(), tail.toString("utf8"));
    else if (size > 0) onLine(text());
    pieces = [];
    tail = Buffer.alloc(0);
    size = 0;
  }
  function keep(piece: Buffer): void {
    if (piece.length === 0) return;
    pieces.push(piece);
    size += piece.length;
    if (size <= MAX_LINE_BYTES) return;
    tail = Buffer.concat([tail, piece.subarray(-EDGE_BYTES)]).subarray(-EDGE_BYTES);
    pieces = [Buffer.from(Buffer.concat(pieces.slice(0, 1)).subarray(0, EDGE_BYTES))];
  }
  return {
    add(piece: Buffer) {
      let from = 0;
      for (let to = piece.indexOf(10); to !== -1; to = piece.indexOf(10, from)) {
        keep(piece.subarray(from, to));
        finish();
        from = to + 1;
      }
      keep(piece.subarray(from));
    },
    end: finish,
  };
}
