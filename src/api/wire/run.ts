import * as z from "zod";
import { cleanLine, cleanText } from "../../shared/text.js";
import { isFinal, type Run, type SlotWait, type TokenCounts } from "../types.js";
import {
  address,
  anyId,
  compact,
  count,
  flag,
  id,
  idOf,
  line,
  lines,
  number,
  parseTime,
  record,
  text,
  texts,
  told,
} from "./fields.js";
import { MOST_QUESTIONS, toAnswered, toQuestion } from "./question.js";
import { reasonIn, toStatus } from "./run-status.js";
import { toPullRequest, toWork } from "./work.js";

export const startWire = z.looseObject({
  run_id: anyId,
  status: z.string().min(1),
  message: text,
  session_id: id,
  workflow_name: text,
  started_at: text,
  note: text,
});

export const statusWire = z.looseObject({
  run_id: id,
  status: z.string().min(1),
  workflow_name: text,
  session_id: id,
  claude_session_id: id,
  session_name: text,
  repository_url: text,
  git_branch: text,
  current_turn: number,
  max_turns: number,
  expected_turns: number,
  current_action: text,
  agent: text,
  model: text,
  waits_for_slot: record,
  phases_completed: texts,
  started_at: text,
  completed_at: text,
  execution_time_seconds: number,
  error_message: text,
  error_code: text,
  started: flag,
  to_be_resumed: flag,
  resumed_by: text,
  workspace_path: text,
  work: record,
  pull_request: record,
  own_workspace: flag,
  request_message: text,
  questions: texts,
  answered_questions: texts,
  progress: record,
  metrics: record,
  result: told(z.union([z.string(), z.record(z.string(), z.unknown())])),
  debug: record,
});

/** The run as the answer to its start tells it. Its session id is only claimed: see {@link Run.sessionClaimed}. */
export function startToRun(wire: z.output<typeof startWire>, workflowName: string): Run {
  const told = toStatus(wire.status);
  const failed = told === "failed";
  return compact<Run>({
    runId: cleanLine(wire.run_id, 200),
    workflowName: line(wire.workflow_name) ?? workflowName,
    // "success" and the like speak of the start: no run is over before it is looked at.
    status: told === "completed" ? "pending" : told,
    sessionId: line(wire.session_id, 200),
    sessionClaimed: wire.session_id ? true : undefined,
    startedAt: parseTime(wire.started_at),
    startNote: line(wire.note, 600),
    error: failed
      ? (line(wire.message, 2000) ?? reasonIn(wire.status) ?? "the API gave no reason")
      : undefined,
    toolsUsed: [],
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  });
}

/** The tokens of a run, by their sum or their parts; undefined when none are told. */
export function tokensOf(total: unknown, input: unknown, output: unknown): TokenCounts | undefined {
  const sum = count(total) ?? (count(input) ?? 0) + (count(output) ?? 0);
  return sum > 0
    ? compact<TokenCounts>({ total: sum, input: count(input), output: count(output) })
    : undefined;
}

/** What a run has cost. Servers write 0 for what they do not know, unless they say that nothing is left out. */
export function costOf(usd: unknown, atLeast: unknown): Pick<Run, "costUsd" | "costAtLeast"> {
  const costUsd = count(usd) || (atLeast === false && count(usd) === 0 ? 0 : undefined);
  return {
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(atLeast === true ? { costAtLeast: true } : {}),
  };
}

/** An action names what waits, and for whom. */
export const ACTION_CHARS = 300;

/** How an interrupted run goes on by itself; undefined for one that does not. */
export function toGoesOn(toBeResumed: unknown, resumedBy: string | null | undefined): Run["goesOn"] {
  const runId = line(resumedBy, 200);
  if (runId === undefined) return toBeResumed === true ? {} : undefined;
  return { runId };
}

/** How a run waits for a free slot; undefined for one that does not. */
export function toSlotWait(wire: Record<string, unknown> | null | undefined): SlotWait | undefined {
  if (!wire) return undefined;
  return compact<SlotWait>({
    position: count(wire.position),
    answered: wire.answered === true ? true : undefined,
    estimateS: count(wire.estimate_seconds),
  });
}

/** Texts with which the public server fills a result that is not there. */
export const EMPTY_RESULT = /^Workflow \w+$|^Processing: /;

/**
 * The run as `GET /run/{id}/status?debug=true` tells it. Turn, limit and session id are looked for where the
 * contract puts them first and where the public server hides them next.
 */
export function statusToRun(runId: string, wire: z.output<typeof statusWire>): Run {
  const { progress, metrics } = wire;
  const debug = wire.debug ?? {};
  const metadata = (debug.metadata ?? {}) as Record<string, unknown>;
  const info = (debug.session_info ?? {}) as Record<string, unknown>;
  const tokens = (metrics?.tokens ?? {}) as Record<string, unknown>;
  const result = typeof wire.result === "string" ? { final_output: wire.result } : (wire.result ?? {});
  const status = toStatus(wire.status);
  const final = isFinal(status);
  const maxTurns =
    count(wire.max_turns) || count(progress?.max_turns) || count(metadata.max_turns) || undefined;
  const turn = count(wire.current_turn) ?? count(metadata.current_turns) ?? count(progress?.turns);
  const sessionId =
    line(wire.claude_session_id) ??
    line(wire.session_id) ??
    idOf(info.claude_session_id) ??
    idOf(info.session_id) ??
    idOf(metadata.claude_session_id);
  const message =
    typeof result.message === "string" && !EMPTY_RESULT.test(result.message) ? result.message : "";
  const output = typeof result.final_output === "string" ? result.final_output : message;
  const phase = line(progress?.current_phase);
  const work = toWork(wire.work);
  return compact<Run>({
    runId: line(wire.run_id, 200) ?? runId,
    workflowName: line(wire.workflow_name) ?? "",
    status,
    sessionId,
    // A server that answers in this form shows a session only here: what its start answer said is worth nothing.
    sessionHidden: sessionId === undefined && "workflow_run_id" in debug ? true : undefined,
    sessionName: line(wire.session_name),
    // The public server counts assistant messages, which may be more than the turns it allows.
    turn: turn !== undefined && maxTurns ? Math.min(turn, maxTurns) : turn,
    maxTurns,
    agent: line(wire.agent, 50),
    model: line(wire.model, 100),
    expectedTurns: count(wire.expected_turns) || undefined,
    currentAction: final ? undefined : line(wire.current_action, ACTION_CHARS),
    waitsForSlot: final ? undefined : toSlotWait(wire.waits_for_slot),
    startedAt: parseTime(wire.started_at),
    completedAt: parseTime(wire.completed_at),
    durationS: count(wire.execution_time_seconds),
    ...costOf(metrics?.cost_usd, metrics?.cost_at_least),
    tokens: tokensOf(tokens.total, tokens.input, tokens.output),
    toolsUsed: lines(metrics?.tools_used),
    result: final && output.trim() ? cleanText(output) : undefined,
    error: line(wire.error_message, 2000) ?? reasonIn(wire.status),
    errorCode: line(wire.error_code, 60),
    neverStarted: status === "failed" && wire.started === false ? true : undefined,
    goesOn: toGoesOn(wire.to_be_resumed, wire.resumed_by),
    repositoryUrl: address(wire.repository_url),
    gitBranch: line(wire.git_branch),
    lastActivityAt: parseTime(metadata.last_activity),
    // The public server's phase only repeats whether the run is over.
    workspacePath: line(wire.workspace_path, 500),
    work,
    pullRequest: toPullRequest(wire.pull_request),
    ownWorkspace: wire.own_workspace ?? undefined,
    insertions: work?.insertions,
    deletions: work?.deletions,
    mergedInto: work?.mergedInto,
    hasNoWork: wire.work === null ? true : undefined,
    message: wire.request_message ? cleanText(wire.request_message) : undefined,
    questions: wire.questions
      ?.slice(0, MOST_QUESTIONS)
      .map(toQuestion)
      .filter((one) => one !== undefined),
    answered: wire.answered_questions
      ?.slice(-MOST_QUESTIONS)
      .map(toAnswered)
      .filter((one) => one !== undefined),
    currentPhase: phase === "running" || phase === "completed" ? undefined : phase,
    phasesCompleted: lines(wire.phases_completed ?? progress?.phases_completed),
    filesChanged: lines(result.files_changed),
    commits: lines(result.git_commits),
  });
}
