import * as z from "zod";
import { cleanLine, isShownWhole } from "../../shared/text.js";
import { BOUNDS, type Field, optional, put } from "../plan.js";
import { fromJson, readFieldValue } from "./field-values.js";
import { isPlanName, NAME_RULE, nameFrom } from "./plain-value.js";
import { backToShape, fieldShape, limitsShape, planShape, stepShape } from "./plan-schema.js";
import { EXAMPLES } from "./plan-words.js";
import { planLine, quote } from "./problems.js";
import {
  addProblem,
  isObject,
  type Nested,
  type Place,
  placeOfStep,
  type Read,
  type Reading,
  readObject,
  within,
} from "./read-object.js";

export type RawStep = Omit<Read<typeof stepShape>, "output"> & { output?: Record<string, Field> };

/** The parts of a plan that are what they must be; each step with its place in the text. */
export interface RawPlan {
  name?: string;
  description?: string;
  finish?: "branch" | "pull_request";
  inputs: Record<string, Field>;
  limits: Read<typeof limitsShape>;
  steps: { raw: RawStep; place: Place }[];
  /** There were steps, but not in a form in which they can be looked at one by one. */
  stepsUnread: boolean;
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
      const place = placeOfStep(root, at, idOf(raw));
      const step = readStep(raw, place, reading);
      if (step) steps.push({ raw: step, place });
    }
  return {
    ...optional("name", plan.name as string | undefined),
    ...optional("description", plan.description as string | undefined),
    ...optional("finish", plan.finish as RawPlan["finish"]),
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
