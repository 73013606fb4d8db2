import * as z from "zod";
import { cleanLine, isShownWhole } from "../../shared/text.js";
import { BOUNDS, type Field, optional, put } from "../plan.js";
import { fromJson, looseBoolean, looseNumber, readFieldValue } from "./field-values.js";
import { isPlanName, NAME_RULE, nameFrom } from "./plain-value.js";
import { backToShape, fieldShape, isPlainly, limitsShape, planShape, stepShape } from "./plan-schema.js";
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
type Nested<S extends Shape> = {
  [Key in keyof S]?: (raw: unknown, place: Place, reading: Reading) => unknown;
};
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
      const place = new InnerPlace(root, ["steps", at], idOf(raw));
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

/** What of a step is read by its own rules; the same for all steps. */
const IN_STEP: Nested<typeof stepShape> = {
  output: (value, at, reading) => readFields(value, at, reading, BOUNDS.outputs, true),
  back_to: (value, at, reading) =>
    // A step's name alone says all that is needed.
    typeof value === "string" && !/^\s*\{/.test(value)
      ? { step: value }
      : readObject(value, backToShape, at, reading),
};

function readStep(raw: unknown, place: Place, reading: Reading): RawStep | undefined {
  return readObject(raw, stepShape, place, reading, IN_STEP) as RawStep | undefined;
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
  const unseen = choices?.find((value) => !isShownWhole(value));
  if (unseen !== undefined)
    addProblem(reading, within(place, "enum"), {
      message: `A value of an enum is chosen by what is seen of it: one line, with nothing in it that nobody sees. ${quote(unseen)} has more.`,
      correction: planLine(
        "enum",
        choices?.map((value) => cleanLine(value)),
      ),
    });
  for (const value of Object.keys(titles ?? {}))
    if (!choices?.includes(value))
      addProblem(reading, within(place, "titles", value), {
        message: `${quote(value)} is no value of the enum.`,
      });
  const field: Field = {
    type: type === "enum" || type === undefined ? "string" : type,
    required: isRequired ?? required,
  };
  put(field, "enum", choices);
  put(field, "titles", titles && { ...titles });
  put(field, "description", description);
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

/** Each known key by its own rule, so that one mistake hides no other. Null and empty texts count as left out. */
function readObject<S extends Shape>(
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
