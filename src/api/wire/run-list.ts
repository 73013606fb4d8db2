import * as z from "zod";
import { cleanLine, cleanText } from "../../shared/text.js";
import { isFinal, type Run } from "../types.js";
import {
  address,
  anyId,
  compact,
  count,
  flag,
  id,
  line,
  lines,
  number,
  parseTime,
  record,
  text,
  texts,
} from "./fields.js";
import { ACTION_CHARS, costOf, EMPTY_RESULT, toGoesOn, tokensOf, toSlotWait } from "./run.js";
import { reasonIn, toStatus } from "./run-status.js";

export const runListWire = z.looseObject({ runs: z.array(z.unknown()) });
const runItemWire = z.looseObject({
  run_id: anyId,
  status: z.string().min(1),
  workflow_name: text,
  session_id: id,
  claude_session_id: id,
  session_name: text,
  started_at: text,
  completed_at: text,
  execution_time_seconds: number,
  execution_time: number,
  total_tokens: number,
  input_tokens: number,
  output_tokens: number,
  total_cost: number,
  cost_at_least: flag,
  insertions: number,
  deletions: number,
  merged_into: text,
  turns: number,
  current_turn: number,
  max_turns: number,
  expected_turns: number,
  current_action: text,
  waits_for_slot: record,
  waiting_for: text,
  agent: text,
  ai_model: text,
  tools_used: texts,
  result: text,
  error_message: text,
  error_code: text,
  started: flag,
  to_be_resumed: flag,
  resumed_by: text,
  git_repo: text,
  repository_url: text,
  git_branch: text,
  workspace_path: text,
});

/** The second of them says how the run's message begins; the rest is cut off, marked or not. */
const MESSAGE_START = /^Processing: (.*?)(?:\.{3}|\u2026)?$/s;

/** One entry of `GET /runs`; undefined when it has no id or no status. */
export function listItemToRun(value: unknown): Run | undefined {
  const parsed = runItemWire.safeParse(value);
  if (!parsed.success) return undefined;
  const wire = parsed.data;
  const status = toStatus(wire.status);
  const final = isFinal(status);
  return compact<Run>({
    runId: cleanLine(wire.run_id, 200),
    workflowName: line(wire.workflow_name) ?? "",
    status,
    sessionId: line(wire.claude_session_id) ?? line(wire.session_id),
    sessionName: line(wire.session_name),
    messageStart: line(MESSAGE_START.exec(wire.result ?? "")?.[1]?.slice(0, 200)),
    turn: count(wire.current_turn) ?? count(wire.turns),
    maxTurns: count(wire.max_turns) || undefined,
    expectedTurns: count(wire.expected_turns) || undefined,
    currentAction: final ? undefined : line(wire.current_action, ACTION_CHARS),
    waitsForSlot: final ? undefined : toSlotWait(wire.waits_for_slot),
    waitsForAnswer: !final && wire.waiting_for ? true : undefined,
    agent: line(wire.agent, 50),
    model: line(wire.ai_model, 100),
    startedAt: parseTime(wire.started_at),
    completedAt: parseTime(wire.completed_at),
    durationS: count(wire.execution_time_seconds) ?? count(wire.execution_time),
    ...costOf(wire.total_cost, wire.cost_at_least),
    insertions: count(wire.insertions),
    deletions: count(wire.deletions),
    mergedInto: line(wire.merged_into, 250),
    tokens: tokensOf(wire.total_tokens, wire.input_tokens, wire.output_tokens),
    toolsUsed: lines(wire.tools_used),
    result: final && wire.result && !EMPTY_RESULT.test(wire.result) ? cleanText(wire.result) : undefined,
    error: line(wire.error_message, 2000) ?? reasonIn(wire.status),
    errorCode: line(wire.error_code, 60),
    neverStarted: status === "failed" && wire.started === false ? true : undefined,
    goesOn: toGoesOn(wire.to_be_resumed, wire.resumed_by),
    repositoryUrl: address(wire.repository_url) ?? address(wire.git_repo),
    gitBranch: line(wire.git_branch),
    workspacePath: line(wire.workspace_path, 500),
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  });
}
