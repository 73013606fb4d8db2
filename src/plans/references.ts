/** What `${…}` in a plan's texts can refer to. It only refers: nothing computes. */
export type Reference =
  | { kind: "input"; name: string }
  | { kind: "item" }
  | { kind: "step"; step: string; part: "result" | "outcome" | "branch" | "session" }
  | { kind: "output"; step: string; name: string };

/** A part of a text that is no reference, though it looks like one. */
export interface BadReference {
  kind: "bad";
  /** As it stands there. */
  source: string;
  /** Why; a sentence's end: "is no reference". */
  problem: string;
}

export const STEP_PARTS = ["result", "output", "outcome", "branch", "session"] as const;

/** How a step's outcome can read. */
export const OUTCOMES = ["succeeded", "failed", "skipped", "killed"] as const;

const MAX_REFERENCE_CHARS = 200;

/** A text as its parts, in order: plain texts, and what is between `${` and `}`. `$${` stands for `${` itself. */
export function parseText(text: string): (string | Reference | BadReference)[] {
  const parts: (string | Reference | BadReference)[] = [];
  let plain = "";
  let at = 0;
  for (let mark = text.indexOf("${"); mark !== -1; mark = text.indexOf("${", at)) {
    if (text[mark - 1] === "$" && mark - 1 >= at) {
      plain += `${text.slice(at, mark - 1)}\${`;
      at = mark + 2;
      continue;
    }
    plain += text.slice(at, mark);
    const end = text.indexOf("}", mark);
    const inner =
      end === -1 ? text.slice(mark + 2, mark + 2 + MAX_REFERENCE_CHARS) : text.slice(mark + 2, end);
    if (plain) parts.push(plain);
    plain = "";
    parts.push(end === -1 ? bad(inner, "has no closing }") : parseReference(inner));
    at = end === -1 ? text.length : end + 1;
  }
  plain += text.slice(at);
  if (plain) parts.push(plain);
  return parts;
}

/** What stands between `${` and `}`. */
export function parseReference(source: string): Reference | BadReference {
  if (source.length > MAX_REFERENCE_CHARS) return bad(source.slice(0, 60), "is no reference");
  const [first = "", second = "", third = "", fourth = "", ...rest] = source.trim().split(".");
  if (rest.length === 0) {
    if (first === "item" && !second) return { kind: "item" };
    if (first === "inputs" && second && !third) return { kind: "input", name: second };
    if (first === "steps" && second && third === "output" && fourth)
      return { kind: "output", step: second, name: fourth };
    if (first === "steps" && second && !fourth) {
      if (third === "result" || third === "outcome" || third === "branch" || third === "session")
        return { kind: "step", step: second, part: third };
      return bad(source, `has to end with one of ${STEP_PARTS.join(", ")} (output with a field's name)`);
    }
  }
  return bad(
    source,
    "is no reference: there are inputs.NAME, item and steps.ID.result, .output.NAME, .outcome, .branch and .session",
  );
}

/** The reference, where a text is one and nothing else. */
export function soleReference(text: string): Reference | BadReference | undefined {
  const parts = parseText(text.trim());
  const [only] = parts;
  return parts.length === 1 && typeof only === "object" ? only : undefined;
}

/** A reference as it is written. */
export function spellReference(reference: Reference | BadReference): string {
  switch (reference.kind) {
    case "bad":
      return `\${${reference.source}}`;
    case "item":
      return "${item}";
    case "input":
      return `\${inputs.${reference.name}}`;
    case "step":
      return `\${steps.${reference.step}.${reference.part}}`;
    case "output":
      return `\${steps.${reference.step}.output.${reference.name}}`;
  }
}

/** One reference compared with a word, or with a list of words. */
export interface Condition {
  reference: Reference | BadReference;
  operator: "==" | "!=" | "in";
  words: string[];
}

/** Reads `${…} == word`, `${…} != word` or `${…} in [one, two]`. @returns a sentence's end where it is none of them */
export function parseCondition(source: string): Condition | { problem: string } {
  const text = source.trim();
  const end = text.indexOf("}");
  if (!text.startsWith("${") || end === -1)
    return { problem: "has to begin with a reference: ${steps.ID.output.NAME} == word" };
  const reference = parseReference(text.slice(2, end));
  const rest = text.slice(end + 1).trim();
  const operator = rest.startsWith("==")
    ? "=="
    : rest.startsWith("!=")
      ? "!="
      : /^in\b/.test(rest)
        ? "in"
        : undefined;
  if (!operator) return { problem: "has to compare with ==, != or in" };
  const value = rest.slice(2).trim();
  const words =
    operator === "in"
      ? value.replace(/^\[/, "").replace(/\]$/, "").split(",").map(unquoted).filter(Boolean)
      : [unquoted(value)];
  if (words.length === 0 || (operator !== "in" && !value))
    return { problem: `has no word behind ${operator}` };
  if (/\$\{|&&|\|\|/.test(value))
    return { problem: "has to compare one reference with a word or a list; nothing else is computed" };
  return { reference, operator, words };
}

function unquoted(text: string): string {
  const trimmed = text.trim();
  return /^(["']).*\1$/s.test(trimmed) && trimmed.length > 1 ? trimmed.slice(1, -1) : trimmed;
}

function bad(source: string, problem: string): BadReference {
  return { kind: "bad", source, problem };
}
