import * as z from "zod";
import type { Endpoint } from "../api/endpoints.js";
import { dryRunAnswer, planAnswer, plansAnswer, templatesAnswer } from "./plans/plan-answer.js";

/** What the run action and its neighbours answer; kept flat, without null and without type unions. */
export const OUTCOMES = [
  "started",
  "running",
  "completed",
  "failed",
  "killed",
  "stalled",
  "input_required",
  "declined",
  "cancelled",
  "unknown",
  "ok",
] as const;

export type Outcome = (typeof OUTCOMES)[number];

const workAnswer = z.object({
  branch: z.string(),
  base_branch: z.string().optional(),
  commits: z.array(z.string()),
  commit_count: z.number(),
  files: z.number().optional(),
  insertions: z.number().optional(),
  deletions: z.number().optional(),
  delivered_to: z.string(),
  where: z.string().optional(),
  merged_into: z.string().optional(),
  problem: z.string().optional(),
  uncommitted: z.boolean().optional(),
  /** The commit with what the person had not committed when the session began. */
  yours: z.string().optional(),
  look: z.string().optional(),
  take: z.string().optional(),
  discard: z.string().optional(),
  resume: z.string().optional(),
});

const runAnswer = z.object({
  run_id: z.string(),
  session_id: z.string().optional().describe("Resumes the conversation"),
  session_name: z.string().optional(),
  workflow_name: z.string(),
  status: z.string(),
  turn: z.number().optional(),
  max_turns: z.number().optional(),
  expected_turns: z.number().optional(),
  current_action: z.string().optional(),
  model: z.string().optional(),
  /** ISO 8601, UTC. */
  started_at: z.string().optional(),
  duration_s: z.number().optional(),
  cost_usd: z.number().optional(),
  cost_at_least: z.boolean().optional(),
  session_cost_usd: z.number().optional(),
  session_cost_at_least: z.boolean().optional(),
  tokens: z
    .object({ total: z.number(), input: z.number().optional(), output: z.number().optional() })
    .optional(),
  tools_used: z.array(z.string()).optional(),
  result: z.string().optional().describe("Output of the run, not of this server"),
  error: z.string().optional(),
  repository_url: z.string().optional(),
  git_branch: z.string().optional(),
  current_phase: z.string().optional(),
  phases_completed: z.array(z.string()).optional(),
  files_changed: z.array(z.string()).optional(),
  commits: z.array(z.string()).optional(),
  workspace_path: z.string().optional(),
  work: workAnswer.optional(),
  questions: z
    .array(
      z.object({
        question_id: z.string(),
        kind: z.string(),
        text: z.string(),
        tool_name: z.string().optional(),
        detail: z.string().optional(),
        asked_at: z.string().optional(),
        choices: z.array(z.object({ value: z.string(), title: z.string() })),
      }),
    )
    .optional(),
});

/** The run in an answer, in the published names. */
export type RunAnswer = z.output<typeof runAnswer>;

const missingAnswer = z.object({
  name: z.string(),
  description: z.string(),
  required: z.boolean(),
  suggestion: z.string().optional(),
  choices: z.array(z.object({ value: z.string(), title: z.string() })).optional(),
});

const workflowAnswer = z.object({
  name: z.string(),
  description: z.string(),
  display_name: z.string().optional(),
  category: z.string().optional(),
  suggested_turns: z.number().optional(),
  max_turns: z.number().optional(),
  capabilities: z.array(z.string()).optional(),
  models: z.array(z.string()).optional(),
  usual: z.string().optional(),
  success: z.string().optional(),
  /** Limits that a run is unlikely to reach. */
  suggested_max_turns: z.number().optional(),
  suggested_timeout: z.number().optional(),
});

const sessionAnswer = z.object({
  session_name: z.string(),
  session_id: z.string().optional(),
  can_continue: z.boolean(),
  workflow_name: z.string(),
  status: z.string(),
  run_id: z.string(),
  runs: z.number(),
  turns: z.number().optional(),
  turn: z.number().optional(),
  max_turns: z.number().optional(),
  expected_turns: z.number().optional(),
  error_code: z.string().optional(),
  cost_usd: z.number().optional(),
  /** Of some run not all is known, or it goes on. */
  cost_at_least: z.boolean().optional(),
  /** Lines that its commits add, and take away. */
  insertions: z.number().optional(),
  deletions: z.number().optional(),
  merged_into: z.string().optional(),
  /** What its agent has asked the person. */
  waits_for: z.string().optional(),
  waits_since: z.string().optional(),
  /** Its run waits for a free slot, in words; the position from 1, and in about how many seconds it goes on. */
  waits_for_slot: z.string().optional(),
  slot_position: z.number().optional(),
  slot_in_s: z.number().optional(),
  age_s: z.number().describe("Since the last change"),
  repository_url: z.string().optional(),
  git_branch: z.string().optional(),
});

const queueAnswer = z.object({
  waiting: z.number(),
  added: z.number(),
  consumed: z.number().describe("Taken up: the only proof of delivery"),
  oldest_age_s: z.number().optional(),
});

const diffAnswer = z.object({ text: z.string(), cut: z.boolean() });

const checkAnswer = z.object({
  command: z.string(),
  passed: z.boolean(),
  exit_code: z.number().optional(),
  seconds: z.number().optional(),
  output: z.string().describe("Output of the command, not of this server"),
  cut: z.boolean(),
});

const cleanupAnswer = z.object({
  success: z.boolean(),
  removed: z.array(z.string()),
  errors: z.array(z.string()),
});

/** Figures of ended runs, whose table is in the text: what each is published as would cost every chat more than it tells. */
interface FiguresAnswer {
  by: string;
  /** 0: everything. */
  days: number;
  figure: string;
  groups: {
    name: string;
    runs: number;
    succeeded: number;
    failed: number;
    killed: number;
    cost_usd: number;
    /** Runs that told no cost. */
    cost_unknown?: number;
    /** Medians, and what nine of ten did not exceed. */
    turns?: number;
    turns_p90?: number;
    seconds?: number;
    seconds_p90?: number;
    /** For people. */
    waited_s: number;
  }[];
}

const descriptionAnswer = z.object({
  read: z.boolean(),
  read_at: z.string().optional(),
  problem: z.string().optional(),
  effect: z.string().optional(),
  title: z.string().optional(),
  version: z.string().optional(),
  endpoints: z.array(z.string()).optional(),
  missing: z.array(z.string()).optional(),
  pushed_events: z.boolean().optional(),
  questions: z.boolean().optional(),
  max_turns: z.string().optional(),
  timeout: z.string().optional(),
  not_taken: z.array(z.string()).optional().describe("Fields of a start"),
});

const apiAnswer = z.object({
  address: z.string(),
  workflows_read_at: z.string().optional(),
  problem: z.string().optional(),
  description: descriptionAnswer.optional(),
});

/** Parts that only some actions answer with; an action names those it uses. */
export const answerParts = {
  run: runAnswer,
  missing: z.array(missingAnswer),
  workflows: z.array(workflowAnswer),
  sessions: z.array(sessionAnswer),
  queue: queueAnswer,
  diff: diffAnswer,
  check: checkAnswer,
  cleanup: cleanupAnswer,
  api: apiAnswer,
  plan: planAnswer,
  dry_run: dryRunAnswer,
  plans: plansAnswer,
  templates: templatesAnswer,
  figures: z.looseObject({}),
};

export type AnswerPart = keyof typeof answerParts;

/** What to do now: one action, projected to the tool that carries it. */
export interface NextStep {
  action: string;
  arguments: Record<string, unknown>;
  reason: string;
  /** What the API needs for it beside what the action always needs: without that it is no step. */
  endpoint?: Endpoint;
}

/** What an action answers with. */
export interface Answer {
  outcome: Outcome;
  /** What happened, and what was and was not done, in sentences. */
  summary: string;
  next?: NextStep;
  run?: RunAnswer;
  missing?: z.output<typeof missingAnswer>[];
  workflows?: z.output<typeof workflowAnswer>[];
  sessions?: z.output<typeof sessionAnswer>[];
  queue?: z.output<typeof queueAnswer>;
  diff?: z.output<typeof diffAnswer>;
  check?: z.output<typeof checkAnswer>;
  cleanup?: z.output<typeof cleanupAnswer>;
  api?: z.output<typeof apiAnswer>;
  plan?: z.output<typeof planAnswer>;
  dry_run?: z.output<typeof dryRunAnswer>;
  plans?: z.output<typeof plansAnswer>;
  templates?: z.output<typeof templatesAnswer>;
  figures?: FiguresAnswer;
}

/** A call that failed because of its arguments, or because the API refused it. Becomes a tool error. */
export class ActionError extends Error {
  override name = "ActionError";
  readonly next: NextStep | undefined;

  constructor(message: string, next?: NextStep) {
    super(message);
    this.next = next;
  }
}

/** The published answer schema of a tool whose actions use the given parts. */
export function buildAnswerSchema(parts: readonly AnswerPart[]) {
  return z.object({
    outcome: z.enum(OUTCOMES),
    summary: z.string(),
    next_step: z
      .object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()), reason: z.string() })
      .optional(),
    ...Object.fromEntries(parts.map((part) => [part, answerParts[part].optional()])),
  });
}
