import { parseBoundedJson } from "../../shared/bounded-json.js";
import { cleanText } from "../../shared/text.js";
import { readFieldValue } from "../language/field-values.js";
import type { Field, Fields, FieldValue } from "../plan.js";

export type Output = Readonly<Record<string, FieldValue>>;

/** What an agent gives as fields; far more than any plan asks for. */
const MAX_BLOCK_CHARS = 200_000;
/** Blocks that are tried, from the last one on: an agent may show other JSON before. */
const MAX_BLOCKS = 20;

/** What is added to a task so that the agent gives the step's output at its end. */
export function askForOutput(fields: Fields): string {
  return `At the end of your final message, give these fields as one fenced JSON block, with exactly these names:

\`\`\`json
{
${Object.entries(fields)
  .map(([name, field]) => `  ${JSON.stringify(name)}: ${exampleOf(field)}`)
  .join(",\n")}
}
\`\`\`

${Object.entries(fields)
  .map(([name, field]) => `- ${name}: ${describeField(field)}`)
  .join("\n")}`;
}

function exampleOf({ type, enum: choices }: Field): string {
  if (choices) return JSON.stringify(choices[0]);
  return { string: '"…"', integer: "1", number: "1.5", boolean: "true", list: '["…", "…"]' }[type];
}

function describeField({ type, enum: choices, description, required }: Field): string {
  const what = choices
    ? `one of ${choices.join(", ")}`
    : {
        string: "a text",
        integer: "a whole number",
        number: "a number",
        boolean: "true or false",
        list: "a list of texts",
      }[type];
  return `${what}${description ? `: ${description}` : ""}${required ? "" : " (may be left out)"}`;
}

/**
 * Reads a step's declared output from the last fenced JSON block of its result that is an object.
 * @returns the fields, cleaned; or what is wrong, and the question that can be sent back
 */
export function readOutput(
  result: string | undefined,
  fields: Fields,
): { output: Output } | { problem: string; question: string } {
  const block = findBlock(result ?? "");
  const problems: string[] = [];
  const output: Record<string, FieldValue> = {};
  if (!block) problems.push("there is no fenced JSON block with an object in the final message");
  else
    for (const [name, field] of Object.entries(fields)) {
      const raw = Object.hasOwn(block, name) ? block[name] : undefined;
      if (raw === undefined || raw === null) {
        if (field.required) problems.push(`${name} is missing`);
        else if (field.default !== undefined) output[name] = field.default;
        continue;
      }
      const read = readFieldValue(field, raw);
      if ("problem" in read) problems.push(`${name} ${read.problem}`);
      else output[name] = cleaned(read.value);
    }
  if (problems.length === 0) return { output };
  const problem = problems.slice(0, 10).join("; ");
  return {
    problem,
    question: `Your final message does not give the fields that were asked for: ${problem}. Change nothing else and do no further work; answer with the fields only. ${askForOutput(fields)}`,
  };
}

/** The fields as one line tells them: "verdict: changes, parts: 2". */
export function tellOutput(output: Output): string {
  return Object.entries(output)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.length : value}`)
    .join(", ");
}

/**
 * A step's result as a person reads it: its declared fields in plain words, all of them and as they are used, in place of
 * the JSON at its end.
 */
export function tellResult(result: string, fields: Fields | undefined, output: Output | undefined): string {
  if (!fields || !output) return result;
  const rest = cutFields(result, fields);
  const told = Object.entries(output).map(([name, value]) =>
    Array.isArray(value) ? `${name}:\n${value.map((item) => `- ${item}`).join("\n")}` : `${name}: ${value}`,
  );
  return [rest, ...told].filter(Boolean).join("\n\n");
}

/**
 * The message without the fields, which are its last blocks: an agent may say more behind them, and they may be there
 * twice, by the agent and by Claude Code's option.
 */
export function cutFields(result: string, fields: Fields = {}): string {
  const lines = result.split("\n");
  const fences = lines.flatMap((line, at) => (/^\s{0,3}```/.test(line) ? [at] : []));
  if (fences.length % 2 !== 0) return result;
  let isCut = false;
  for (let last = fences.length - 1; last > 0; last -= 2) {
    const [open, close] = [fences[last - 1] as number, fences[last] as number];
    const isPlain = /^\s{0,3}```(?:json)?\s*$/.test(lines[open] as string);
    if (!isPlain || !holdsOnly(lines.slice(open + 1, close).join("\n"), fields)) break;
    // What stood before and behind it stays apart.
    lines.splice(open, close - open + 1, "");
    isCut = true;
  }
  return isCut
    ? lines
        .join("\n")
        .replace(/\n{3,}/g, "\n\n")
        .trim()
    : result;
}

/** True for an object in which there is nothing but these fields: whatever else an agent says stays to be read. */
function holdsOnly(block: string, fields: Fields): boolean {
  if (block.length > MAX_BLOCK_CHARS) return false;
  try {
    const value = parseBoundedJson(block);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    return Object.keys(value).every((name) => Object.hasOwn(fields, name));
  } catch {
    return false;
  }
}

function cleaned(value: FieldValue): FieldValue {
  if (typeof value === "string") return cleanText(value);
  return Array.isArray(value) ? value.map((item) => cleanText(item)) : value;
}

/** The last block that reads as an object. A fence that was not closed ends with the text. */
function findBlock(text: string): Record<string, unknown> | undefined {
  const blocks: string[] = [];
  let open: string[] | undefined;
  for (const line of text.slice(-MAX_BLOCK_CHARS * 2).split("\n")) {
    const isFence = /^\s{0,3}```/.test(line);
    if (open && isFence) {
      blocks.push(open.join("\n"));
      open = undefined;
    } else if (open) open.push(line);
    else if (isFence) open = [];
  }
  if (open) blocks.push(open.join("\n"));
  for (const block of blocks.slice(-MAX_BLOCKS).reverse()) {
    if (block.length > MAX_BLOCK_CHARS || !block.trimStart().startsWith("{")) continue;
    try {
      const value = parseBoundedJson(block);
      if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
    } catch {
      // It is no JSON; an earlier block may be.
    }
  }
  return undefined;
}
