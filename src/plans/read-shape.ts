import { z } from "zod";
import { parseBoundedJson } from "../shared/bounded-json.js";
import { isPlanName, NAME_RULE, nameFrom } from "./plain-value.js";
import { BOUNDS, type Field, type FieldValue, optional } from "./plan.js";
import { backToShape, fieldShape, limitsShape, planShape, stepShape } from "./plan-schema.js";
import { onOneLine, type PlanProblem, type Problems, planLine, quote } from "./problems.js";

/** Where something stands in the plan, and in which step. */
export interface Place {
  path: readonly (string | number)[];
  step?: string;
}

/** What the reading of one plan shares. */
export interface Reading {
  problems: Problems;
  lineOf?(path: readonly (string | number)[]): number | undefined;
}

type Shape = Record<string, z.ZodType>;
type Read<S extends Shape> = { -readonly [Key in keyof S]?: z.output<S[Key]> };

export type RawStep = Omit<Read<typeof stepShape>, "output"> & { output?: Record<string, Field> };

/** The parts of a plan that are what they must be; each step with its place in the text. */
export interface RawPlan {
  name?: string;
  description?: string;
  inputs: Record<string, Field>;
  limits: Read<typeof limitsShape>;
  steps: { raw: RawStep; place: Place }[];
  /** There were steps, but not in a form in which they can be looked at one by one. */
  stepsUnread: boolean;
}

/** What others call a key, in other languages of this kind. */
const SYNONYMS: Readonly<Record<string, string>> = {
  depends_on: "needs",
  dependson: "needs",
  after: "needs",
  requires: "needs",
  prompt: "task",
  message: "task",
  instructions: "task",
  workflow: "run",
  workflow_name: "run",
  agent: "run",
  uses: "run",
  approval: "gate",
  approve: "gate",
  foreach: "for_each",
  matrix: "for_each",
  fan_out: "for_each",
  if: "when",
  condition: "when",
  outputs: "output",
  retries: "retry",
  on_reject: "back_to",
  backto: "back_to",
  resume: "continue",
  budget: "limits",
  cost: "cost_usd",
  max_cost: "cost_usd",
  max_runs: "runs",
  timeout: "minutes",
  max_parallel: "parallel",
  options: "enum",
  choices: "enum",
  tasks: "steps",
  nodes: "steps",
};

/** How a value of a key looks, where what was given does not say it. */
const EXAMPLES: Readonly<Record<string, string>> = {
  id: "id: design",
  run: "run: architect",
  gate: 'gate: "Build this?"',
  merge: "merge: build",
  needs: "needs: [design]",
  when: 'when: "${steps.review.output.verdict} == changes"',
  join: "join: all_ok",
  task: 'task: "Design the login"',
  output: "output: { parts: { type: list } }",
  continue: "continue: design",
  from: "from: design",
  for_each: 'for_each: "${steps.design.output.parts}"',
  parallel: "parallel: 3",
  retry: "retry: 1",
  back_to: "back_to: { step: design, max: 3 }",
  check: 'check: "npm test"',
  inputs: "inputs: { feature: { type: string, required: true } }",
  limits: "limits: { parallel: 3, runs: 12, cost_usd: 20, minutes: 240 }",
  runs: "runs: 12",
  cost_usd: "cost_usd: 20",
  minutes: "minutes: 240",
  steps: "steps: [{ id: design, run: architect, task: Design the login }]",
  type: "type: string",
  required: "required: true",
  enum: "enum: [low, high]",
  max: "max: 3",
  step: "step: design",
};

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

/** The place of something within another. */
export function within(place: Place, ...parts: (string | number)[]): Place {
  return { ...place, path: [...place.path, ...parts] };
}

function spellPath(path: readonly (string | number)[]): string {
  return path
    .slice(0, 8)
    .map((part, at) =>
      typeof part === "number" ? `[${part}]` : `${at > 0 ? "." : ""}${onOneLine(part, 64)}`,
    )
    .join("");
}

/** Reads a plan's parts; what is not as it must be is noted and left out. */
export function readPlanShape(value: unknown, reading: Reading): RawPlan | undefined {
  const root: Place = { path: [] };
  const { steps: _, ...rest } = planShape;
  const plan = readObject(value, { ...rest, steps: z.array(z.unknown()) }, root, reading, {
    inputs: (raw, place) => readFields(raw, place, reading, BOUNDS.inputs, false),
    limits: (raw, place) => readObject(raw, limitsShape, place, reading),
  });
  if (!plan) return undefined;
  const steps: RawPlan["steps"] = [];
  const given = plan.steps ?? [];
  if (given.length > BOUNDS.steps)
    addProblem(reading, within(root, "steps"), {
      message: `There are ${given.length} steps; at most ${BOUNDS.steps} are possible.`,
    });
  else
    for (const [at, raw] of given.entries()) {
      const place: Place = { ...within(root, "steps", at), ...optional("step", idOf(raw)) };
      const step = readStep(raw, place, reading);
      if (step) steps.push({ raw: step, place });
    }
  return {
    ...optional("name", plan.name as string | undefined),
    ...optional("description", plan.description as string | undefined),
    inputs: (plan.inputs ?? {}) as Record<string, Field>,
    limits: (plan.limits ?? {}) as RawPlan["limits"],
    steps,
    stepsUnread: steps.length === 0 && Object.hasOwn(value as object, "steps"),
  };
}

function idOf(raw: unknown): string | undefined {
  const id = typeof raw === "object" && raw !== null ? (raw as { id?: unknown }).id : undefined;
  return typeof id === "string" && isPlanName(id) ? id : undefined;
}

function readStep(raw: unknown, place: Place, reading: Reading): RawStep | undefined {
  return readObject(raw, stepShape, place, reading, {
    output: (value, at) => readFields(value, at, reading, BOUNDS.outputs, true),
    back_to: (value, at) =>
      // A step's name alone says all that is needed.
      typeof value === "string" && !/^\s*\{/.test(value)
        ? { step: value }
        : readObject(value, backToShape, at, reading),
  }) as RawStep | undefined;
}

/** Reads the declared fields of inputs or of an output. */
function readFields(
  raw: unknown,
  place: Place,
  reading: Reading,
  max: number,
  required: boolean,
): Record<string, Field> | undefined {
  const value = fromJson(raw, "{");
  if (!isObject(value)) {
    addProblem(reading, place, {
      message: "It must be names of fields with what they hold.",
      ...optional("correction", EXAMPLES[String(place.path.at(-1))]),
    });
    return undefined;
  }
  const names = Object.keys(value);
  if (names.length > max) {
    addProblem(reading, place, { message: `There are ${names.length} fields; at most ${max} are possible.` });
    return undefined;
  }
  const fields: Record<string, Field> = {};
  for (const name of names) {
    const at = within(place, name);
    if (!isPlanName(name)) {
      const better = nameFrom(name);
      addProblem(reading, at, {
        message: `${quote(name)} is no name for a field: it must have ${NAME_RULE}.`,
        ...(better ? { correction: `${better}: …` } : {}),
      });
      continue;
    }
    const given = value[name];
    // The type alone says all that is needed.
    const shape = readObject(
      typeof given === "string" && !/^\s*\{/.test(given) ? { type: given } : (given ?? {}),
      fieldShape,
      at,
      reading,
    );
    if (shape) fields[name] = makeField(shape, at, reading, required);
  }
  return fields;
}

function makeField(
  {
    type,
    enum: choices,
    titles,
    description,
    default: standard,
    required: isRequired,
  }: Read<typeof fieldShape>,
  place: Place,
  reading: Reading,
  required: boolean,
): Field {
  if (type === "enum" && !choices)
    addProblem(reading, place, {
      message: "A field of type enum must say its values.",
      correction: "enum: [low, high]",
    });
  if (choices && type !== undefined && type !== "enum" && type !== "string")
    addProblem(reading, within(place, "enum"), {
      message: `Only texts can have an enum, and this is of type ${type}.`,
      correction: "type: string",
    });
  for (const value of Object.keys(titles ?? {}))
    if (!choices?.includes(value))
      addProblem(reading, within(place, "titles", value), {
        message: `${quote(value)} is no value of the enum.`,
      });
  const field: Field = {
    type: type === "enum" || type === undefined ? "string" : type,
    required: isRequired ?? required,
    ...optional("enum", choices),
    ...optional("titles", titles && { ...titles }),
    ...optional("description", description),
  };
  if (standard === undefined || standard === null) return field;
  const read = readFieldValue(field, standard);
  if ("problem" in read) {
    addProblem(reading, within(place, "default"), {
      message: `The default ${read.problem}.`,
      ...optional("correction", read.nearest && planLine("default", read.nearest)),
    });
    return field;
  }
  return { ...field, default: read.value };
}

/**
 * A value for a field. Numbers, booleans and lists may be written as text, the values of an enum in any case.
 * @returns the value, or a sentence's end: "must be one of low, high"
 */
export function readFieldValue(
  field: Field,
  raw: unknown,
): { value: FieldValue } | { problem: string; nearest?: string } {
  switch (field.type) {
    case "integer":
    case "number": {
      const value = typeof raw === "string" ? looseNumber(raw) : raw;
      const isGood = field.type === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
      return isGood
        ? { value: value as number }
        : { problem: `must be a ${field.type === "integer" ? "whole " : ""}number, and is ${quote(raw)}` };
    }
    case "boolean": {
      const value = typeof raw === "string" ? looseBoolean(raw) : raw;
      return typeof value === "boolean"
        ? { value }
        : { problem: `must be true or false, and is ${quote(raw)}` };
    }
    case "list": {
      const value = typeof raw === "string" ? listOf(raw) : raw;
      if (!Array.isArray(value)) return { problem: `must be a list of texts, and is ${quote(raw)}` };
      if (value.length > BOUNDS.listItems)
        return { problem: `must have at most ${BOUNDS.listItems} items, and has ${value.length}` };
      const items = value.map((item) =>
        typeof item === "number" || typeof item === "boolean" ? String(item) : item,
      );
      const wrong = items.find((item) => typeof item !== "string" || item.length > BOUNDS.itemChars);
      if (wrong !== undefined)
        return {
          problem: `must be a list of texts of at most ${BOUNDS.itemChars} characters, and has ${quote(wrong)}`,
        };
      return { value: items as string[] };
    }
    default: {
      if (typeof raw !== "string" && typeof raw !== "number" && typeof raw !== "boolean")
        return { problem: `must be a text, and is ${quote(raw)}` };
      const value = String(raw);
      if (!field.enum)
        return value.length > BOUNDS.taskChars
          ? { problem: `must have at most ${BOUNDS.taskChars} characters` }
          : { value };
      const meant = field.enum.find((choice) => choice.toLowerCase() === value.trim().toLowerCase());
      if (meant !== undefined) return { value: meant };
      return {
        problem: `must be one of ${field.enum.join(", ")}, and is ${quote(raw)}`,
        ...optional("nearest", field.enum[0]),
      };
    }
  }
}

/** A list as people and models write it: JSON, or one item a line. */
function listOf(text: string): unknown {
  const value = fromJson(text, "[");
  if (Array.isArray(value)) return value;
  return text
    .split("\n")
    .map((line) => line.replace(/^\s*[-*]\s+/, "").trim())
    .filter(Boolean);
}

/** Each known key by its own rule, so that one mistake hides no other. Null and empty texts count as left out. */
function readObject<S extends Shape>(
  given: unknown,
  shape: S,
  place: Place,
  reading: Reading,
  nested: { [Key in keyof S]?: (raw: unknown, place: Place) => unknown } = {},
): Read<S> | undefined {
  const raw = fromJson(given, "{");
  const key = String(place.path.at(-1) ?? "");
  if (!isObject(raw)) {
    addProblem(reading, place, {
      message: `It must be ${typeof place.path.at(-1) === "number" ? "a step" : place.path.length === 0 ? "an object, or a JSON or YAML text of one" : "keys with values"}, and is ${kindOf(raw)}.`,
      ...optional("correction", EXAMPLES[key]),
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
    const at = within(place, name);
    const inner = nested[name];
    if (inner) {
      const result = inner(value, at);
      if (result !== undefined) read[name] = result;
      continue;
    }
    const schema = shape[name] as z.ZodType;
    const result = schema.safeParse(loosen(schema, value));
    if (result.success) read[name] = result.data;
    else tellIssue(name, value, result.error.issues, at, reading);
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

function looseNumber(text: string): unknown {
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text.trim()) ? Number(text) : text;
}

function looseBoolean(text: string): unknown {
  return /^\s*(?:true|false)\s*$/i.test(text) ? text.trim().toLowerCase() === "true" : text;
}

/** What a text says that begins like JSON; else the value as it is. */
function fromJson(value: unknown, sign: "{" | "["): unknown {
  if (typeof value !== "string" || !value.trimStart().startsWith(sign)) return value;
  try {
    return parseBoundedJson(value);
  } catch {
    return value;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
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
