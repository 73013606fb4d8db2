import type { IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { Transform } from "node:stream";
import type zlib from "node:zlib";

/** Loaded where it is needed: nobody is asked to compress anything. */
const load = createRequire(import.meta.url);

/** What undoes each coding. What ends too early has been cut off, and is an error. */
function createDecoder(coding: string, first: number): Transform | undefined {
  const codings: typeof zlib = load("node:zlib");
  // A stream of events is handed on as it comes.
  const flush = { flush: codings.constants.Z_SYNC_FLUSH };
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return codings.createGunzip(flush);
    case "br":
      return codings.createBrotliDecompress({ flush: codings.constants.BROTLI_OPERATION_FLUSH });
    case "deflate":
      // Some servers leave out the header that belongs to it (RFC 9110, 8.4.1.2).
      return (first & 0x0f) === 8 ? codings.createInflate(flush) : codings.createInflateRaw(flush);
    default:
      return undefined;
  }
}

/**
 * The body of an answer without the codings that its server, or a proxy, has put on it unasked. Whoever leaves the
 * loop over it ends the answer.
 */
export function decodeBody(response: IncomingMessage): AsyncIterable<Uint8Array> {
  const codings = (response.headers["content-encoding"] ?? "")
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding !== "identity");
  return codings.reduceRight<AsyncIterable<Uint8Array>>(undo, response);
}

async function* undo(coded: AsyncIterable<Uint8Array>, coding: string): AsyncGenerator<Uint8Array> {
  const { Readable, pipeline } = load("node:stream") as typeof import("node:stream");
  const chunks = coded[Symbol.asyncIterator]();
  const { value: first, done } = await chunks.next();
  if (done) return;
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      yield first;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    } finally {
      await chunks.return?.();
    }
  }
  const decoder = createDecoder(coding, first[0] ?? 0);
  if (!decoder) return yield* all();
  // How it failed is told by the loop.
  yield* pipeline(Readable.from(all()), decoder, () => {});
}
