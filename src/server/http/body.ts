import type { IncomingMessage } from "node:http";
import { parseBoundedJson, TooDeepError } from "../../shared/bounded-json.js";
import { HttpRefusal, idOf } from "./refusal.js";

/** How much of a body that is too large is read and thrown away, as a multiple of the limit. */
const DRAINED_LIMITS = 8;
/** How much of one caller's incomplete bodies may be in memory, as a multiple of the limit. */
const BODIES_AT_ONCE = 16;
/** What is read and thrown away of a body that nobody wants, in bytes and ms. */
const DISCARDED_BYTES = 1024 * 1024;
const DISCARDED_MS = 1_000;

/** Bodies on their way in: clients that stall in the middle of one hold what has come. */
export interface Bodies {
  /**
   * A caller's request's body as JSON. The rest of a body that is too large is read too, because an answer to a client
   * that is still sending gets lost.
   * @throws HttpRefusal 413 above the limit, 400 for what is not JSON or is cut off, 429 when too much of the caller's
   * other bodies is still on its way
   */
  read(request: IncomingMessage, caller: string): Promise<unknown>;
}

/** @param limit of one body, in bytes */
export function createBodies(limit: number): Bodies {
  const coming = new Map<string, number>();
  return {
    async read(request, caller) {
      let chunks: Buffer[] = [];
      let size = 0;
      let counted = 0;
      const count = (bytes: number) => {
        counted += bytes;
        const total = (coming.get(caller) ?? 0) + bytes;
        if (total > 0) coming.set(caller, total);
        else coming.delete(caller);
        return total;
      };
      try {
        // By default leaving the loop closes the connection, so that no answer could be sent.
        const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
        for await (const chunk of pieces) {
          size += chunk.byteLength;
          if (size <= limit) chunks.push(chunk);
          else chunks = [];
          if (count(size <= limit ? chunk.byteLength : -counted) > limit * BODIES_AT_ONCE) {
            throw new HttpRefusal(
              429,
              "Too many request bodies are being received. Nothing was done. Try again in a moment.",
              {
                headers: { "retry-after": "5" },
              },
            );
          }
          if (size > limit * DRAINED_LIMITS) break;
        }
      } catch (error) {
        if (error instanceof HttpRefusal) throw error;
        throw new HttpRefusal(400, "The body ended too early");
      } finally {
        count(-counted);
      }
      if (size > limit) throw new HttpRefusal(413, `The body is larger than ${limit} bytes`);
      return parse(Buffer.concat(chunks).toString("utf8"));
    },
  };
}

function parse(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch (error) {
    if (error instanceof TooDeepError) {
      throw new HttpRefusal(400, error.message, { code: -32600, id: idOf(error.rest) });
    }
    throw new HttpRefusal(400, "Parse error: the body is not JSON", { code: -32700 });
  }
}

/** Reads a body that is not wanted to its end, within bounds: otherwise its sender would not get to read the answer. */
export async function discardBody(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  await new Promise<void>((resolve) => {
    let size = 0;
    const timer = setTimeout(resolve, DISCARDED_MS);
    request.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size > DISCARDED_BYTES) resolve();
    });
    for (const event of ["end", "close", "error"]) request.once(event, () => resolve());
    request.once("close", () => clearTimeout(timer));
    request.resume();
  });
}
