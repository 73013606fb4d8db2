import type { CheckedPlan } from "../../plans/language/check-plan.js";
import { describeProblem } from "../../plans/language/problems.js";
import { readPlanText } from "../../plans/language/read-plan-text.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError } from "../answer.js";

/** So many mistakes are told in words; of more the number. */
const TOLD_PROBLEMS = 40;
const NOTHING = "Nothing was begun.";

/**
 * A structure that came as a text, JSON or YAML; undefined for none.
 * @throws ActionError when it is neither
 */
export async function readDocument(name: string, text: string | undefined): Promise<unknown> {
  if (text === undefined || text.trim() === "") return undefined;
  const read = await readPlanText(text);
  if ("value" in read) return read.value;
  const why = read.problems.map(({ message, line }) => `${line ? `line ${line}: ` : ""}${message}`).join(" ");
  throw new ActionError(`\`${name}\`: ${why} ${NOTHING}`);
}

/** The same where it has to hold names with values. @throws ActionError */
export async function readRecord(
  name: string,
  text: string | undefined,
): Promise<Record<string, unknown> | undefined> {
  const value = await readDocument(name, text);
  if (value === undefined || value === null) return undefined;
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ActionError(`\`${name}\` must hold names with values, as JSON: {"name": "value"}. ${NOTHING}`);
}

/** True for what can only be the name of a template: a plan has more than one word. */
export function isTemplateName(text: string): boolean {
  return /^[\w.-]{1,100}$/.test(text.trim());
}

/**
 * What is to be checked as the plan: the text itself, or, with steps or limits of the call's own, the plan with these.
 * @throws ActionError when a part cannot be read
 */
export async function composePlan(
  text: string | undefined,
  given: { steps?: string | undefined; limits?: string | undefined },
): Promise<unknown> {
  const steps = await readDocument("steps", given.steps);
  const limits = await readRecord("limits", given.limits);
  if (text !== undefined && steps === undefined && limits === undefined) return text;
  // What cannot be read as a plan is told by the check, with its lines.
  const read = text === undefined ? { value: {} } : await readPlanText(text);
  if (!("value" in read)) return text;
  const plan = read.value;
  if (typeof plan !== "object" || plan === null || Array.isArray(plan)) return plan;
  const whole = plan as Record<string, unknown>;
  const own = whole.limits;
  const merged =
    limits && typeof own === "object" && own !== null && !Array.isArray(own) ? { ...own, ...limits } : limits;
  return {
    ...whole,
    ...(steps === undefined ? {} : { steps }),
    ...(merged === undefined ? {} : { limits: merged }),
  };
}

/** The checked plan. @throws ActionError with all mistakes, each with its place and how it could be written */
export function requireSound(
  checked: CheckedPlan,
  what: string,
  left = NOTHING,
): Extract<CheckedPlan, { plan: unknown }> {
  if ("plan" in checked) return checked;
  const { problems } = checked;
  const told = problems.slice(0, TOLD_PROBLEMS).map((problem) => `- ${describeProblem(problem)}`);
  const more = problems.length - told.length;
  const count = problems.length === 1 ? "one mistake" : `${problems.length} mistakes`;
  throw new ActionError(
    [
      `${cleanLine(what, 200)} has ${count}. ${left}`,
      ...told,
      ...(more > 0 ? [`- and ${more} more`] : []),
    ].join("\n"),
  );
}
