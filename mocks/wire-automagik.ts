import type { RunState } from "./types.js";
import { cleanupDetails, naive } from "./wire-parts.js";

function moment(ms: number | null): string | null {
  return ms === null ? null : naive(ms);
}

/** The agent's own duration, stored only when it completes. */
function agentMs(state: RunState): number {
  return (state.finishedAt ?? state.startedAt) - state.startedAt;
}

/**
 * The public server's status answer: no live turns, no session, no reason of a failure; at completion the turns
 * appear and their limit goes. `debug` adds the row's metadata, the only live part.
 */
export function automagikStatus(state: RunState, _now: number, debug: boolean) {
  const done = state.finished;
  const { input, output } = done ? state.tokens : { input: 0, output: 0 };
  const completed = state.status === "completed";
  const text = done ? state.result : null;
  return {
    run_id: state.runId,
    status: state.status,
    workflow_name: state.workflowName,
    started_at: naive(state.startedAt),
    completed_at: moment(state.completedAt),
    execution_time_seconds: done ? Math.floor(agentMs(state) / 1000) : null,
    progress: {
      turns: done ? state.turn : 0,
      max_turns: done ? null : state.maxTurns,
      current_phase: completed ? "completed" : "running",
      phases_completed: [],
      is_running: state.status === "running",
    },
    metrics: {
      cost_usd: done ? state.costUsd : 0,
      tokens: { total: input + output, input, output, cache_created: 0, cache_read: 0, cache_efficiency: 0 },
      tools_used: done ? state.toolsUsed : [],
      api_duration_ms: 0,
      performance_score: completed ? 85 : 60,
    },
    result: {
      success: completed,
      completion_type: state.status,
      message: text ?? `Workflow ${state.status}`,
      final_output: text,
      files_created: [],
      git_commits: [],
      files_changed: [],
    },
    ...(debug ? { debug: { workflow_run_id: state.rowId, metadata: metadata(state) } } : {}),
  };
}

/** The row's metadata. The agent replaces it as a whole at every write, and so forgets a kill or a cleanup. */
function metadata(state: RunState): Record<string, unknown> {
  const base = state.finished ? finishedMetadata(state) : state.turn > 0 ? live(state) : created(state);
  const { kill, cleanup } = state;
  if (kill !== null && kill.afterWrite === state.writes) {
    Object.assign(base, {
      kill_method: kill.force ? "force" : "graceful",
      kill_duration_ms: 2,
      kill_successful: true,
      killed_at: naive(kill.at),
    });
  }
  if (cleanup !== null && cleanup.afterWrite === state.writes) {
    Object.assign(base, {
      cleanup_performed_at: naive(cleanup.at),
      cleanup_duration_ms: 2,
      cleanup_result: cleanupDetails(state),
    });
  }
  return base;
}

function created({ body, maxTurns, startedAt }: RunState): Record<string, unknown> {
  const timeout = body.timeout ?? 7200;
  return {
    max_turns: maxTurns,
    timeout,
    created_at: naive(startedAt),
    request: {
      message: body.message,
      max_turns: maxTurns,
      session_id: body.session_id ?? null,
      session_name: body.session_name ?? null,
      user_id: body.user_id ?? null,
      git_branch: body.git_branch ?? null,
      repository_url: body.repository_url ?? null,
      timeout,
      input_format: body.input_format ?? null,
    },
  };
}

function live(state: RunState): Record<string, unknown> {
  const at = state.lastActivityAt ?? state.startedAt;
  return {
    current_turns: state.turn,
    max_turns: state.maxTurns,
    total_tokens: 0,
    last_activity: naive(at),
    // Never corrected afterwards: a failed or killed run still says so.
    run_status: "running",
    duration_seconds: (at - state.startedAt) / 1000,
    workflow_name: state.workflowName,
    run_id: state.runId,
    claude_session_id: state.sessionId,
  };
}

function finishedMetadata(state: RunState): Record<string, unknown> {
  return {
    total_turns: state.turn,
    tools_used: state.toolsUsed,
    tool_calls: state.toolsUsed.length,
    success: true,
    execution_time: agentMs(state) / 1000,
    git_commits: [],
    run_status: "completed",
    completed_at: moment(state.finishedAt),
  };
}

/** One run in the public server's list: the only place with an error message, and no session. */
export function automagikRunRow(state: RunState) {
  const done = state.finished;
  const { input, output } = done ? state.tokens : { input: 0, output: 0 };
  const ms = done ? agentMs(state) : state.completedAt === null ? null : state.completedAt - state.startedAt;
  const took = ms === null ? null : Math.floor(ms / 1000);
  return {
    run_id: state.runId,
    status: state.status,
    workflow_name: state.workflowName,
    started_at: naive(state.startedAt),
    completed_at: moment(state.completedAt),
    execution_time: took,
    total_tokens: input + output,
    total_cost: done && state.costUsd > 0 ? state.costUsd : null,
    turns: done ? state.turn : null,
    tool_calls: done && state.toolsUsed.length > 0 ? state.toolsUsed.length : null,
    result: (done ? state.result : null) ?? `Processing: ${state.message.slice(0, 100)}`,
    input_tokens: input,
    output_tokens: output,
    ai_model: "sonnet",
    session_name: state.sessionName,
    git_repo: state.repositoryUrl,
    git_branch: state.gitBranch,
    git_diff_summary: "No changes",
    tools_used: done ? state.toolsUsed : [],
    workspace_path: state.workspacePath,
    workspace_persistent: state.workspacePersistent,
    workspace_cleaned_up: state.cleanedUp,
    error_message: state.error,
    final_commit_hash: null,
    execution_time_seconds: took,
  };
}
