import type { Fields, FieldValue } from "../plan.js";
import { optional } from "../plan.js";
import { readFieldValue } from "./field-values.js";
import { planLine, quote } from "./problems.js";
import { addProblem, type Reading } from "./read-object.js";

export interface CheckedInputs {
  /** Those that were given, and the defaults of others. */
  values: Record<string, FieldValue>;
  /** Required ones that nobody gave: they are asked for. */
  missing: string[];
}

/** Holds what was given for a plan's inputs against what they are declared as. Null counts as not given. */
export function checkInputs(fields: Fields, given: unknown, reading: Reading): CheckedInputs {
  const values: Record<string, FieldValue> = {};
  const raw = (given ?? {}) as Record<string, unknown>;
  if (typeof raw !== "object" || Array.isArray(raw)) {
    addProblem(
      reading,
      { path: ["inputs"] },
      {
        message: `The inputs must be names with values, and are ${quote(given)}.`,
      },
    );
    return { values, missing: [] };
  }
  const names = Object.keys(fields);
  for (const name of Object.keys(raw).slice(0, 100)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const value = raw[name];
    if (value === null || value === undefined || (value === "" && field?.type !== "string")) continue;
    const place = { path: ["inputs", name] };
    if (!field) {
      const nearest = reading.problems.nearest(name, names);
      addProblem(reading, place, {
        message: `The plan has no input ${quote(name)}${nearest ? `; ${quote(nearest)} may be meant` : names.length > 0 ? `; it has ${names.join(", ")}` : "; it has none"}.`,
        ...optional("nearest", nearest),
        ...optional("correction", nearest && planLine(nearest, value)),
      });
      continue;
    }
    const read = readFieldValue(field, value);
    if ("value" in read) values[name] = read.value;
    else
      addProblem(reading, place, {
        message: `The input ${quote(name)} ${read.problem}.`,
        ...optional("correction", read.nearest && planLine(name, read.nearest)),
      });
  }
  const missing: string[] = [];
  for (const name of names) {
    const field = fields[name];
    if (Object.hasOwn(values, name) && !(values[name] === "" && field?.required)) continue;
    if (field?.default !== undefined) values[name] = field.default;
    else if (field?.required) missing.push(name);
  }
  return { values, missing };
}
