import type { Field, Fields, FieldValue } from "../../plans/plan.js";
import { optional } from "../../plans/plan.js";
import { cleanLine } from "../../shared/text.js";
import type { Question } from "../forms/form-client.js";

/** What the form asks beside the inputs, by the names of the call's arguments. */
const TAKEN = ["session_name", "repository_url", "git_branch", "uncommitted", "workflow_name"];
/** A form with more fields than this is not filled in by anybody: what may be left out is left out of it. */
const MAX_FIELDS = 12;

/**
 * The questions for inputs that nobody has given, as fields of a form: those that are needed, then others with their
 * defaults.
 * @param given values so far, defaults not among them
 */
export function askForInputs(
  fields: Fields,
  missing: readonly string[],
  given: readonly string[],
): Question[] {
  const rest = Object.keys(fields).filter((name) => !missing.includes(name) && !given.includes(name));
  const names = [...missing, ...rest.slice(0, Math.max(0, MAX_FIELDS - missing.length))];
  return names.flatMap((name) => {
    const field = fields[name];
    return field ? [toQuestion(name, field, missing.includes(name))] : [];
  });
}

/** The name under which the form asks for an input. */
export function fieldNameOf(input: string): string {
  return TAKEN.includes(input) ? `input_${input}` : input;
}

/** What was entered, by the names of the inputs; what was left empty is left out. */
export function readInputs(
  fields: Fields,
  entered: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.keys(fields).flatMap((name) => {
      const value = entered[fieldNameOf(name)];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

function toQuestion(name: string, field: Field, required: boolean): Question {
  const about = cleanLine(field.description ?? name, 400);
  // Text is not filled in beforehand: whoever types would have to clear it away first, and of several lines clients show
  // one.
  const isText = (field.type === "string" && !field.enum) || field.type === "list";
  const standard = field.default === undefined ? "" : cleanLine(spell(field.default, "; "), 240);
  const hint = `${field.type === "list" && !/\ba line\b/.test(about) ? " One a line." : ""}${isText && standard ? ` Left empty: ${standard}.` : ""}`;
  const type = field.type === "string" || field.type === "list" ? undefined : field.type;
  return {
    name: fieldNameOf(name),
    title: toTitle(name),
    description: `${hint && !/[.?!…]$/.test(about) ? `${about}.` : about}${hint}`,
    required,
    ...optional("suggestion", field.default === undefined || isText ? undefined : spell(field.default)),
    ...optional("type", type),
    ...(field.type === "list" ? { lines: true as const } : {}),
    ...optional(
      "choices",
      field.enum?.map((value) => ({ value, title: field.titles?.[value] ?? value })),
    ),
  };
}

/** "release_notes" as "Release notes". */
function toTitle(name: string): string {
  const words = cleanLine(name.replace(/[_-]+/g, " "), 60);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value as a form shows it. */
export function spell(value: FieldValue, between = "\n"): string {
  return typeof value === "object" ? value.join(between) : String(value);
}
