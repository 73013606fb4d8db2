import { Readable } from "node:stream";

/** The two ways of speaking: with a handshake (up to 2025-11-25), or with all that is needed in each request. */
export type Era = "legacy" | "modern";

/** A first message that is longer is none of a client that asks what the server can do. */
const LOOK_BYTES = 64 * 1024;
const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
const FIRST_MODERN = "2026-07-28";

/**
 * Which way the client on this stream speaks, by its first message. One that sends nothing readable is taken for one of
 * the old way, which knows what to answer.
 * @returns also the stream from which all messages are to be read, the first one included
 */
export async function peekEra(input: Readable): Promise<{ era: Era; input: Readable }> {
  const pieces: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    function stop(): void {
      input.off("readable", look);
      for (const event of ["end", "close", "error"]) input.off(event, onEnd);
    }
    function decide(era: Era): void {
      stop();
      input.unshift(Buffer.concat(pieces));
      resolve({ era, input });
    }
    // The last line of what is piped in may have no end. A stream that has ended takes nothing back.
    function onEnd(): void {
      stop();
      const all = Buffer.concat(pieces);
      resolve({ era: eraOfLine(all.toString("utf8")), input: Readable.from([all], { objectMode: false }) });
    }
    function look(): void {
      for (let piece = input.read(); piece !== null; piece = input.read()) {
        pieces.push(Buffer.from(piece));
        size += piece.length;
        const lines = Buffer.concat(pieces).toString("utf8").split("\n");
        const line = lines.slice(0, -1).find((one) => one.trim() !== "");
        if (line === undefined && size <= LOOK_BYTES) continue;
        decide(line === undefined ? "legacy" : eraOfLine(line));
        return;
      }
    }
    input.on("readable", look);
    for (const event of ["end", "close", "error"]) input.once(event, onEnd);
    look();
  });
}

function eraOfLine(line: string): Era {
  try {
    return eraOf(JSON.parse(line));
  } catch {
    return "legacy";
  }
}

/** The way of speaking of one message. */
export function eraOf(message: unknown): Era {
  const { method, params } = (message ?? {}) as {
    method?: unknown;
    params?: { _meta?: Record<string, unknown> | null } | null;
  };
  const version = params?._meta?.[VERSION_KEY];
  if (typeof version === "string") return isModernVersion(version) ? "modern" : "legacy";
  return method === "server/discover" ? "modern" : "legacy";
}

/** @param version of the protocol, as a message or a header names it */
export function isModernVersion(version: string): boolean {
  return version >= FIRST_MODERN;
}
