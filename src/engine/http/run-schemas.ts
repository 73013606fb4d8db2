import { moment } from "./moment-schema.js";
import * as z from "./schemas.js";

/** What the endpoints of runs answer, in the contract's names: for the description, and for the types of what builds it. */

const choiceSchema = z.object({ value: z.string(), title: z.string(), description: z.string().optional() });

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

export const workSchema = z
  .object({
    branch: z.string().describe("As it is called where the commits are"),
    base_branch: z.string().nullable(),
    base_commit: z.string().nullable().describe("Where the two parted"),
    head_commit: z.string().nullable(),
    commits: z.array(z.object({ id: z.string(), title: z.string() })).describe("Newest first, at most 50"),
    commit_count: z.int(),
    files: z.int(),
    insertions: z.int(),
    deletions: z.int(),
    delivered_to: z
      .enum(["repository", "remote", "engine"])
      .describe("repository: the person's own on this machine; engine: the engine's clone alone"),
    where: z.string().describe("Its folder or address"),
    merged_into: z.string().nullable(),
    problem: z
      .string()
      .nullable()
      .describe("Why it is not where it was meant to be, and the command that helps"),
    uncommitted: z.boolean().describe("The worktree has changes that are in no commit"),
    own: z
      .object({ commit: z.string(), files: z.int(), insertions: z.int(), deletions: z.int() })
      .nullable()
      .describe(
        "The commit with what the person had not committed when the session began; part of all counts",
      ),
    worktree: z.string().nullable().describe("The session's folder, while it is there"),
  })
  .openapi("Work");

export const diffSchema = z
  .object({
    run_id: z.string(),
    branch: z.string(),
    base_branch: z.string(),
    diff: z.string(),
    cut: z.boolean().describe("There is more than was asked for"),
  })
  .openapi("Diff");

export const headSchema = z
  .object({ run_id: z.string(), branch: z.string(), head_commit: z.string() })
  .openapi("WorkHead");

export const takenSchema = z
  .object({
    run_id: z.string(),
    taken: z.boolean(),
    into: z.string(),
    commit: z.string().nullable(),
    message: z.string(),
    conflicts: z.array(z.string()).describe("Files that both have changed"),
    had_all: z.boolean().describe("Nothing was to be done: the branch had all of it, and stands at `commit`"),
    check: z
      .object({
        command: z.string(),
        passed: z.boolean(),
        exit_code: z.number().nullable(),
        timed_out: z.boolean(),
        seconds: z.number(),
        output: z.string().describe("The last lines that it wrote; text of programs, not of the engine"),
        cut: z.boolean(),
      })
      .nullable(),
  })
  .openapi("TakenWork");

export const discardedSchema = z
  .object({
    run_id: z.string(),
    removed: z.array(z.string()),
    lost: z.array(z.string()).describe("Commits that were on no other branch"),
    kept: z.array(z.string()),
    errors: z.array(z.string()),
  })
  .openapi("DiscardedWork");

export const statusSchema = z
  .object({
    run_id: z.string(),
    status: z.enum(["pending", "running", "completed", "failed", "killed"]),
    workflow_name: z.string(),
    session_id: z.string().describe("Resumable from the first moment"),
    session_name: z.string(),
    claude_session_id: z.string(),
    repository_url: z.string().nullable(),
    git_branch: z.string().nullable(),
    model: z.string().nullable().describe("As the agent calls it, or as it was asked for"),
    current_turn: z.int(),
    max_turns: z.int().nullable(),
    expected_turns: expectedTurns,
    current_action: z.string().nullable(),
    waits_for_slot: slotWait,
    phases_completed: z.array(z.string()),
    waiting_for: z.literal("question").nullable(),
    questions: z.array(questionSchema).describe("The open ones"),
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
    workspace_path: z.string().nullable(),
    own_workspace: z
      .boolean()
      .nullable()
      .describe("Whether no other session works in its folder; null before it has one"),
    work: workSchema
      .nullable()
      .describe("What the session's branch has beyond its base; null when that is nothing, or not known yet"),
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

export const cleanedUpSchema = z
  .object({
    success: z.boolean(),
    run_id: z.string(),
    workflow_name: z.string(),
    cleanup_time: moment,
    cleanup_duration_ms: z.int(),
    cleanup_details: z.object({
      workspace_removed: z.boolean(),
      temp_files_removed: z.boolean(),
      git_worktree_removed: z.boolean(),
      process_cleaned: z.boolean(),
      workspace_path: z.string().nullable(),
      note: z.string().nullable().describe("What was kept and where, and what force has removed for good"),
      errors: z.array(z.string()),
    }),
    message: z.string(),
  })
  .openapi("CleanedUpRun");

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
