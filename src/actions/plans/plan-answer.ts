import * as z from "zod";
import { flag, maybeNumber, maybeText, maybeTexts, number, text, texts } from "../answer-fields.js";

/** A plan and lists of plans in answers, in the published names: flat, without null and without type unions. */
const stepAnswer = z.object({
  id: text,
  kind: text,
  status: text,
  attempt: number,
  run_id: maybeText,
  session_name: maybeText,
  branch: maybeText,
  /** On one line; of a run or of the person. */
  outcome: maybeText,
  turns: maybeNumber,
  cost_usd: maybeNumber,
  /** ISO 8601, UTC. */
  since: text,
  reason: maybeText,
  /** "2/3": runs of a fan-out that have succeeded, and all of them. */
  items: maybeText,
  runs: z
    .array(
      z.object({
        item: text,
        status: text,
        attempt: number,
        run_id: maybeText,
        session_name: maybeText,
        branch: maybeText,
        turns: maybeNumber,
        cost_usd: maybeNumber,
        reason: maybeText,
      }),
    )
    .optional(),
});

const waitingAnswer = z.object({
  step: text,
  what: text,
  since: text,
  kind: text,
  /** For the action `answer`. */
  question_id: maybeText,
});

const runsAnswer = z.object({ started: number, limit: number });

export const planAnswer = z.object({
  plan_id: text,
  name: text,
  status: text,
  version: number,
  /** Where it stands. */
  line: text,
  steps: z.array(stepAnswer),
  runs: runsAnswer,
  cost_usd: maybeNumber.describe("Missing while unknown"),
  known_cost_usd: maybeNumber,
  cost_limit_usd: maybeNumber,
  waiting_for: z.array(waitingAnswer),
  near_limits: maybeTexts,
  work: z
    .array(
      z.object({
        step: text,
        branch: text,
        run_id: maybeText,
        look: maybeText,
        /** Where no run has the branch, which the action `take` would need. */
        take: maybeText,
      }),
    )
    .optional(),
  next_step: z.object({ tool: text, arguments: z.record(text, z.unknown()), reason: text }).optional(),
});

export type PlanAnswer = z.output<typeof planAnswer>;

export const dryRunAnswer = z.object({
  waves: z.array(texts),
  runs: z.object({
    expected: number,
    least: number,
    is_open: flag.describe("It may be more: a list is not known yet"),
    limit: number,
  }),
  turns: maybeNumber.describe("Missing: unknown"),
  duration_s: maybeNumber.describe("Missing: unknown"),
  cost_usd: maybeNumber.describe("Missing: unknown"),
  /** By what nine of ten runs of each workflow did not exceed. */
  most_turns: maybeNumber.describe("Seldom more"),
  most_duration_s: maybeNumber,
  most_cost_usd: maybeNumber,
  known_cost_usd: maybeNumber,
  past_runs: maybeNumber.describe("Of each workflow, at least, these figures come from"),
  unknown: maybeTexts.describe("Workflows that have not run before"),
  warnings: texts,
});

export type DryRunAnswer = z.output<typeof dryRunAnswer>;

export const plansAnswer = z.array(
  z.object({
    plan_id: text,
    name: text,
    status: text,
    line: text,
    created_at: text,
    runs: runsAnswer,
    cost_usd: maybeNumber,
    cost_limit_usd: maybeNumber,
    waiting_for: z.array(z.object({ step: text, what: text, since: text })).optional(),
  }),
);

export const templatesAnswer = z.array(
  z.object({
    name: text,
    description: maybeText,
    source: text,
    inputs: z.array(
      z.object({
        name: text,
        type: text,
        required: flag,
        description: maybeText,
        choices: maybeTexts,
        default: maybeText,
      }),
    ),
    success: maybeText,
    problem: maybeText,
  }),
);
