import * as z from "zod";
import { TASK_CHARS } from "../../history/figures.js";
import { parseBoundedJson } from "../../shared/bounded-json.js";
import { cleanLine, visibleName } from "../../shared/text.js";

/** One run of a session, as last seen. Times are epoch ms, money US dollars; what was not seen is absent. */
export interface RunRecord {
  runId: string;
  workflowName: string;
  status: string;
  startedAt?: number;
  completedAt?: number;
  turns?: number;
  maxTurns?: number;
  expectedTurns?: number;
  costUsd?: number;
  /** It has cost more than that. */
  costAtLeast?: true;
  /** Lines that the session's commits add, and take away. */
  insertions?: number;
  deletions?: number;
  /** The branch of the repository that has them by now. */
  mergedInto?: string;
  /** The resumable id that was seen for this run. */
  sessionId?: string;
  /** The conversation that it was asked to continue, which its agent may have refused. */
  resumes?: string;
  /** It has failed before anything ran: it takes no session's name. */
  neverStarted?: true;
  /** Why it has failed, in the API's one word for it. */
  errorCode?: string;
  /** The kind of agent, where it is not the usual one. */
  agent?: string;
  model?: string;
  /** In all. */
  tokens?: number;
  durationS?: number;
  /** How what it was told begins, on one line; kept in the state folder only. */
  task?: string;
  /** As `Run` has them. */
  questionsAsked?: number;
  waitedS?: number;
  quietS?: number;
  updatedAt: number;
}

/** What is known of one session: people think in its name, the API in run ids. */
export interface SessionRecord {
  version: 1;
  /** The local key; the store's only handle on the record. */
  key: string;
  name: string;
  /** The resumable id, if one has been seen: it shows only while a run is going. */
  sessionId?: string;
  sessionIdSeenAt?: number;
  repositoryUrl?: string;
  gitBranch?: string;
  createdAt: number;
  updatedAt: number;
  /** Oldest start first; the store keeps the newest 200. */
  runs: RunRecord[];
}

/** Runs kept for a session: far more than a person scrolls through, and a record stays below 100 KB. */
export const RUNS_KEPT = 200;

/** A larger file is not ours: 200 runs need about 80 KB. Reading one must not fill the memory. */
export const MAX_RECORD_BYTES = 4 * 1024 * 1024;

/** The place where sessions are kept may be shared: what others have written there is no more to be trusted than an API. */
const shown = (limit?: number) => z.string().transform((text) => cleanLine(text, limit));

// Loose on purpose: a field that a later release adds within version 1 survives being rewritten by this one.
function makeSchema() {
  const run = z.looseObject({
    runId: shown(200).pipe(z.string().min(1)),
    workflowName: shown(),
    status: shown(60),
    startedAt: z.number().optional(),
    completedAt: z.number().optional(),
    turns: z.number().optional(),
    maxTurns: z.number().optional(),
    expectedTurns: z.number().optional(),
    costUsd: z.number().optional(),
    costAtLeast: z.literal(true).optional(),
    insertions: z.number().optional(),
    deletions: z.number().optional(),
    mergedInto: shown().optional(),
    sessionId: shown().optional(),
    resumes: shown().optional(),
    neverStarted: z.literal(true).optional(),
    errorCode: shown(60).optional(),
    agent: shown(50).optional(),
    model: shown(100).optional(),
    tokens: z.number().optional(),
    durationS: z.number().optional(),
    task: shown(TASK_CHARS).optional(),
    questionsAsked: z.number().optional(),
    waitedS: z.number().optional(),
    quietS: z.number().optional(),
    updatedAt: z.number(),
  });
  return z.looseObject({
    version: z.literal(1),
    key: z.string().min(1),
    name: shown(),
    sessionId: shown().optional(),
    sessionIdSeenAt: z.number().optional(),
    repositoryUrl: shown(2048).optional(),
    gitBranch: shown().optional(),
    createdAt: z.number(),
    updatedAt: z.number(),
    runs: z.array(run),
  });
}

/** Made with the first record that is read: a server's start has no use for it. */
let sessionSchema: ReturnType<typeof makeSchema> | undefined;

/** What a stored text turned out to be. `newer` was written by a later release and is not ours to touch. */
export type ParsedRecord =
  | { kind: "record"; record: SessionRecord }
  | { kind: "newer" }
  | { kind: "damaged" };

/** Reads a stored text. Never throws: anything that is not a record of version 1 or later is `damaged`. */
export function parseRecord(text: string): ParsedRecord {
  let value: unknown;
  try {
    value = parseBoundedJson(text);
  } catch {
    return { kind: "damaged" };
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (Number.isInteger(version) && (version as number) > 1) return { kind: "newer" };
  const record = checkRecord(value);
  return record ? { kind: "record", record } : { kind: "damaged" };
}

/**
 * The form in which a record is kept: runs as `keepRuns` gives them, and detached from the caller's objects.
 * @returns the record, and its text
 * @throws TypeError when it could not be read back: another key, a field of a wrong type, too large
 */
export function storedForm(
  next: SessionRecord,
  key: string,
  runsKept: number,
): { record: SessionRecord; text: string } {
  const kept = { ...next, runs: keepRuns(next.runs, runsKept) };
  const record = checkRecord(kept);
  if (!record) throw new TypeError("The session record has a field of a wrong type.");
  if (record.key !== key) throw new TypeError("A session record must keep the key it is stored under.");
  if (Buffer.byteLength(JSON.stringify(kept)) > MAX_RECORD_BYTES)
    throw new TypeError("The session record is too large.");
  return { record, text: JSON.stringify(record) };
}

/** The value as a record, cleaned of what could not be shown; undefined when it is none of version 1. */
function checkRecord(value: unknown): SessionRecord | undefined {
  sessionSchema ??= makeSchema();
  // What is stored has no `undefined`, so an optional field is either absent or of its type: the interface holds.
  return sessionSchema.safeParse(value).data as SessionRecord | undefined;
}

/** The newest runs, each once, in the order of their start, or of their last update where no start is known. */
export function keepRuns(runs: readonly RunRecord[], runsKept: number): RunRecord[] {
  const began = (run: RunRecord) => run.startedAt ?? run.updatedAt;
  const last = new Map(runs.map((run) => [run.runId, run]));
  return [...last.values()].sort((a, b) => began(a) - began(b)).slice(-runsKept);
}

/** A copy that a caller may change without changing what the store holds. */
export function copyRecord(record: SessionRecord): SessionRecord {
  return { ...record, runs: record.runs.map((run) => ({ ...run })) };
}

/** Newest first, as people look for a session; the key decides between equals so that the order is stable. */
export function byNewest(a: SessionRecord, b: SessionRecord): number {
  return b.updatedAt - a.updatedAt || (a.key < b.key ? -1 : 1);
}

/** How a name is looked for: what the eye sees of it, in small letters. */
export function foldName(name: string): string {
  return visibleName(name).toLowerCase();
}

/** What sessions are looked for by: those that have any of it. */
export interface SessionQuery {
  /** Names; those that look the same, but for the case of letters, are found as well. */
  names?: readonly string[];
  /** Ids of runs and of conversations, also of those that a run was to continue. */
  ids?: readonly string[];
}

/** What a session is found by: its name as `foldName` gives it, and ids. A term may come twice. */
export function listTerms({ name, sessionId, runs }: SessionRecord): string[] {
  const ids = [sessionId, ...runs.flatMap((run) => [run.runId, run.sessionId, run.resumes])];
  return [foldName(name), ...ids.filter((id) => id !== undefined)];
}

/** Those of the records that a query means. */
export function selectSessions(records: readonly SessionRecord[], query: SessionQuery): SessionRecord[] {
  const names = new Set(query.names?.map(foldName));
  const ids = new Set<string | undefined>(query.ids);
  return records.filter(
    ({ name, sessionId, runs }) =>
      (names.size > 0 && names.has(foldName(name))) ||
      (ids.size > 0 &&
        (ids.has(sessionId) ||
          runs.some((run) => ids.has(run.runId) || ids.has(run.sessionId) || ids.has(run.resumes)))),
  );
}
