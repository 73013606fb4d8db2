import { asRecord, asText, type JsonRecord } from "../json.js";

/** How many positions are tried as the beginning of a message in a line that is not JSON as a whole. */
const ATTEMPTS = 50;
/** How many unclosed braces are tried: each one costs a scan of the rest of the line, which may be 64 MiB long. */
const UNCLOSED_LIMIT = 3;

/** The types of messages; an object among other text counts as a message only with one of them. */
const MESSAGE_TYPE = /^(system|assistant|user|result|command_lifecycle|control_[a-z_]+)$/;

/**
 * The messages in one line of the agent's output. Mostly the line is one; a terminal's title, a note of some library,
 * or another message may be glued to it. Empty when there is none.
 */
export function parseOutputLine(line: string): JsonRecord[] {
  const whole = parse(line);
  if (whole) return [whole];
  const found: JsonRecord[] = [];
  let attempts = 0;
  let unclosed = 0;
  for (let start = line.indexOf("{"); start >= 0 && attempts++ < ATTEMPTS && unclosed < UNCLOSED_LIMIT; ) {
    const end = endOfObject(line, start);
    if (end === undefined) unclosed++;
    const object = end === undefined ? undefined : parse(line.slice(start, end));
    if (MESSAGE_TYPE.test(asText(object?.type) ?? "")) found.push(object as JsonRecord);
    start = line.indexOf("{", object && end ? end : start + 1);
  }
  return found;
}

function parse(text: string): JsonRecord | undefined {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The index behind the brace that closes the one at `start`; undefined when it is not closed. */
function endOfObject(line: string, start: number): number | undefined {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < line.length; at++) {
    const sign = line[at];
    if (quoted) {
      if (sign === "\\") at++;
      else if (sign === '"') quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === "{") depth++;
    else if (sign === "}" && --depth === 0) return at + 1;
  }
  return undefined;
}

/**
 * What can be told of a result whose line is damaged; undefined when the line is no result. Without it the run would
 * wait for a result that has come.
 */
export function readDamagedResult(line: string): JsonRecord | undefined {
  if (!/"type"\s*:\s*"result"/.test(line)) return undefined;
  const subtype = /"subtype"\s*:\s*"(success|error_[a-z_]+)"/.exec(line)?.[1];
  const text = /"result"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  return {
    type: "result",
    subtype: subtype ?? "unknown",
    is_error: subtype !== "success" || /"is_error"\s*:\s*true/.test(line),
    ...(text ? { result: readText(text) } : {}),
  };
}

function readText(literal: string): unknown {
  try {
    return JSON.parse(literal);
  } catch {
    return undefined;
  }
}
