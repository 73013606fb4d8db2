const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Up to which size an answer is read, in bytes. A status holds all that an agent has written and may be longer than
 * any limit: such a run is told from the list instead.
 */
export const BODY_LIMITS = {
  /** What acts answers with an id or some counters. */
  act: 256 * KIB,
  queue: 64 * KIB,
  status: 16 * MIB,
  /** A page of a hundred runs, with their results. */
  list: 16 * MIB,
  workflows: 4 * MIB,
  description: 4 * MIB,
  /** What comes with an HTTP error; of a longer one the words are not shown. */
  refusal: 256 * KIB,
} as const;

/** The body as text; undefined when it is longer than the limit, and then the rest is not read. */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  limitBytes: number,
): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > limitBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
