import * as z from "zod";
import type { Endpoint } from "../api/endpoints.js";
import { flag, maybeFlag, maybeNumber, maybeText, maybeTexts, number, text, texts } from "./answer-fields.js";
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
  branch: text,
  base_branch: maybeText,
  commits: texts,
  commit_count: number,
  files: maybeNumber,
  insertions: maybeNumber,
  deletions: maybeNumber,
  delivered_to: text,
  where: maybeText,
  merged_into: maybeText,
  problem: maybeText,
  uncommitted: maybeFlag,
  /** The commit with what the person had not committed when the session began. */
  yours: maybeText,
  look: maybeText,
  take: maybeText,
  discard: maybeText,
  resume: maybeText,
});

const runAnswer = z.object({
  run_id: text,
  /** Resumes the conversation. */
  session_id: maybeText,
  session_name: maybeText,
  workflow_name: text,
  status: text,
  turn: maybeNumber,
  max_turns: maybeNumber,
  expected_turns: maybeNumber,
  current_action: maybeText,
  /** Behind it, in parentheses, the kind of agent where that is not the usual one. */
  model: maybeText,
  /** ISO 8601, UTC. */
  started_at: maybeText,
  duration_s: maybeNumber,
  cost_usd: maybeNumber,
  cost_at_least: maybeFlag,
  session_cost_usd: maybeNumber,
  session_cost_at_least: maybeFlag,
  tokens: z.object({ total: number, input: maybeNumber, output: maybeNumber }).optional(),
  tools_used: maybeTexts,
  result: maybeText.describe("Output of the run, not of this server"),
  error: maybeText,
  repository_url: maybeText,
  git_branch: maybeText,
  current_phase: maybeText,
  phases_completed: maybeTexts,
  files_changed: maybeTexts,
  commits: maybeTexts,
  workspace_path: maybeText,
  work: workAnswer.optional(),
  questions: z
    .array(
      z.object({
        question_id: text,
        kind: text,
        text: text,
        tool_name: maybeText,
        detail: maybeText,
        asked_at: maybeText,
        choices: z.array(z.object({ value: text, title: text })),
      }),
    )
    .optional(),
});

/** The run in an answer, in the published names. */
export type RunAnswer = z.output<typeof runAnswer>;

const missingAnswer = z.object({
  name: text,
  description: text,
  required: flag,
  suggestion: maybeText,
  choices: z.array(z.object({ value: text, title: text })).optional(),
});

const workflowAnswer = z.object({
  name: text,
  description: text,
  display_name: maybeText,
  category: maybeText,
  suggested_turns: maybeNumber,
  max_turns: maybeNumber,
  capabilities: maybeTexts,
  models: maybeTexts,
  usual: maybeText,
  success: maybeText,
  /** Limits that a run is unlikely to reach. */
  suggested_max_turns: maybeNumber,
  suggested_timeout: maybeNumber,
});

const sessionAnswer = z.object({
  session_name: text,
  session_id: maybeText,
  can_continue: flag,
  workflow_name: text,
  status: text,
  run_id: text,
  runs: number,
  turns: maybeNumber,
  turn: maybeNumber,
  max_turns: maybeNumber,
  expected_turns: maybeNumber,
  error_code: maybeText,
  cost_usd: maybeNumber,
  /** Of some run not all is known, or it goes on. */
  cost_at_least: maybeFlag,
  /** Lines that its commits add, and take away. */
  insertions: maybeNumber,
  deletions: maybeNumber,
  merged_into: maybeText,
  /** What its agent has asked the person. */
  waits_for: maybeText,
  waits_since: maybeText,
  /** Its run waits for a free slot, in words; the position from 1, and in about how many seconds it goes on. */
  waits_for_slot: maybeText,
  slot_position: maybeNumber,
  slot_in_s: maybeNumber,
  /** Since the last change. */
  age_s: number,
  repository_url: maybeText,
  git_branch: maybeText,
});

const queueAnswer = z.object({
  waiting: number,
  added: number,
  consumed: number.describe("Taken up: the only proof of delivery"),
  oldest_age_s: maybeNumber,
});

const diffAnswer = z.object({ text: text, cut: flag });

const checkAnswer = z.object({
  command: text,
  passed: flag,
  exit_code: maybeNumber,
  seconds: maybeNumber,
  output: text.describe("Output of the command, not of this server"),
  cut: flag,
});

const cleanupAnswer = z.object({
  success: flag,
  removed: texts,
  errors: texts,
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
  read: flag,
  read_at: maybeText,
  problem: maybeText,
  effect: maybeText,
  title: maybeText,
  version: maybeText,
  endpoints: maybeTexts,
  missing: maybeTexts,
  pushed_events: maybeFlag,
  questions: maybeFlag,
  max_turns: maybeText,
  timeout: maybeText,
  not_taken: maybeTexts.describe("Fields of a start"),
});

const apiAnswer = z.object({
  address: text,
  workflows_read_at: maybeText,
  problem: maybeText,
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
  /** The part of the summary that tells what this call has done, for where the rest is seen anyway; not published. */
  happened?: string;
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
    summary: text,
    next_step: z.object({ tool: text, arguments: z.record(text, z.unknown()), reason: text }).optional(),
    ...Object.fromEntries(parts.map((part) => [part, answerParts[part].optional()])),
  });
}
