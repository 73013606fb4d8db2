import * as z from "zod";
import { BOUNDS } from "../plan.js";

/**
 * The plan language as a schema: what is published of it, and the rule of each key. No recursion and no alternatives,
 * since clients and models refuse them; which keys belong together is checked in check-steps.ts.
 */

/** Each rule reads behind "must be". */
const must = (rule: string) => ({ error: `must be ${rule}` });

/**
 * Rules that most values keep, by a look of our own: a plan has thousands of values, and the library takes longer for
 * each than all else that is done with it. What is not known to be as it must be is left to the library.
 */
const looks = new WeakMap<z.ZodType, (value: unknown) => boolean>();

/** True for a value that is as the rule has it, and has no other form; false says nothing. */
export function isPlainly(schema: z.ZodType, value: unknown): boolean {
  const rule = schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
  return looks.get(rule)?.(value) === true;
}

const text = (max: number) => {
  const rule = z
    .string(must("a text"))
    .min(1, must("a text, and not empty"))
    .max(max, must(`a text of at most ${max} characters`));
  looks.set(rule, (value) => typeof value === "string" && value !== "" && value.length <= max);
  return rule;
};
/** @param min 0 or 1 */
const texts = (item: z.ZodString, { min = 0, max }: { min?: number; max: number }, what: string) => {
  const list = z.array(item, must(`a list of ${what}`)).max(max, must(`a list of at most ${max} ${what}`));
  const rule = min === 0 ? list : list.min(1, must(`a list with at least one ${what.replace(/s$/, "")}`));
  looks.set(
    rule,
    (value) =>
      Array.isArray(value) &&
      value.length >= min &&
      value.length <= max &&
      value.every((one) => isPlainly(item, one)),
  );
  return rule;
};
const whole = (min: number, max: number) => {
  const rule = must(`a whole number from ${min} to ${max}`);
  return z.int(rule).min(min, rule).max(max, rule);
};
const name = text(100);

/** An input, or a field of an output. */
export const fieldShape = {
  type: z
    .enum(
      ["string", "integer", "number", "boolean", "list", "enum"],
      must("string, integer, number, boolean or list"),
    )
    .optional()
    .describe("Default: string. A list is one of texts."),
  required: z.boolean(must("true or false")).optional(),
  enum: texts(text(200), { min: 1, max: BOUNDS.choices }, "texts").optional().describe("The only values."),
  titles: z
    .record(z.string(), text(200), must("names of values with their titles"))
    .optional()
    .describe("What a form shows for a value."),
  description: text(1_000).optional(),
  default: z.unknown().optional(),
};

export const limitsShape = {
  parallel: whole(1, 200).optional().describe("Runs at once."),
  runs: whole(1, 10_000).optional().describe("Runs in all, each attempt counted."),
  cost_usd: z
    .number(must("a number of US dollars"))
    .min(0.01, must("at least 0.01 US dollars"))
    .max(100_000, must("at most 100000 US dollars"))
    .optional()
    .describe("US dollars in all."),
  minutes: whole(1, 100_000).optional().describe("Minutes in which runs are at work."),
};

export const backToShape = {
  step: name.describe("The step that is continued; everything downstream of it runs again."),
  max: whole(1, 20).optional().describe("How often at most; default 3."),
  when: text(1_000).optional().describe("Of a run: the condition."),
};

export const stepShape = {
  id: name,
  run: name.optional().describe("A workflow, or auto: an agent works."),
  agent: name.optional().describe("The agent, in place of the workflow's."),
  gate: text(BOUNDS.textChars).optional().describe("A question: a person decides."),
  merge: name.optional().describe("A step with for_each: its branches are joined."),
  needs: texts(name, { max: BOUNDS.needs }, "steps").optional().describe("Steps that come first."),
  when: text(1_000).optional().describe("Skipped unless: ${…} == word, != word, or in [words]."),
  join: z.enum(["all_done", "all_ok", "any_ok"], must("all_done, all_ok or any_ok")).optional(),
  task: text(BOUNDS.taskChars).optional().describe("What the agent is told; with ${…}."),
  output: z
    .record(z.string(), z.strictObject(fieldShape), must("names of fields with what they hold"))
    .optional()
    .describe("Fields that the agent has to give at its end."),
  continue: name.optional().describe("Goes on with that step's conversation and workspace."),
  from: name.optional().describe("Begins at that step's branch."),
  for_each: text(1_000).optional().describe("One run for each item of a list: ${…}; ${item} in the task."),
  parallel: whole(1, 200).optional().describe("Of for_each: runs at once."),
  retry: whole(0, 10).optional().describe("How often a failed run is started again."),
  back_to: z.strictObject(backToShape).optional().describe("When sent back: where to."),
  show: text(BOUNDS.textChars).optional().describe("Of a gate: what the person sees; with ${…}."),
  check: text(2_000)
    .optional()
    .describe("Of a merge: a command that has to succeed after each, or ${inputs.NAME} and nothing else."),
};

export const planShape = {
  name: text(100).optional(),
  description: text(1_000).optional(),
  inputs: z
    .record(z.string(), z.strictObject(fieldShape), must("names of inputs with what they hold"))
    .optional(),
  limits: z.strictObject(limitsShape).optional(),
  finish: z
    .enum(["branch", "pull_request"], must("branch or pull_request"))
    .optional()
    .describe("pull_request: opened for each branch that is left when the plan is completed."),
  steps: z.array(z.strictObject(stepShape)),
};

/** The language as it is published. */
export const planSchema = z.strictObject(planShape);
