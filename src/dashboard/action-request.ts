import * as z from "zod";
import { answerAction } from "../actions/answer-question.js";
import { parameters } from "../actions/arguments.js";
import type { Action } from "../actions/define-action.js";
import { discardAction } from "../actions/discard.js";
import { feedbackAction } from "../actions/feedback.js";
import type { Question } from "../actions/forms/form-client.js";
import { killAction } from "../actions/kill.js";
import { planAction } from "../actions/plan.js";
import { takeAction } from "../actions/take.js";
import type { ActionName, FormReply } from "./views/calls.js";

/** What a page asks for, read. */
export interface ReadRequest {
  id: string;
  action: Action;
  args: Record<string, unknown>;
}

const { run_id, plan_id, question_id, step, answer, message, force, into, squash, check } = parameters;
const change = z.enum(["pause", "resume", "skip", "redo"]);

/**
 * All that may be done from the dashboard, and by which arguments; `confirm` is none of them, since a person agrees by
 * the form. Each is about one run or one plan, by its id.
 */
const ALLOWED: Record<ActionName, { action: Action; args: z.ZodType<Record<string, unknown>> }> = {
  answer: {
    action: answerAction,
    args: z.union([
      z.strictObject({ run_id, question_id, answer }),
      z.strictObject({ plan_id, question_id, answer }),
    ]),
  },
  feedback: { action: feedbackAction, args: z.strictObject({ run_id, message }) },
  kill: {
    action: killAction,
    args: z.union([z.strictObject({ run_id, force: force.optional() }), z.strictObject({ plan_id })]),
  },
  take: {
    action: takeAction,
    args: z.strictObject({
      run_id,
      into: into.optional(),
      squash: squash.optional(),
      check: check.optional(),
    }),
  },
  discard: { action: discardAction, args: z.strictObject({ run_id }) },
  plan: {
    action: planAction,
    args: z.strictObject({ plan_id, change, step: step.optional(), message: message.optional() }),
  },
};

export const ACTION_NAMES = Object.keys(ALLOWED) as ActionName[];

const requestSchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
  action: z.enum(ACTION_NAMES as [ActionName, ...ActionName[]]),
  arguments: z.record(z.string(), z.unknown()),
});

const replySchema = z.strictObject({
  formId: z.string().max(64),
  values: z.record(z.string().max(200), z.string().max(20_000)).optional(),
});

/** @returns why it cannot be understood, as a sentence, where it cannot */
export function readActionRequest(body: unknown): ReadRequest | string {
  const request = requestSchema.safeParse(body);
  if (!request.success)
    return `An action is {id, action, arguments}; the action is one of ${ACTION_NAMES.join(", ")}. Nothing was done.`;
  const { id, action: name } = request.data;
  const { action, args } = ALLOWED[name];
  const read = args.safeParse(request.data.arguments);
  if (!read.success || read.data.run_id === "" || read.data.plan_id === "")
    return `The arguments do not fit the action ${name}. Nothing was done.`;
  return { id, action, args: read.data };
}

/** @returns undefined where it cannot be understood */
export function readFormReply(body: unknown): FormReply | undefined {
  const read = replySchema.safeParse(body).data;
  return read && { formId: read.formId, ...(read.values ? { values: read.values } : {}) };
}

/** Of what comes back from a form what the form has asked; of a choice only what was offered. */
export function readFormValues(
  values: Readonly<Record<string, string>>,
  questions: readonly Question[],
): Record<string, string | undefined> {
  return Object.fromEntries(
    questions.flatMap(({ name, choices, several }) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      const isOffered = several || !choices || choices.some((one) => one.value === value);
      return value === undefined || !isOffered ? [] : [[name, value]];
    }),
  );
}
