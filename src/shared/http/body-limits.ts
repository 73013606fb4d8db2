const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Up to which size an answer is taken in, in bytes. A status holds all that an agent has written, and a list the
 * results of a hundred runs, so there may honestly be more: then their long texts are cut, and the rest is there.
 */
export const BODY_LIMITS = {
  /** What acts answers with an id or some counters. */
  act: 256 * KIB,
  queue: 64 * KIB,
  status: 8 * MIB,
  /** As JSON it is somewhat longer than what was asked for. */
  diff: 48 * MIB,
  list: 16 * MIB,
  workflows: 4 * MIB,
  description: 4 * MIB,
  /** What comes with an HTTP error; of a longer one the words are not shown. */
  refusal: 256 * KIB,
} as const;

/** To this length a text is cut within an answer that is too long, in bytes. */
const TEXT_BYTES = 64 * KIB;
/** An answer whose texts are cut is read up to so many times its limit; the time limit of the request holds as well. */
const READ_FACTOR = 16;
const CUT = Buffer.from(" [the rest is too long to be read]");

/**
 * The body as text; undefined when it is longer than the limit, and then the rest is not read.
 * @param cutsTexts whether the body is JSON whose long texts are cut when it is longer than that
 */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  limitBytes: number,
  cutsTexts = false,
): Promise<string | undefined> {
  let chunks: Uint8Array[] = [];
  let cut: ((chunk: Uint8Array) => Uint8Array) | undefined;
  let read = 0;
  let size = 0;
  for await (const chunk of body) {
    const kept = cut ? cut(chunk) : chunk;
    read += chunk.byteLength;
    size += kept.byteLength;
    chunks.push(kept);
    if (size <= limitBytes && read <= limitBytes * READ_FACTOR) continue;
    if (!cutsTexts || cut) return undefined;
    cut = createTextCutter();
    chunks = chunks.map(cut);
    size = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
  // Some servers begin with a byte order mark, which is no part of the text.
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/^\ufeff/, "");
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

/** Cuts the long texts of a JSON document that comes in chunks; what comes out is JSON as well. */
function createTextCutter(): (chunk: Uint8Array) => Uint8Array {
  let inText = false;
  let length = 0;
  let cutting = false;
  /** Just after a backslash, or how many digits of a `\u` are still to come. */
  let escaping: "begun" | number = 0;

  return (chunk) => {
    const kept: Uint8Array[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (!inText) {
        inText = byte === QUOTE;
        length = 0;
        continue;
      }
      length++;
      if (escaping === "begun") escaping = byte === LETTER_U ? 4 : 0;
      else if (escaping > 0) escaping--;
      else if (byte === QUOTE) {
        inText = false;
        if (cutting) start = at;
        cutting = false;
      } else {
        // Never within a letter that takes several bytes, nor within an escape sequence.
        const begins = (byte & 0xc0) !== 0x80;
        if (!cutting && begins && length > TEXT_BYTES) {
          kept.push(chunk.subarray(start, at), CUT);
          cutting = true;
        }
        if (byte === BACKSLASH) escaping = "begun";
      }
    }
    if (!cutting) kept.push(chunk.subarray(start));
    return Buffer.concat(kept);
  };
}
