import { BOUNDS } from "../plan.js";

/** The characters of all texts and keys of a plan. */
export const MAX_PLAN_CHARS = 1_000_000;
/** The language needs seven levels. */
const MAX_LEVELS = 20;
const MAX_VALUES = 200_000;

export type PlainValue = { value: unknown } | { problem: string };

/**
 * Copies what somebody gave for a plan, so that what is checked cannot change afterwards, has no getters, and is no
 * larger and no deeper than it may be. A circle shows as too deep. Never throws.
 */
export function copyPlain(given: unknown): PlainValue {
  let values = 0;
  let chars = 0;

  function copy(value: unknown, level: number): unknown {
    if (++values > MAX_VALUES) throw new Refused(`it has more than ${MAX_VALUES} values`);
    if (typeof value === "string") return counted(value);
    if (value === null || typeof value === "boolean" || typeof value === "number") return value;
    if (typeof value !== "object") return undefined;
    if (level > MAX_LEVELS) throw new Refused(`it is nested more than ${MAX_LEVELS} levels deep`);
    if (Array.isArray(value)) return value.map((part) => copy(part, level + 1));
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const part = copy((value as Record<string, unknown>)[counted(key)], level + 1);
      // A key like any other: by an assignment it would become what the object inherits from.
      if (key === "__proto__") Object.defineProperty(result, key, { value: part, enumerable: true });
      else result[key] = part;
    }
    return result;
  }

  function counted(text: string): string {
    chars += text.length;
    if (chars > MAX_PLAN_CHARS) throw new Refused(TOO_LARGE);
    return text;
  }

  try {
    return { value: copy(given, 0) };
  } catch (error) {
    return { problem: error instanceof Refused ? error.message : "it cannot be read" };
  }
}

/** Said of a plan of any spelling. */
export const TOO_LARGE = `it has more than ${MAX_PLAN_CHARS} characters`;

class Refused extends Error {}

const RESERVED = new Set([...Object.getOwnPropertyNames(Object.prototype), "prototype"]);

/** Names that objects have by themselves: no step, input or field may be called so, whoever reads it later. */
export function isReservedName(name: string): boolean {
  return RESERVED.has(name);
}

/** True for what may name a step, an input or a field of an output. */
export function isPlanName(name: string): boolean {
  return /^[a-z][a-z0-9_-]{0,62}$/.test(name) && !isReservedName(name);
}

/** How such a name has to look. */
export const NAME_RULE =
  "small letters, digits, - and _, beginning with a letter, at most 63 characters, and none of the names that objects have by themselves";

/** A name made of a text that is none: "Design it!" reads "design-it". Empty when nothing is left of it. */
export function nameFrom(text: string): string {
  const name = text
    .slice(0, BOUNDS.textChars)
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return isPlanName(name) ? name : "";
}
