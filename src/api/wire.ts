import { z } from "zod";
import { cleanLine, cleanText } from "../shared/text.js";
import { showEnds, showUnseen } from "../shared/visible-text.js";
import {
  type CleanupReport,
  isFinal,
  type KillReport,
  type QueueCounters,
  type Run,
  type RunQuestion,
  type TokenCounts,
  type Workflow,
} from "./types.js";

/**
 * The wire's shapes, read generously: only what makes an answer usable is required; any other field that is
 * missing, null or of another type counts as not told, and unknown fields are ignored.
 */
const told = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);
const text = told(z.string());
/** Some servers number things. A number that is no longer exact would name something else. */
export const anyId = z.union([z.string().min(1), z.int().transform(String)]);
const id = told(anyId);
const number = told(z.number());
const flag = told(z.boolean());
const texts = told(z.array(z.unknown()));
const open = told(z.record(z.string(), z.unknown()));

const workflowWire = z.union([
  z.string().transform((name) => ({ name })),
  z.looseObject({
    name: z.string().min(1),
    description: text,
    displayName: text,
    display_name: text,
    category: text,
    emoji: text,
    capabilities: texts,
    maxTurns: number,
    suggestedTurns: number,
  }),
]);
/** An entry of `GET /manage` that only says why there is no such workflow to be used. */
const brokenWire = z.looseObject({ valid: z.literal(false), description: z.string().min(1) });

/** Why the entry's workflow cannot be used; undefined when it can. */
export function readProblem(entry: unknown): string | undefined {
  const parsed = brokenWire.safeParse(entry);
  return parsed.success ? cleanLine(parsed.data.description, 300) : undefined;
}

/** `GET /manage`, and `GET /workflows` of older servers, bare or wrapped. */
export const workflowListWire = z.union([
  z.array(z.unknown()),
  z.looseObject({ workflows: z.array(z.unknown()) }).transform((body) => body.workflows),
]);
/** `GET /health`: names with a flag each. */
export const healthWire = z.looseObject({ workflows: z.record(z.string(), z.unknown()) });

export const startWire = z.looseObject({
  run_id: anyId,
  status: z.string().min(1),
  message: text,
  session_id: id,
  workflow_name: text,
  started_at: text,
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
  current_action: text,
  phases_completed: texts,
  started_at: text,
  completed_at: text,
  execution_time_seconds: number,
  error_message: text,
  error_code: text,
  started: flag,
  workspace_path: text,
  questions: texts,
  progress: open,
  metrics: open,
  result: told(z.union([z.string(), z.record(z.string(), z.unknown())])),
  debug: open,
});

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
  turns: number,
  current_turn: number,
  max_turns: number,
  current_action: text,
  waiting_for: text,
  tools_used: texts,
  result: text,
  error_message: text,
  error_code: text,
  started: flag,
  git_repo: text,
  repository_url: text,
  git_branch: text,
  workspace_path: text,
});

const queueStats = z.looseObject({
  current_size: number,
  total_added: number,
  total_consumed: number,
  oldest_message_age: number,
});
export const queueWire = z.looseObject({ queue_size: number, queue_stats: told(queueStats) });

export const killWire = z.looseObject({
  success: flag,
  kill_method: text,
  message: text,
  cleanup_status: open,
});
export const cleanupWire = z.looseObject({ success: flag, message: text, cleanup_details: open });

/** Drops what is undefined or null, so that "not told" is one thing only. */
function compact<T extends object>(
  object: {
    [K in keyof T]: T[K] | null | undefined;
  },
): T {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined && value !== null),
  ) as T;
}

/** Times without an offset are UTC: that is how the public server writes them. */
function parseTime(value: unknown): number | undefined {
  if (typeof value !== "string" || !value) return undefined;
  const zoned = /(?:z|[+-]\d\d:?\d\d)$/i.test(value) ? value : `${value}Z`;
  const time = Date.parse(zoned.replace(" ", "T"));
  return Number.isNaN(time) ? undefined : time;
}

const line = (value: unknown, limit?: number) =>
  typeof value === "string" && value.trim() ? cleanLine(value, limit) : undefined;
const idOf = (value: unknown) => line(Number.isSafeInteger(value) ? String(value) : value);
/** Whoever started the run may have put a password in; it is shown and written down nowhere. */
const address = (value: unknown) =>
  line(value, 2048)?.replace(/^((?:https?|git):\/\/)[^/?#]*@|^(ssh:\/\/[^/?#:@]*):[^/?#]*(?=@)/i, "$1$2");
const lines = (value: unknown) =>
  (Array.isArray(value) ? value : [])
    .slice(0, 500)
    .map((item) => line(item))
    .filter((item) => item !== undefined);
const count = (value: unknown) =>
  typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;

/** @returns undefined for an entry that has no name */
export function toWorkflow(value: unknown): Workflow | undefined {
  const parsed = workflowWire.safeParse(value);
  if (!parsed.success) return undefined;
  const wire: z.output<typeof workflowWire> & Record<string, unknown> = parsed.data;
  if (!wire.name.trim()) return undefined;
  return compact<Workflow>({
    name: cleanLine(wire.name, 100),
    description: line(wire.description, 500) ?? "",
    displayName: line(wire.displayName) ?? line(wire.display_name),
    category: line(wire.category),
    emoji: line(wire.emoji, 16),
    suggestedTurns: count(wire.suggestedTurns) || undefined,
    maxTurns: count(wire.maxTurns) || undefined,
    capabilities: lines(wire.capabilities),
  });
}

/** Other words of servers for the statuses that matter, in small letters with underscores. */
const STATUS_WORDS: Record<string, readonly string[]> = {
  running: ["in_progress"],
  completed: ["complete", "succeeded", "success", "successful", "done", "finished"],
  failed: ["failure", "error", "errored", "crashed", "timed_out", "timedout", "timeout", "expired"],
  killed: ["cancelled", "canceled", "aborted", "stopped", "terminated", "interrupted"],
};
const STATUSES = new Map(
  Object.entries({ pending: [], ...STATUS_WORDS }).flatMap(([status, words]) =>
    [status, ...words].map((word) => [word, status] as const),
  ),
);

/** A run's status in our words; one that is not known stays as it is, and no run ends by it. */
function toStatus(told: string): string {
  const word = cleanLine(told, 60);
  return STATUSES.get(word.toLowerCase().replace(/[\s-]+/g, "_")) ?? word;
}

/** How a run has failed, where only its status says it. */
function reasonIn(told: string): string | undefined {
  const word = cleanLine(told, 60);
  return toStatus(told) === "failed" && !/^(?:fail|error)/i.test(word)
    ? `its status is "${word}"`
    : undefined;
}

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
    error: failed
      ? (line(wire.message, 2000) ?? reasonIn(wire.status) ?? "the API gave no reason")
      : undefined,
    toolsUsed: [],
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  });
}

function tokensOf(total: unknown, input: unknown, output: unknown): TokenCounts | undefined {
  const sum = count(total) ?? (count(input) ?? 0) + (count(output) ?? 0);
  return sum > 0
    ? compact<TokenCounts>({ total: sum, input: count(input), output: count(output) })
    : undefined;
}

/** Texts with which the public server fills a result that is not there. */
const EMPTY_RESULT = /^Workflow \w+$|^Processing: /;
/** The second of them says how the run's message begins; the rest is cut off, marked or not. */
const MESSAGE_START = /^Processing: (.*?)(?:\.{3}|\u2026)?$/s;

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
    currentAction: final ? undefined : line(wire.current_action, 200),
    startedAt: parseTime(wire.started_at),
    completedAt: parseTime(wire.completed_at),
    durationS: count(wire.execution_time_seconds),
    costUsd: count(metrics?.cost_usd) || undefined,
    tokens: tokensOf(tokens.total, tokens.input, tokens.output),
    toolsUsed: lines(metrics?.tools_used),
    result: final && output.trim() ? cleanText(output) : undefined,
    error: line(wire.error_message, 2000) ?? reasonIn(wire.status),
    errorCode: line(wire.error_code, 60),
    neverStarted: status === "failed" && wire.started === false ? true : undefined,
    repositoryUrl: address(wire.repository_url),
    gitBranch: line(wire.git_branch),
    lastActivityAt: parseTime(metadata.last_activity),
    // The public server's phase only repeats whether the run is over.
    workspacePath: line(wire.workspace_path, 500),
    questions: wire.questions
      ?.slice(0, MOST_QUESTIONS)
      .map(toQuestion)
      .filter((one) => one !== undefined),
    currentPhase: phase === "running" || phase === "completed" ? undefined : phase,
    phasesCompleted: lines(wire.phases_completed ?? progress?.phases_completed),
    filesChanged: lines(result.files_changed),
    commits: lines(result.git_commits),
  });
}

const questionWire = z.looseObject({
  question_id: anyId,
  kind: text,
  text: z.string(),
  tool_name: text,
  detail: text,
  detail_cut: flag,
  choices: texts,
  multi_select: flag,
  asked_at: text,
  answered_at: told(z.unknown()),
});
/** What a person reads through in a form; the engine's own limit of a request and what it says of it fit in. */
const DETAIL_CHARS = 9_500;
const TEXT_CHARS = 1_000;
const CUT =
  "It is too long to be shown in full here, so it cannot be allowed here, only denied. It can be looked at and " +
  "answered at the workflows API itself.";
/** An agent waits after each question, so there are few at a time; a person does not read through more choices. */
const MOST_QUESTIONS = 10;
const MOST_CHOICES = 20;
const choiceWire = z.looseObject({ value: z.string(), title: text, description: text });

const DENY = { value: "deny", title: "Deny" };

/** What is asked in full, with everything in it visible; `cut` when that is too long. */
function readDetail(wire: z.output<typeof questionWire>): { detail: string | undefined; cut: boolean } {
  const { text, cut } = showEnds(showUnseen(wire.detail ?? ""), DETAIL_CHARS);
  const isCutHere = cut || showUnseen(wire.text).length > TEXT_CHARS;
  return {
    detail: [text, isCutHere && wire.kind === "permission" && CUT].filter(Boolean).join("\n\n") || undefined,
    cut: isCutHere || wire.detail_cut === true,
  };
}

/** @returns undefined for what is no question or is answered already */
function toQuestion(value: unknown): RunQuestion | undefined {
  const parsed = questionWire.safeParse(value);
  if (!parsed.success || parsed.data.answered_at) return undefined;
  const wire = parsed.data;
  const kind = wire.kind === "permission" ? "permission" : "question";
  const told = readDetail(wire);
  // What nobody can see the whole of, nobody can allow.
  const cut = kind === "permission" && told.cut;
  return compact<RunQuestion>({
    questionId: cleanLine(wire.question_id, 200),
    kind,
    text: cleanLine(showUnseen(wire.text), TEXT_CHARS),
    toolName: line(wire.tool_name),
    detail: told.detail,
    cut: cut ? true : undefined,
    askedAt: parseTime(wire.asked_at),
    choices: cut
      ? [DENY]
      : (wire.choices ?? []).slice(0, MOST_CHOICES).flatMap((one) => {
          const choice = choiceWire.safeParse(one);
          if (!choice.success) return [];
          const { value, title, description } = choice.data;
          const shown = cleanLine(value, 200);
          return [
            compact<RunQuestion["choices"][number]>({
              value: shown,
              sent: shown === value ? undefined : value,
              title: line(title, 200) ?? shown,
              description: line(description),
            }),
          ];
        }),
    multiSelect: wire.multi_select === true,
  });
}

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
    currentAction: final ? undefined : line(wire.current_action, 200),
    waitsForAnswer: !final && wire.waiting_for ? true : undefined,
    startedAt: parseTime(wire.started_at),
    completedAt: parseTime(wire.completed_at),
    durationS: count(wire.execution_time_seconds) ?? count(wire.execution_time),
    costUsd: count(wire.total_cost) || undefined,
    tokens: tokensOf(wire.total_tokens, wire.input_tokens, wire.output_tokens),
    toolsUsed: lines(wire.tools_used),
    result: final && wire.result && !EMPTY_RESULT.test(wire.result) ? cleanText(wire.result) : undefined,
    error: line(wire.error_message, 2000) ?? reasonIn(wire.status),
    errorCode: line(wire.error_code, 60),
    neverStarted: status === "failed" && wire.started === false ? true : undefined,
    repositoryUrl: address(wire.repository_url) ?? address(wire.git_repo),
    gitBranch: line(wire.git_branch),
    workspacePath: line(wire.workspace_path, 500),
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  });
}

export function toQueueCounters(runId: string, wire: z.output<typeof queueWire>): QueueCounters {
  const stats = wire.queue_stats;
  const waiting = count(stats?.current_size) ?? count(wire.queue_size) ?? 0;
  const consumed = count(stats?.total_consumed) ?? 0;
  return compact<QueueCounters>({
    runId,
    waiting,
    consumed,
    added: count(stats?.total_added) ?? waiting + consumed,
    oldestAgeS: count(stats?.oldest_message_age),
  });
}

export function toKillReport(runId: string, wire: z.output<typeof killWire>): KillReport {
  return compact<KillReport>({
    runId,
    success: wire.success ?? true,
    method: line(wire.kill_method),
    processTerminated:
      typeof wire.cleanup_status?.process_terminated === "boolean"
        ? wire.cleanup_status.process_terminated
        : undefined,
    message: line(wire.message),
  });
}

/** What cleanup may have removed, in the wire's names and ours. */
const REMOVABLE: Record<string, string> = {
  workspace_removed: "workspace",
  temp_files_removed: "temporary files",
  git_worktree_removed: "git worktree",
  process_cleaned: "process",
};

export function toCleanupReport(runId: string, wire: z.output<typeof cleanupWire>): CleanupReport {
  const details = wire.cleanup_details ?? {};
  return compact<CleanupReport>({
    runId,
    success: wire.success ?? true,
    removed: Object.entries(REMOVABLE).flatMap(([key, name]) => (details[key] === true ? [name] : [])),
    workspacePath: line(details.workspace_path, 500),
    errors: lines(details.errors),
    note: line(details.note, 2_000),
    message: line(wire.message),
  });
}

const refusalWire = z.looseObject({
  detail: z.union([
    z.string(),
    z.array(z.looseObject({ loc: z.array(z.unknown()).optional().catch(undefined), msg: z.string() })),
  ]),
});

/**
 * Whether an error answer states that nothing came of the request. Status 503 alone does not: a proxy says it as well,
 * whatever the server behind it has done.
 */
export function saysNotStarted(body: unknown): boolean {
  return typeof body === "object" && body !== null && "started" in body && body.started === false;
}

/** The API's own words for an error: `detail` as a text, or pydantic's list as "field: message; …". */
export function parseRefusal(body: unknown): string | undefined {
  const parsed = refusalWire.safeParse(body);
  if (!parsed.success) return undefined;
  const { detail } = parsed.data;
  if (typeof detail === "string") return line(detail, 600);
  const complaints = detail.map(({ loc = [], msg }) => {
    const field = (loc[0] === "body" && loc.length > 1 ? loc.slice(1) : loc).join(".");
    return field ? `${field}: ${msg}` : msg;
  });
  return line(complaints.join("; "), 600);
}
