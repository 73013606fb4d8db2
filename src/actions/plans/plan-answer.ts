import * as z from "zod";

/** A plan and lists of plans in answers, in the published names: flat, without null and without type unions. */
const stepAnswer = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  attempt: z.number(),
  run_id: z.string().optional(),
  session_name: z.string().optional(),
  branch: z.string().optional(),
  outcome: z.string().optional().describe("On one line; of a run or of the person"),
  turns: z.number().optional(),
  cost_usd: z.number().optional(),
  /** ISO 8601, UTC. */
  since: z.string(),
  reason: z.string().optional(),
  /** "2/3": runs of a fan-out that have succeeded, and all of them. */
  items: z.string().optional(),
  runs: z
    .array(
      z.object({
        item: z.string(),
        status: z.string(),
        attempt: z.number(),
        run_id: z.string().optional(),
        session_name: z.string().optional(),
        branch: z.string().optional(),
        turns: z.number().optional(),
        cost_usd: z.number().optional(),
        reason: z.string().optional(),
      }),
    )
    .optional(),
});

const waitingAnswer = z.object({
  step: z.string(),
  what: z.string(),
  since: z.string(),
  kind: z.string(),
  question_id: z.string().optional().describe("For answer"),
});

const runsAnswer = z.object({ started: z.number(), limit: z.number() });

export const planAnswer = z.object({
  plan_id: z.string(),
  name: z.string(),
  status: z.string(),
  version: z.number(),
  line: z.string().describe("Where it stands"),
  steps: z.array(stepAnswer),
  runs: runsAnswer,
  cost_usd: z.number().optional().describe("Missing while a cost is unknown"),
  known_cost_usd: z.number().optional(),
  cost_limit_usd: z.number().optional(),
  waiting_for: z.array(waitingAnswer),
  near_limits: z.array(z.string()).optional(),
  work: z
    .array(
      z.object({
        step: z.string(),
        branch: z.string(),
        run_id: z.string().optional(),
        look: z.string().optional(),
        /** Where no run has the branch, which the action `take` would need. */
        take: z.string().optional(),
      }),
    )
    .optional(),
  next_step: z
    .object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()), reason: z.string() })
    .optional(),
});

export type PlanAnswer = z.output<typeof planAnswer>;

export const dryRunAnswer = z.object({
  waves: z.array(z.array(z.string())),
  runs: z.object({
    expected: z.number(),
    least: z.number(),
    is_open: z.boolean().describe("It may be more: a list is not known yet"),
    limit: z.number(),
  }),
  turns: z.number().optional().describe("Missing: unknown"),
  duration_s: z.number().optional().describe("Missing: unknown"),
  cost_usd: z.number().optional().describe("Missing: unknown"),
  /** By what nine of ten runs of each workflow did not exceed. */
  most_turns: z.number().optional().describe("Seldom more"),
  most_duration_s: z.number().optional(),
  most_cost_usd: z.number().optional(),
  known_cost_usd: z.number().optional(),
  past_runs: z.number().optional().describe("Of each workflow, at least, these figures come from"),
  unknown: z.array(z.string()).optional().describe("Workflows that have not run before"),
  warnings: z.array(z.string()),
});

export type DryRunAnswer = z.output<typeof dryRunAnswer>;

export const plansAnswer = z.array(
  z.object({
    plan_id: z.string(),
    name: z.string(),
    status: z.string(),
    line: z.string(),
    created_at: z.string(),
    runs: runsAnswer,
    cost_usd: z.number().optional(),
    cost_limit_usd: z.number().optional(),
    waiting_for: z.array(z.object({ step: z.string(), what: z.string(), since: z.string() })).optional(),
  }),
);

export const templatesAnswer = z.array(
  z.object({
    name: z.string(),
    description: z.string().optional(),
    source: z.string(),
    inputs: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        required: z.boolean(),
        description: z.string().optional(),
        choices: z.array(z.string()).optional(),
        default: z.string().optional(),
      }),
    ),
    success: z.string().optional(),
    problem: z.string().optional(),
  }),
);
