import type { Issue } from "./refusal.js";
import * as z from "./schemas.js";

/**
 * Fields that read what pydantic reads ("10" is a number, "yes" is true) and the complaints of their schemas in
 * pydantic's form, so that a client of the contract meets the refusals it knows.
 */

const TRUE = ["1", "on", "t", "true", "y", "yes"];
const FALSE = ["0", "off", "f", "false", "n", "no"];

/** A whole number, or a text that is one, within bounds. */
export function integer(bounds: { ge?: number; le?: number } = {}) {
  let schema = z.number().int();
  if (bounds.ge !== undefined) schema = schema.min(bounds.ge);
  if (bounds.le !== undefined) schema = schema.max(bounds.le);
  return z.preprocess(
    (value) => (typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : value),
    schema,
  );
}

/** A boolean, or one of the words for it. */
export function flag() {
  return z.preprocess((value) => {
    const word = typeof value === "string" ? value.toLowerCase() : undefined;
    if (word === undefined) return value;
    return TRUE.includes(word) ? true : FALSE.includes(word) ? false : value;
  }, z.boolean());
}

/**
 * What a schema finds wrong with a query, headers or a body, one complaint for each field.
 * @param raw what was checked
 * @param where a complaint about a missing field of a `body` shows the object that lacks it; of `fields` of their own
 * in a body, and of a query, it does not
 */
export function toIssues(
  error: z.ZodError,
  raw: unknown,
  where: "query" | "header" | "body" | "fields",
): Issue[] {
  const issues = new Map<string, Issue>();
  // A number beyond what is exact is complained of by its bounds, where it has any.
  const inexact = (issue: z.core.$ZodIssue) =>
    "maximum" in issue
      ? issue.maximum === Number.MAX_SAFE_INTEGER
      : "minimum" in issue && issue.minimum === Number.MIN_SAFE_INTEGER;
  for (const found of error.issues.toSorted((a, b) => Number(inexact(a)) - Number(inexact(b)))) {
    const path = found.path.map((step) => (typeof step === "number" ? step : String(step)));
    const key = JSON.stringify(path);
    if (issues.has(key)) continue;
    const input = valueAt(raw, path);
    const loc = [where === "fields" ? "body" : where, ...path];
    if (input === undefined) {
      const parent = where === "body" && path.length > 0 ? valueAt(raw, path.slice(0, -1)) : null;
      issues.set(key, { type: "missing", loc, msg: "Field required", input: parent });
    } else {
      const { type, msg, ctx } = complaint(found, input, path.length === 0);
      issues.set(key, { type, loc, msg, input, ...(ctx ? { ctx } : {}) });
    }
  }
  return [...issues.values()];
}

type Complaint = Pick<Issue, "type" | "msg" | "ctx">;

function complaint(found: z.core.$ZodIssue, input: unknown, whole: boolean): Complaint {
  switch (found.code) {
    case "invalid_type":
      return ofType(found.expected, input, whole);
    case "too_small": {
      const ge = Number(found.minimum);
      const msg = `Input should be greater than or equal to ${ge}`;
      return { type: "greater_than_equal", msg, ctx: { ge } };
    }
    case "too_big": {
      const le = Number(found.maximum);
      return { type: "less_than_equal", msg: `Input should be less than or equal to ${le}`, ctx: { le } };
    }
    case "invalid_value": {
      const words = found.values.map((value) => `'${String(value)}'`);
      const last = words.pop();
      const expected = words.length > 0 ? `${words.join(", ")} or ${last}` : String(last);
      return { type: "literal_error", msg: `Input should be ${expected}`, ctx: { expected } };
    }
    default:
      return { type: "value_error", msg: `Value error, ${found.message}`, ctx: { error: {} } };
  }
}

function ofType(expected: string, input: unknown, whole: boolean): Complaint {
  const text = typeof input === "string";
  switch (expected) {
    case "string":
      return { type: "string_type", msg: "Input should be a valid string" };
    case "int":
      return {
        type: "int_from_float",
        msg: "Input should be a valid integer, got a number with a fractional part",
      };
    case "number":
      return text
        ? {
            type: "int_parsing",
            msg: "Input should be a valid integer, unable to parse string as an integer",
          }
        : { type: "int_type", msg: "Input should be a valid integer" };
    case "boolean":
      return text
        ? { type: "bool_parsing", msg: "Input should be a valid boolean, unable to interpret input" }
        : { type: "bool_type", msg: "Input should be a valid boolean" };
    case "array":
      return { type: "list_type", msg: "Input should be a valid list" };
    default:
      return whole
        ? {
            type: "model_attributes_type",
            msg: "Input should be a valid dictionary or object to extract fields from",
          }
        : { type: "dict_type", msg: "Input should be a valid dictionary" };
  }
}

function valueAt(raw: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    raw,
  );
}
