import { ApiRefusal } from "./refusal.js";
import type { RunState, TakeReport, WorkState } from "./types.js";
import { offset } from "./wire-parts.js";

function moment(ms: number | null): string | null {
  return ms === null ? null : offset(ms);
}

function ended(state: RunState): boolean {
  return state.agent === "ended";
}

function phase(state: RunState): string {
  return ended(state) ? state.status : "running";
}

function outcome(state: RunState) {
  if (!ended(state)) return null;
  const success = state.status === "completed";
  const message = state.result ?? state.error ?? `Workflow ${state.status}`;
  return {
    success,
    completion_type: state.status,
    message,
    final_output: state.result,
    files_created: [],
    files_changed: state.filesChanged,
    git_commits: state.commits,
  };
}

/** Seconds from the start to the end, or to `now` while the run is in flight. */
function seconds(state: RunState, now: number): number {
  return ((state.completedAt ?? now) - state.startedAt) / 1000;
}

/** The contract's status answer: live turns, the current action and a session that can be resumed. */
export function contractStatus(state: RunState, now: number, debug: boolean) {
  const tokens = { total: state.tokens.input + state.tokens.output, ...state.tokens };
  return {
    run_id: state.runId,
    status: state.status,
    workflow_name: state.workflowName,
    session_id: state.sessionId,
    session_name: state.sessionName,
    claude_session_id: state.sessionId,
    repository_url: state.repositoryUrl,
    git_branch: state.gitBranch,
    current_turn: state.turn,
    max_turns: state.maxTurns,
    current_action: state.action,
    phases_completed: state.actionsDone,
    started_at: offset(state.startedAt),
    completed_at: moment(state.completedAt),
    execution_time_seconds: seconds(state, now),
    progress: {
      turns: state.turn,
      max_turns: state.maxTurns,
      current_phase: phase(state),
      phases_completed: state.actionsDone,
      is_running: !ended(state),
    },
    metrics: { cost_usd: state.costUsd, tokens, tools_used: state.toolsUsed },
    result: outcome(state),
    error_message: state.error,
    ...(state.errorCode === null ? {} : { error_code: state.errorCode }),
    ...(state.work === undefined ? {} : { work: work(state), own_workspace: state.ownWorkspace }),
    ...(debug
      ? {
          debug: {
            workflow_run_id: state.rowId,
            metadata: {
              current_turns: state.turn,
              max_turns: state.maxTurns,
              claude_session_id: state.sessionId,
              last_activity: moment(state.lastActivityAt),
            },
          },
        }
      : {}),
  };
}

/** One run in the contract's list: the public server's fields, filled in live, and the session. */
export function contractRunRow(state: RunState) {
  const took = state.completedAt === null ? null : (state.completedAt - state.startedAt) / 1000;
  return {
    run_id: state.runId,
    status: state.status,
    workflow_name: state.workflowName,
    session_id: state.sessionId,
    session_name: state.sessionName,
    turns: state.turn,
    max_turns: state.maxTurns,
    started_at: offset(state.startedAt),
    completed_at: moment(state.completedAt),
    execution_time: took,
    execution_time_seconds: took,
    total_cost: state.costUsd,
    total_tokens: state.tokens.input + state.tokens.output,
    input_tokens: state.tokens.input,
    output_tokens: state.tokens.output,
    tool_calls: state.toolsUsed.length,
    tools_used: state.toolsUsed,
    result: state.result ?? `Processing: ${state.message.slice(0, 100)}`,
    ai_model: "sonnet",
    git_repo: state.repositoryUrl,
    git_branch: state.gitBranch,
    git_diff_summary: "No changes",
    final_commit_hash: state.commits.at(-1) ?? null,
    workspace_path: state.workspacePath,
    workspace_persistent: state.workspacePersistent,
    workspace_cleaned_up: state.cleanedUp,
    error_message: state.error,
    ...(state.errorCode === null ? {} : { error_code: state.errorCode }),
  };
}

/** What the session's branch has beyond its base; not told before the run has ended, as with our engine. */
function work({ work, agent }: RunState) {
  if (!work || agent !== "ended") return null;
  return {
    branch: work.branch,
    base_branch: work.baseBranch,
    base_commit: null,
    head_commit: work.headCommit,
    commits: work.commits.slice(0, 50),
    commit_count: work.commits.length,
    files: work.commits.length,
    insertions: work.commits.length,
    deletions: 0,
    delivered_to: "repository",
    where: "/srv/repository",
    merged_into: work.mergedInto,
    problem: null,
    uncommitted: false,
    own: null,
    worktree: null,
  };
}

/** What the session's commits change, as far as there is anything to be seen: their titles. */
export function diffAnswer(state: RunState) {
  const { branch, baseBranch, commits } = workOf(state);
  const diff = commits.map(({ title }) => `+${title}\n`).join("");
  return { run_id: state.runId, branch, base_branch: baseBranch, diff, cut: false };
}

/** Where the session's branch stands. */
export function headAnswer(state: RunState) {
  const { branch, headCommit } = workOf(state);
  return { run_id: state.runId, branch, head_commit: headCommit };
}

function workOf({ work }: RunState): WorkState {
  if (!work) throw new ApiRefusal(409, "The session has no commits of its own.");
  return work;
}

/** The answer to a take. */
export function takenAnswer(runId: string, { hadAll, check, ...report }: TakeReport) {
  const told = check && { exit_code: check.passed ? 0 : 1, timed_out: false, seconds: 0.1, cut: false };
  return { run_id: runId, ...report, had_all: hadAll, check: check && { ...check, ...told } };
}
