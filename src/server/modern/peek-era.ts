import type { Readable } from "node:stream";

/** The two ways of speaking: with a handshake (up to 2025-11-25), or with all that is needed in each request. */
export type Era = "legacy" | "modern";

/** A first message that is longer is none of a client that asks what the server can do. */
const LOOK_BYTES = 64 * 1024;
const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
const FIRST_MODERN = "2026-07-28";

/**
 * Which way the client on this stream speaks, by its first message, which stays to be read. One that sends nothing
 * readable is taken for one of the old way, which knows what to answer.
 */
export async function peekEra(input: Readable): Promise<Era> {
  const pieces: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    function decide(era: Era): void {
      input.off("readable", look);
      for (const event of ["end", "close", "error"]) input.off(event, onEnd);
      if (size > 0) input.unshift(Buffer.concat(pieces));
      resolve(era);
    }
    const onEnd = () => decide("legacy");
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
