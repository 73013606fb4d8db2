/** Control and escape characters, marks that turn text around or hide it, and halves of characters. */
const UNFIT =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}\p{Cs}]/u;

/** Known clients cut a tool's result at about 25,000 tokens. */
const ANSWER_LIMIT = 100_000;
const MESSAGE_LIMIT = 20_000;
/** A result is told whole in its own resource. */
const RESOURCE_LIMIT = 16 * 1024 * 1024;

interface Message {
  method?: string;
  params?: unknown;
  result?: {
    content?: unknown;
    contents?: unknown;
    structuredContent?: unknown;
    inputRequests?: unknown;
  };
}

/** What is wrong with a message that leaves the server for a client. */
export function inspectMessage(message: unknown, key: string): string[] {
  const { method, result } = message as Message;
  const text = JSON.stringify(message);
  const what =
    method ?? (result?.structuredContent ? "an answer" : result?.contents ? "a resource" : "a reply");
  const limit =
    method || result?.inputRequests ? MESSAGE_LIMIT : result?.contents ? RESOURCE_LIMIT : ANSWER_LIMIT;
  const violations = inspectText(what, text, key);
  if (text.length > limit)
    violations.push(`${what} is ${text.length} characters long: ${text.slice(0, 300)}`);
  for (const leaf of leavesOf(message)) {
    const found = UNFIT.exec(leaf);
    if (!found) continue;
    const code = found[0].codePointAt(0)?.toString(16);
    const around = leaf.slice(Math.max(0, found.index - 80), found.index + 20);
    violations.push(`${what} carries the character U+${code}: ${JSON.stringify(around)}`);
    break;
  }
  return violations;
}

/** What is wrong with a text that leaves the server by another way: its log, for instance. */
export function inspectText(what: string, text: string, key: string): string[] {
  if (!text.includes(key)) return [];
  const at = text.indexOf(key);
  return [`${what} shows the key: ${text.slice(Math.max(0, at - 120), at + 40)}`];
}

export function* leavesOf(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) {
    for (const [key, field] of Object.entries(value)) {
      yield key;
      yield* leavesOf(field);
    }
  }
}
