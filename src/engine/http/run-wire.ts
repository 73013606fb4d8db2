import type { Whose } from "../../shared/whose.js";
import { USUAL_AGENT } from "../agent/agent-name.js";
import { costsMore } from "../runs/costs.js";
import { type EngineRun, hasEnded, openQuestions, type RunQuestion, type RunStatus } from "../runs/run.js";
import type { EngineRefusal, EngineSlots, QueueStats } from "../types.js";
import { type SlotWait, tellWait } from "../work/slot-wait.js";
import type { answererSchema, questionSchema, rowSchema, slotsSchema, statusSchema } from "./run-schemas.js";
import type * as z from "./schemas.js";
import type { pullRequestSchema, workSchema } from "./work-schemas.js";

/** A moment as the contract writes it: UTC, marked so. */
export function toMoment(ms: number): string {
  return new Date(ms).toISOString();
}

function toMomentOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : toMoment(ms);
}

type ContractStatus = z.input<typeof statusSchema>["status"];

/** The contract's word: it has none of its own for a run that waits for a person, nor for one that was interrupted. */
export function toContractStatus(status: RunStatus): ContractStatus {
  if (status === "waiting") return "running";
  return status === "interrupted" ? "failed" : status;
}

/** Why a run has failed, in one word; `interrupted`: the engine went away, and the session can be continued. */
function errorCodeOf(run: EngineRun): { error_code?: string } {
  if (run.status === "interrupted") return { error_code: "interrupted" };
  return run.errorCode === undefined ? {} : { error_code: run.errorCode };
}

function resumeOf({ toResume, resumedBy, resumes }: EngineRun) {
  return {
    ...(toResume ? { to_be_resumed: true as const } : {}),
    ...(resumedBy === undefined ? {} : { resumed_by: resumedBy }),
    ...(resumes === undefined ? {} : { resumes }),
  };
}

/** When the run began, or was asked for while it has not; epoch ms. */
export function startOf(run: EngineRun): number {
  return run.startedAt ?? run.createdAt;
}

/**
 * Seconds at work, up to `now` (epoch ms) while it goes on; null before it has begun. Never less than none, however
 * the clock was set meanwhile.
 */
export function secondsOf(run: EngineRun, now: number): number | null {
  if (run.startedAt === undefined) return run.endedAt === undefined ? null : 0;
  return Math.max(0, (run.endedAt ?? now) - run.startedAt) / 1000;
}

/** The kind of its agent, where it is not the usual one. */
function otherAgentOf({ request }: EngineRun): { agent?: string } {
  return request.agent === undefined || request.agent === USUAL_AGENT ? {} : { agent: request.agent };
}

function modelOf(run: EngineRun): string | null {
  return run.model ?? run.request.model ?? null;
}

/** Whoever started the run may have put a password into the address. */
function withoutPassword(address: string | undefined): string | null {
  return (
    address?.replace(/^((?:https?|git):\/\/)[^/?#]*@|^(ssh:\/\/[^/?#:@]*):[^/?#]*(?=@)/i, "$1$2") ?? null
  );
}

/** A question with its answer, when it has one. */
export function toQuestion(question: RunQuestion): z.input<typeof questionSchema> {
  return {
    question_id: question.questionId,
    kind: question.kind,
    text: question.text,
    ...(question.toolName === undefined ? {} : { tool_name: question.toolName }),
    ...(question.detail === undefined ? {} : { detail: question.detail }),
    ...(question.cut ? { detail_cut: true } : {}),
    choices: [...question.choices],
    multi_select: question.multiSelect,
    asked_at: toMoment(question.askedAt),
    ...(question.answeredAt === undefined ? {} : { answered_at: toMoment(question.answeredAt) }),
    ...(question.answer === undefined ? {} : { answer: question.answer }),
    ...(question.answeredBy === undefined ? {} : { answered_by: question.answeredBy }),
    ...(question.whose ? { answerer: toAnswerer(question.whose) } : {}),
  };
}

export function toAnswerer({ by, via }: Whose): z.input<typeof answererSchema> {
  return { ...(by === undefined ? {} : { name: by }), ...(via === undefined ? {} : { place: via }) };
}

const MOST_ANSWERED = 5;

/** The last questions that a person has answered, without what they were answered by. */
function answeredOf({ questions }: EngineRun): z.input<typeof statusSchema>["answered_questions"] {
  const answered = questions.filter(({ answeredBy }) => answeredBy === "person");
  answered.sort((a, b) => (a.answeredAt ?? 0) - (b.answeredAt ?? 0));
  return answered.slice(-MOST_ANSWERED).map((question) => {
    const { detail: _detail, detail_cut: _cut, choices: _choices, ...told } = toQuestion(question);
    return told;
  });
}

function outcomeOf(run: EngineRun): z.input<typeof statusSchema>["result"] {
  if (!hasEnded(run)) return null;
  return {
    success: run.status === "completed",
    completion_type: toContractStatus(run.status),
    message: run.result ?? run.error ?? `Workflow ${toContractStatus(run.status)}`,
    final_output: run.result ?? null,
    files_created: [],
    files_changed: [...run.filesChanged],
    git_commits: [...run.commits],
  };
}

/** What a session's branch has beyond its base; null when that is nothing, or not known. */
export function toWork(run: EngineRun): z.input<typeof workSchema> | null {
  const { work } = run;
  if (!work) return null;
  return {
    branch: work.branch,
    base_branch: work.baseBranch ?? null,
    base_commit: work.baseCommit ?? null,
    head_commit: work.headCommit ?? null,
    commits: work.commits.map(({ id, title }) => ({ id, title })),
    commit_count: work.commitCount,
    files: work.files,
    insertions: work.insertions,
    deletions: work.deletions,
    delivered_to: work.deliveredTo,
    where: work.where,
    merged_into: work.mergedInto ?? null,
    problem: work.problem ?? null,
    uncommitted: work.uncommitted === true,
    own: work.own ? { ...work.own } : null,
    worktree: run.workspaceRemoved ? null : (run.workspacePath ?? null),
  };
}

/** The pull request of its session's branch; null where there is none. */
export function toPullRequest({ pullRequest }: EngineRun): z.input<typeof pullRequestSchema> | null {
  if (!pullRequest) return null;
  const { state, url, number, branch, base, commit, isDraft, problem } = pullRequest;
  return {
    state,
    url: url ?? null,
    number: number ?? null,
    branch: branch ?? null,
    base: base ?? null,
    commit: commit ?? null,
    draft: isDraft ?? null,
    problem: problem ?? null,
  };
}

const nameOf = ({ sessionName }: EngineRun) => sessionName;

/** How a run waits for a free slot; null for one that does not. */
function toSlotWait(wait: SlotWait | undefined): z.input<typeof statusSchema>["waits_for_slot"] {
  if (!wait) return null;
  return {
    position: wait.position,
    slots: wait.slots,
    busy: wait.busy.map(nameOf),
    answered: wait.answered,
    after_run: wait.after?.runId ?? null,
    asking: wait.asking?.map(nameOf) ?? [],
    estimate_seconds: wait.estimateS === undefined ? null : Math.round(wait.estimateS),
  };
}

/** A run as one that takes a slot. */
export function toSlotRun(run: EngineRun): z.input<typeof slotsSchema>["busy"][number] {
  return {
    run_id: run.runId,
    session_name: run.sessionName,
    workflow_name: run.request.workflowName,
    status: toContractStatus(run.status),
    turns: run.turn,
    expected_turns: run.expectedTurns ?? null,
  };
}

/** The engine's slots, for whoever wants to know why a run does not begin. */
export function toSlots({ slots, busy, asking, waiting }: EngineSlots): z.input<typeof slotsSchema> {
  const [atWork, idle, next] = [busy, asking, waiting].map((runs) => runs.map(toSlotRun));
  return { slots, busy: atWork ?? [], asking: idle ?? [], waiting: next ?? [] };
}

/**
 * The contract's status answer: live turns, the current action, a session that can be resumed, open questions.
 * @param wait how it waits for a free slot
 */
export function toStatus(
  run: EngineRun,
  now: number,
  debug: boolean,
  wait?: SlotWait,
): z.input<typeof statusSchema> {
  const ended = hasEnded(run);
  const maxTurns = run.request.maxTurns ?? null;
  const questions = openQuestions(run);
  const phases = [...run.phasesCompleted];
  const status = toContractStatus(run.status);
  return {
    run_id: run.runId,
    status,
    workflow_name: run.request.workflowName,
    session_id: run.sessionId,
    session_name: run.sessionName,
    user_id: run.request.userId ?? null,
    user_name: run.request.userName ?? null,
    claude_session_id: run.sessionId,
    repository_url: withoutPassword(run.request.repositoryUrl),
    git_branch: run.request.gitBranch ?? null,
    ...otherAgentOf(run),
    model: modelOf(run),
    current_turn: run.turn,
    max_turns: maxTurns,
    expected_turns: run.expectedTurns ?? null,
    current_action: actionOf(run, wait),
    waits_for_slot: toSlotWait(wait),
    phases_completed: phases,
    waiting_for: questions.length > 0 ? "question" : null,
    questions: questions.map(toQuestion),
    answered_questions: answeredOf(run),
    started_at: toMoment(startOf(run)),
    completed_at: toMomentOrNull(run.endedAt),
    execution_time_seconds: secondsOf(run, now),
    progress: {
      turns: run.turn,
      max_turns: maxTurns,
      current_phase: ended ? status : "running",
      phases_completed: phases,
      is_running: !ended,
    },
    metrics: {
      cost_usd: run.costUsd,
      ...(ended ? { cost_at_least: costsMore(run) } : {}),
      tokens: {
        total: run.tokens.input + run.tokens.output,
        input: run.tokens.input,
        output: run.tokens.output,
      },
      tools_used: [...run.toolsUsed],
    },
    result: outcomeOf(run),
    error_message: run.error ?? null,
    ...errorCodeOf(run),
    ...(run.neverStarted ? { started: false } : {}),
    ...resumeOf(run),
    workspace_path: run.workspacePath ?? null,
    own_workspace: run.ownWorkspace ?? null,
    work: toWork(run),
    pull_request: toPullRequest(run),
    ...(debug
      ? {
          debug: {
            workflow_run_id: run.runId,
            metadata: {
              current_turns: run.turn,
              max_turns: maxTurns,
              claude_session_id: run.sessionId,
              last_activity: toMomentOrNull(run.lastActivityAt),
            },
          },
        }
      : {}),
  };
}

/** What it does now; a run that waits for a slot does nothing else. */
function actionOf(run: EngineRun, wait: SlotWait | undefined): string | null {
  if (hasEnded(run)) return null;
  return wait ? tellWait(wait) : (run.currentAction ?? null);
}

/** One run in the contract's list. @param wait how it waits for a free slot */
export function toRow(run: EngineRun, wait?: SlotWait): z.input<typeof rowSchema> {
  const took = run.endedAt === undefined ? null : secondsOf(run, run.endedAt);
  const changed = run.filesChanged.length;
  return {
    run_id: run.runId,
    status: toContractStatus(run.status),
    workflow_name: run.request.workflowName,
    session_id: run.sessionId,
    session_name: run.sessionName,
    user_id: run.request.userId ?? null,
    user_name: run.request.userName ?? null,
    turns: run.turn,
    max_turns: run.request.maxTurns ?? null,
    expected_turns: run.expectedTurns ?? null,
    current_action: actionOf(run, wait),
    waits_for_slot: toSlotWait(wait),
    waiting_for: openQuestions(run).length > 0 ? "question" : null,
    started_at: toMoment(startOf(run)),
    completed_at: toMomentOrNull(run.endedAt),
    execution_time: took,
    execution_time_seconds: took,
    total_cost: run.costUsd,
    ...(hasEnded(run) ? { cost_at_least: costsMore(run) } : {}),
    total_tokens: run.tokens.input + run.tokens.output,
    input_tokens: run.tokens.input,
    output_tokens: run.tokens.output,
    tool_calls: run.toolsUsed.length,
    tools_used: [...run.toolsUsed],
    result: run.result ?? `Processing: ${run.request.message.slice(0, 100)}`,
    ...otherAgentOf(run),
    ai_model: modelOf(run),
    git_repo: withoutPassword(run.request.repositoryUrl),
    git_branch: run.request.gitBranch ?? null,
    git_diff_summary: changed === 0 ? "No changes" : `${changed} file${changed === 1 ? "" : "s"} changed`,
    final_commit_hash: run.commits.at(-1)?.split(" ")[0] ?? null,
    workspace_path: run.workspacePath ?? null,
    workspace_persistent: run.request.persistent,
    workspace_cleaned_up: run.workspaceRemoved,
    error_message: run.error ?? null,
    ...(run.work ? { insertions: run.work.insertions, deletions: run.work.deletions } : {}),
    ...(run.workGone ? { insertions: 0, deletions: 0 } : {}),
    ...(run.work?.mergedInto ? { merged_into: run.work.mergedInto } : {}),
    ...errorCodeOf(run),
    ...(run.neverStarted ? { started: false } : {}),
    ...resumeOf(run),
  };
}

/** The counters of a run's queue. */
export function toQueueStats(runId: string, stats: QueueStats) {
  return {
    run_id: runId,
    current_size: stats.waiting,
    total_added: stats.added,
    total_consumed: stats.consumed,
    oldest_message_age: stats.oldestAgeS ?? null,
  };
}

/**
 * What the engine's refusal looks like. Whoever gets a 503 cannot tell it from a proxy's, which says nothing of what
 * became of the request; so the engine states that it has started nothing, unless it does not know that itself.
 */
export function toRefusalBody({ status, message, errorCode, isUncertain }: EngineRefusal) {
  if (errorCode) return { detail: message, started: false, error_code: errorCode };
  return status === 503 && !isUncertain ? { detail: message, started: false } : { detail: message };
}
