import { moment } from "./moment-schema.js";
import * as z from "./schemas.js";
import { pullRequestSchema, workSchema } from "./work-schemas.js";

/** What the endpoints of runs answer, in the contract's names: for the description, and for the types of what builds it. */

const choiceSchema = z.object({ value: z.string(), title: z.string(), description: z.string().optional() });

export const answererSchema = z
  .object({
    name: z.string().optional(),
    place: z
      .string()
      .optional()
      .describe("chat, terminal, dashboard, slack, discord or ntfy; others are not kept"),
  })
  .describe("Who has answered, and where, as far as whoever has passed the answer on has told it")
  .openapi("Answerer");

export const questionSchema = z
  .object({
    question_id: z.string(),
    kind: z.enum(["permission", "question"]),
    text: z.string(),
    tool_name: z.string().optional(),
    detail: z.string().optional(),
    detail_cut: z
      .boolean()
      .optional()
      .describe("The detail is too long to be shown in full: it cannot be allowed, only denied"),
    choices: z.array(choiceSchema),
    multi_select: z.boolean(),
    asked_at: moment,
    answered_at: moment.optional(),
    answer: z.string().optional(),
    answered_by: z.enum(["person", "timeout", "ended"]).optional(),
    answerer: answererSchema.optional(),
  })
  .openapi("Question");

export const questionsSchema = z
  .object({ run_id: z.string(), questions: z.array(questionSchema) })
  .openapi("Questions");

const errorCode = z
  .string()
  .optional()
  .describe("why the run has failed, where something can be done about it: context_full, no_credit …");

const neverStarted = z
  .literal(false)
  .optional()
  .describe("The run failed before its agent started; nothing was charged");

/** What an engine that resumes runs by itself tells of that. */
const resume = {
  to_be_resumed: z.literal(true).optional().describe("It was interrupted, and is resumed once by itself"),
  resumed_by: z.string().optional().describe("The run that goes on with what this one was interrupted in"),
  resumes: z
    .string()
    .optional()
    .describe("The interrupted run with which this one goes on, without anybody having asked"),
};

const expectedTurns = z
  .int()
  .nullable()
  .describe("What successful runs of the workflow usually take; null while too few are known");

const slotWait = z
  .object({
    position: z.int().describe("From 1"),
    slots: z.int().describe("Runs that can be at work at once"),
    busy: z.array(z.string()).describe("Names of the sessions at work"),
    answered: z.boolean().describe("It gave its slot up while it waited for a person, and was answered"),
    after_run: z.string().nullable().describe("A run of the same session that has to end first"),
    asking: z
      .array(z.string())
      .describe("Sessions that wait for a person, where no further agent is started because of them"),
    estimate_seconds: z.int().nullable().describe("About; null where the history does not tell it"),
  })
  .nullable()
  .describe("A run that has not begun, or was answered, waits for a free slot");

const slotRun = z.object({
  run_id: z.string(),
  session_name: z.string(),
  workflow_name: z.string(),
  status: z.string(),
  turns: z.int(),
  expected_turns: z.int().nullable(),
});

export const workersSchema = z
  .object({
    workers: z.array(
      z.object({
        worker_id: z.string().describe("Empty where only one engine has the runs"),
        name: z.string().describe("Of its machine"),
        version: z.string(),
        state: z
          .enum(["ready", "draining", "ended", "gone"])
          .describe("draining: it begins nothing more; ended: in an orderly way; gone: silent for too long"),
        places: z.int().describe("Runs that can be at work there at once"),
        busy: z.int().describe("Slots that are taken"),
        silent_seconds: z.int(),
        answers: z.boolean().describe("It has answered this request"),
        runs: z
          .array(slotRun.extend({ waiting_for: z.literal("question").nullable() }))
          .describe("They have begun there and not ended"),
      }),
    ),
    waiting: z.int().describe("Runs that have not begun"),
  })
  .openapi("Workers");

export const slotsSchema = z
  .object({
    slots: z.int().describe("Runs that can be at work at once"),
    busy: z.array(slotRun),
    asking: z.array(slotRun).describe("They wait for a person, without a slot"),
    waiting: z.array(slotRun).describe("They wait for a slot, the next one first"),
  })
  .openapi("Slots");

const costAtLeast = z
  .boolean()
  .optional()
  .describe("Of an ended run: its agent worked on after it had last told its cost, so it has cost more");

export const statusSchema = z
  .object({
    run_id: z.string(),
    status: z.enum(["pending", "running", "completed", "failed", "killed"]),
    workflow_name: z.string(),
    session_id: z.string().describe("Resumable from the first moment"),
    session_name: z.string(),
    user_id: z.string().nullable().describe("On whose behalf it was started"),
    user_name: z.string().nullable(),
    claude_session_id: z.string(),
    repository_url: z.string().nullable(),
    git_branch: z.string().nullable(),
    agent: z.string().optional().describe("The kind of agent, where it is not the usual one"),
    model: z.string().nullable().describe("As the agent calls it, or as it was asked for"),
    current_turn: z.int(),
    max_turns: z.int().nullable(),
    expected_turns: expectedTurns,
    current_action: z.string().nullable(),
    waits_for_slot: slotWait,
    phases_completed: z.array(z.string()),
    waiting_for: z.literal("question").nullable(),
    questions: z.array(questionSchema).describe("The open ones"),
    answered_questions: z
      .array(questionSchema.omit({ detail: true, detail_cut: true, choices: true }))
      .describe("The last ones that a person has answered, at most five, the newest at the end"),
    started_at: moment,
    completed_at: moment.nullable(),
    execution_time_seconds: z.number().nullable(),
    progress: z.object({
      turns: z.int(),
      max_turns: z.int().nullable(),
      current_phase: z.string(),
      phases_completed: z.array(z.string()),
      is_running: z.boolean(),
    }),
    metrics: z.object({
      cost_usd: z.number(),
      cost_at_least: costAtLeast,
      tokens: z.object({ total: z.int(), input: z.int(), output: z.int() }),
      tools_used: z.array(z.string()),
    }),
    result: z
      .object({
        success: z.boolean(),
        completion_type: z.string(),
        message: z.string(),
        final_output: z.string().nullable(),
        files_created: z.array(z.string()),
        files_changed: z.array(z.string()),
        git_commits: z.array(z.string()),
      })
      .nullable()
      .describe("null until the run has ended"),
    error_message: z.string().nullable(),
    error_code: errorCode,
    started: neverStarted,
    ...resume,
    workspace_path: z.string().nullable(),
    own_workspace: z
      .boolean()
      .nullable()
      .describe("Whether no other session works in its folder; null before it has one"),
    work: workSchema
      .nullable()
      .describe("What the session's branch has beyond its base; null when that is nothing, or not known yet"),
    pull_request: pullRequestSchema.nullable().describe("For the session's branch; null where there is none"),
    request_message: z.string().optional().describe("The message that it was started with, when asked for"),
    debug: z
      .object({
        workflow_run_id: z.string(),
        metadata: z.object({
          current_turns: z.int(),
          max_turns: z.int().nullable(),
          claude_session_id: z.string(),
          last_activity: moment.nullable(),
        }),
      })
      .optional(),
  })
  .openapi("RunStatus");

export const rowSchema = z
  .object({
    run_id: z.string(),
    status: z.string(),
    workflow_name: z.string(),
    session_id: z.string(),
    session_name: z.string(),
    user_id: z.string().nullable(),
    user_name: z.string().nullable(),
    turns: z.int(),
    max_turns: z.int().nullable(),
    expected_turns: expectedTurns,
    current_action: z.string().nullable(),
    waits_for_slot: slotWait,
    waiting_for: z.literal("question").nullable(),
    started_at: moment,
    completed_at: moment.nullable(),
    execution_time: z.number().nullable(),
    execution_time_seconds: z.number().nullable(),
    total_cost: z.number(),
    insertions: z.int().optional().describe("Lines that the session's commits add"),
    deletions: z.int().optional(),
    merged_into: z.string().optional().describe("The branch of the repository that has them by now"),
    cost_at_least: costAtLeast,
    total_tokens: z.int(),
    input_tokens: z.int(),
    output_tokens: z.int(),
    tool_calls: z.int(),
    tools_used: z.array(z.string()),
    result: z.string(),
    agent: z.string().optional(),
    ai_model: z.string().nullable(),
    git_repo: z.string().nullable(),
    git_branch: z.string().nullable(),
    git_diff_summary: z.string(),
    final_commit_hash: z.string().nullable(),
    workspace_path: z.string().nullable(),
    workspace_persistent: z.boolean(),
    workspace_cleaned_up: z.boolean(),
    error_message: z.string().nullable(),
    error_code: errorCode,
    started: neverStarted,
    ...resume,
  })
  .openapi("Run");

export const pageSchema = z
  .object({
    runs: z.array(rowSchema),
    total_count: z.int(),
    page: z.int(),
    page_size: z.int(),
    has_next: z.boolean(),
  })
  .openapi("RunPage");

export const startedSchema = z
  .object({
    run_id: z.string(),
    status: z.string(),
    message: z.string(),
    session_id: z.string(),
    workflow_name: z.string(),
    started_at: moment,
    auto_commit_sha: z.null(),
    note: z.string().optional().describe("What the person should know: that the day's cost limit is near"),
  })
  .openapi("StartedRun");

const queueStatsSchema = z.object({
  run_id: z.string(),
  current_size: z.int(),
  total_added: z.int(),
  total_consumed: z.int().describe("What the agent has taken up"),
  oldest_message_age: z.number().nullable().describe("Seconds"),
});

export const queueSchema = z
  .object({ success: z.literal(true), run_id: z.string(), queue_stats: queueStatsSchema })
  .openapi("Queue");

export const queuedSchema = z
  .object({ ...queueSchema.shape, message: z.string(), queue_size: z.int() })
  .openapi("QueuedMessage");

export const killedSchema = z
  .object({
    success: z.boolean(),
    run_id: z.string(),
    workflow_name: z.string(),
    killed_at: moment,
    kill_method: z.enum(["force", "graceful"]),
    kill_duration_ms: z.int(),
    cleanup_status: z.object({
      session_updated: z.boolean(),
      audit_logged: z.boolean(),
      process_terminated: z.boolean(),
    }),
    message: z.string(),
  })
  .openapi("KilledRun");

/** What a stream of events consists of, each as the data of a server-sent event. */
export const runEventSchema = z
  .object({
    type: z.string(),
    at: moment,
    run_id: z.string(),
    run: statusSchema.nullable().describe("The run after the event; as it is now for events of the past"),
    data: z.unknown(),
  })
  .openapi("RunEvent");
