/** Deeper than anything that is meant; what walks a message level by level runs out of stack at some ten thousand. */
const MAX_LEVELS = 100;

/** A message's JSON is nested too deep. */
export class TooDeepError extends Error {
  override name = "TooDeepError";
  /** The value with `null` in place of everything too deep, by which its sender can be told. */
  readonly rest: unknown;

  constructor(rest: unknown) {
    super(`The JSON is nested more than ${MAX_LEVELS} levels deep`);
    this.rest = rest;
  }
}

/**
 * Reads JSON that somebody else has written. How deep it is nested is seen before anything is made of it.
 * @throws TooDeepError, or a SyntaxError, whose message quotes the text
 */
export function parseBoundedJson(text: string): unknown {
  // Some shells put a byte order mark before what they send.
  const plain = text.replace(/^\ufeff/, "");
  const cut = cutDeepLevels(plain);
  if (cut === undefined) return JSON.parse(plain);
  throw new TooDeepError(JSON.parse(cut));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The text with `null` for all that is too deep; undefined when nothing is. */
function cutDeepLevels(text: string): string | undefined {
  let level = 0;
  let kept: string | undefined;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case 0x5b:
      case 0x7b:
        if (++level === MAX_LEVELS + 1) kept = `${kept ?? ""}${text.slice(from, at)}null`;
        break;
      case 0x5d:
      case 0x7d:
        if (level-- === MAX_LEVELS + 1) from = at + 1;
        break;
    }
  }
  if (kept === undefined) return undefined;
  return level > MAX_LEVELS ? kept : kept + text.slice(from);
}

/** Where the string that begins there ends, or the text. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}
