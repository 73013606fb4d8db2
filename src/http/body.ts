import type { IncomingMessage } from "node:http";
import { HttpRefusal } from "./refusal.js";

/** What is read and thrown away of a body that is too large, before the connection is given up, in limits. */
const DRAINED_LIMITS = 8;

/**
 * A request's body as JSON. The rest of a body that is too large is read too, because an answer to a client that is
 * still sending gets lost.
 * @param limit in bytes
 * @throws HttpRefusal 413 above the limit, 400 for what is not JSON or is cut off
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  let chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (size <= limit) chunks.push(chunk);
      else chunks = [];
      if (size > limit * DRAINED_LIMITS) break;
    }
  } catch {
    throw new HttpRefusal(400, "The body ended too early");
  }
  if (size > limit) throw new HttpRefusal(413, `The body is larger than ${limit} bytes`);
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new HttpRefusal(400, "Parse error: the body is not JSON", { code: -32700 });
  }
}
