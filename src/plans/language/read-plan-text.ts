import { parseBoundedJson, TooDeepError } from "../../shared/bounded-json.js";
import { cleanLine } from "../../shared/text.js";
import { MAX_PLAN_CHARS, TOO_LARGE } from "./plain-value.js";

/** YAML is for people's files; reading it costs more than JSON. */
const MAX_YAML_CHARS = 256 * 1024;
const MAX_YAML_TOKENS = 100_000;
/** Brackets in brackets, or dashes behind dashes on one line: beyond some hundred the library runs out of memory. */
const MAX_YAML_NESTING = 20;
/** Each stands for a mistake, and each of the first ones may be the cause of the rest. */
const TOLD_ERRORS = 5;

export interface PlanText {
  value: unknown;
  /** The line, counted from 1, of what stands at a path; of the nearest thing around it where that is not there. */
  lineOf?(path: readonly (string | number)[]): number | undefined;
}

/** Why a text is no plan; each with its line where it is known. */
export interface UnreadablePlan {
  problems: { message: string; line?: number }[];
}

/** Reads a plan from JSON or YAML. YAML's library is loaded when the first such text comes. Never throws. */
export async function readPlanText(text: string): Promise<PlanText | UnreadablePlan> {
  if (text.length > MAX_PLAN_CHARS) return refuse(`The plan is too large: ${TOO_LARGE}.`);
  if (/^\ufeff?\s*[{[]/.test(text)) {
    try {
      return { value: parseBoundedJson(text) };
    } catch (error) {
      if (error instanceof TooDeepError) return refuse(`${error.message}.`);
    }
  }
  // What begins like JSON and is none may still be YAML, which says better what is wrong.
  return readYaml(text);
}

async function readYaml(text: string): Promise<PlanText | UnreadablePlan> {
  if (text.length > MAX_YAML_CHARS)
    return refuse(`The plan is too large for YAML: it has more than ${MAX_YAML_CHARS} characters.`);
  const { isAlias, isCollection, isMap, isScalar, Lexer, LineCounter, parseDocument, visit } = await import(
    "./yaml-parts.js"
  );

  const tooMuch = measure(new Lexer().lex(text));
  if (tooMuch) return refuse(`The plan is no YAML that is read here: ${tooMuch}.`);

  const lineCounter = new LineCounter();
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  try {
    const document = parseDocument(text, {
      lineCounter,
      schema: "core",
      merge: false,
      customTags: [],
      // Its own look compares each key with each other one.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "silent",
    });
    const found = [...document.errors, ...document.warnings].slice(0, TOLD_ERRORS);
    if (found.length > 0) {
      return {
        problems: found.map(({ message, pos }) => ({
          message: `This is neither JSON nor YAML: ${cleanLine(message, 200)}.`,
          line: lineAt(pos[0]),
        })),
      };
    }
    const problems: { message: string; line: number }[] = [];
    visit(document, {
      Node(_key, node) {
        if (isAlias(node) || (isCollection(node) && node.anchor) || (isScalar(node) && node.anchor))
          problems.push({
            message: "Anchors and aliases (& and *) are not read in plans: write the text out.",
            line: lineAt(node.range?.[0] ?? 0),
          });
        if (!isMap(node)) return;
        const seen = new Set<unknown>();
        for (const { key } of node.items) {
          const name = isScalar(key) ? String(key.value) : undefined;
          const line = lineAt((isScalar(key) ? key.range?.[0] : node.range?.[0]) ?? 0);
          if (name === undefined) problems.push({ message: "A key has to be a plain name.", line });
          else if (seen.has(name))
            problems.push({
              message: `The key ${JSON.stringify(cleanLine(name, 80))} is there twice.`,
              line,
            });
          seen.add(name);
        }
      },
    });
    if (problems.length > 0) return { problems: problems.slice(0, TOLD_ERRORS) };
    return {
      value: document.toJS({ maxAliasCount: 0 }),
      lineOf(path) {
        for (let length = path.length; length >= 0; length--) {
          const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] };
          if (node?.range) return lineAt(node.range[0]);
        }
        return undefined;
      },
    };
  } catch {
    return refuse("The plan is no YAML that can be read: it is nested too deep.");
  }
}

/** What is too much in a text for the parser, seen before it gets it; undefined when nothing is. */
function measure(tokens: Iterable<string>): string | undefined {
  let count = 0;
  let level = 0;
  let onLine = 0;
  let isText = false;
  for (const token of tokens) {
    if (++count > MAX_YAML_TOKENS) return "it has too many parts";
    // This mark says that the next token is a text.
    if (isText || token === "\u001f") {
      isText = !isText;
      continue;
    }
    if (token === "[" || token === "{") level++;
    else if (token === "]" || token === "}") level--;
    else if (token === "-" || token === "?") onLine++;
    else if (token === "\n" || token === "\r\n") onLine = 0;
    if (level > MAX_YAML_NESTING || onLine > MAX_YAML_NESTING)
      return `it is nested more than ${MAX_YAML_NESTING} levels deep`;
  }
  return undefined;
}

function refuse(message: string): UnreadablePlan {
  return { problems: [{ message }] };
}
