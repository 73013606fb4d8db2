import { parseBoundedJson, TooDeepError } from "../../shared/bounded-json.js";
import { HttpRefusal } from "./refusal.js";

/** Far above any real request; a larger body is a mistake. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** What is read and thrown away of a body that is too large, before the connection is given up. */
const DRAIN_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * A request's body as JSON: `undefined` when none was sent, the text when it does not claim to be JSON.
 * @throws HttpRefusal 413 above 1 MiB, 422 for what is not valid JSON
 */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request);
  if (text === "") return undefined;
  const type = request.headers.get("content-type") ?? "";
  if (type !== "" && !/^application\/(?:[\w.-]+\+)?json\b/i.test(type)) return text;
  try {
    return parseBoundedJson(text);
  } catch (error) {
    if (error instanceof TooDeepError) throw new HttpRefusal(400, error.message);
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw new HttpRefusal(422, [
      {
        type: "json_invalid",
        loc: ["body", position === undefined ? text.length : Number(position)],
        msg: "JSON decode error",
        input: {},
        ctx: { error: "Expecting value" },
      },
    ]);
  }
}

/** The rest of a body that is too large is read too, because an answer to a client that is still sending gets lost. */
async function readText(request: Request): Promise<string> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size <= BODY_LIMIT_BYTES) chunks.push(chunk);
    else chunks = [];
    if (size > DRAIN_LIMIT_BYTES) break;
  }
  if (size > BODY_LIMIT_BYTES) throw new HttpRefusal(413, "Request body too large");
  return Buffer.concat(chunks).toString("utf8");
}
