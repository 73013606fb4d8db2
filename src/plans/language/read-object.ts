import * as z from "zod";
import { optional } from "../plan.js";
import { fromJson, looseBoolean, looseNumber } from "./field-values.js";
import { isPlainly } from "./plan-schema.js";
import { EXAMPLES, SYNONYMS } from "./plan-words.js";
import { onOneLine, type PlanProblem, type Problems, planLine, quote } from "./problems.js";

/** Where something stands in the plan, and in which step. */
export interface Place {
  readonly path: readonly (string | number)[];
  readonly step?: string | undefined;
}

/** What the reading of one plan shares. */
export interface Reading {
  problems: Problems;
  lineOf?(path: readonly (string | number)[]): number | undefined;
}

type Shape = Record<string, z.ZodType>;
/** Keys that are read by a rule of their own. */
export type Nested<S extends Shape> = {
  [Key in keyof S]?: (raw: unknown, place: Place, reading: Reading) => unknown;
};
export type Read<S extends Shape> = { -readonly [Key in keyof S]?: z.output<S[Key]> };

/** Notes a mistake at a place. */
export function addProblem(
  { problems, lineOf }: Reading,
  place: Place,
  problem: Pick<PlanProblem, "message"> & Partial<PlanProblem>,
): void {
  problems.add({
    path: spellPath(place.path),
    ...optional("step", place.step),
    ...problem,
    ...optional("line", lineOf?.(place.path)),
  });
}

/** The place of something within another. Thousands are made, and only those of mistakes are spelled. */
export function within(place: Place, ...parts: (string | number)[]): Place {
  return new InnerPlace(place, parts, place.step);
}

/** The place of a step, known by its id from there on. */
export function placeOfStep(plan: Place, at: number, id: string | undefined): Place {
  return new InnerPlace(plan, ["steps", at], id);
}

class InnerPlace implements Place {
  constructor(
    private readonly outer: Place,
    private readonly parts: readonly (string | number)[],
    readonly step: string | undefined,
  ) {}

  get path(): readonly (string | number)[] {
    return this.outer.path.concat(this.parts);
  }
}

function spellPath(path: readonly (string | number)[]): string {
  return path
    .slice(0, 8)
    .map((part, at) =>
      typeof part === "number" ? `[${part}]` : `${at > 0 ? "." : ""}${onOneLine(part, 64)}`,
    )
    .join("");
}

/** Each known key by its own rule, so that one mistake hides no other. Null and empty texts count as left out. */
export function readObject<S extends Shape>(
  given: unknown,
  shape: S,
  place: Place,
  reading: Reading,
  nested: Nested<S> = {},
): Read<S> | undefined {
  const raw = fromJson(given, "{");
  if (!isObject(raw)) {
    const key = place.path.at(-1);
    addProblem(reading, place, {
      message: `It must be ${typeof key === "number" ? "a step" : key === undefined ? "an object, or a JSON or YAML text of one" : "keys with values"}, and is ${kindOf(raw)}.`,
      ...optional("correction", EXAMPLES[String(key)]),
    });
    return undefined;
  }
  const read: Record<string, unknown> = {};
  const keys = Object.keys(raw);
  let unknown = 0;
  for (const name of keys) {
    if (!Object.hasOwn(shape, name)) {
      if (++unknown <= 20) tellUnknown(name, raw[name], Object.keys(shape), place, reading);
      continue;
    }
    const value = raw[name];
    if (value === null || value === undefined || value === "") continue;
    const inner = nested[name];
    if (inner) {
      const result = inner(value, within(place, name), reading);
      if (result !== undefined) read[name] = result;
      continue;
    }
    const schema = shape[name] as z.ZodType;
    if (isPlainly(schema, value)) {
      read[name] = value;
      continue;
    }
    const result = schema.safeParse(loosen(schema, value));
    if (result.success) read[name] = result.data;
    else tellIssue(name, value, result.error.issues, within(place, name), reading);
  }
  if (unknown > 20)
    addProblem(reading, place, {
      message: `There are ${unknown - 20} unknown keys more, which are not listed.`,
    });
  return read as Read<S>;
}

function tellUnknown(name: string, value: unknown, known: string[], place: Place, reading: Reading): void {
  const folded = name.toLowerCase().replaceAll("-", "_");
  const synonym = Object.hasOwn(SYNONYMS, folded) ? SYNONYMS[folded] : undefined;
  const nearest =
    synonym !== undefined && known.includes(synonym) ? synonym : reading.problems.nearest(name, known);
  addProblem(reading, within(place, name), {
    message: nearest
      ? `There is no key ${quote(name)}; ${quote(nearest)} may be meant.`
      : `There is no key ${quote(name)} here; there are ${known.join(", ")}.`,
    ...optional("nearest", nearest),
    ...optional("correction", nearest && (isShort(value) ? planLine(nearest, value) : `${nearest}: …`)),
  });
}

function tellIssue(
  name: string,
  value: unknown,
  [issue]: z.core.$ZodIssue[],
  place: Place,
  reading: Reading,
): void {
  if (!issue) return;
  const choices = issue.code === "invalid_value" ? issue.values.map(String) : [];
  const nearest = typeof value === "string" ? reading.problems.nearest(value, choices) : undefined;
  const at = within(place, ...issue.path.filter((part) => typeof part !== "symbol"));
  addProblem(reading, at, {
    message: `It ${issue.message}, and is ${Array.isArray(value) || isObject(value) || isShort(value) ? describe(value) : "longer"}.`,
    ...optional("nearest", nearest),
    ...optional("correction", nearest ? planLine(name, nearest) : EXAMPLES[name]),
  });
}

/** What a client or a person writes for the same: numbers, booleans, lists and objects as text, one item for a list. */
function loosen(schema: z.ZodType, value: unknown): unknown {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  if (inner instanceof z.ZodArray) {
    if (typeof value !== "string") return Array.isArray(value) ? value.map(asText) : value;
    const list = fromJson(value, "[");
    return Array.isArray(list)
      ? list
      : value.includes("[")
        ? value
        : value.split(",").map((item) => item.trim());
  }
  if (inner instanceof z.ZodRecord) return fromJson(value, "{");
  if (typeof value !== "string") return value;
  if (inner instanceof z.ZodNumber) return looseNumber(value);
  if (inner instanceof z.ZodBoolean) return looseBoolean(value);
  return value;
}

const asText = (item: unknown) =>
  typeof item === "number" || typeof item === "boolean" ? String(item) : item;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isShort(value: unknown): boolean {
  return (JSON.stringify(value) ?? "").length <= 100;
}

function describe(value: unknown): string {
  return isShort(value) && typeof value !== "object" ? quote(value) : kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? `the text ${quote(value)}` : quote(value);
}
