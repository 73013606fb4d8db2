import { parseBoundedJson } from "../shared/bounded-json.js";
import { Refusal } from "./refusal.js";

/** Far above any real action, in bytes. */
const BODY_LIMIT = 512 * 1024;

/** A request's body as JSON. @throws Refusal 413 above the limit, 400 for what is no JSON */
export async function readJsonBody(request: Request): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > BODY_LIMIT)
      throw new Refusal(413, `The body is larger than ${BODY_LIMIT} bytes. Nothing was done.`);
    chunks.push(chunk);
  }
  try {
    return parseBoundedJson(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "The body is not JSON. Nothing was done.");
  }
}
