import type { Run } from "../api/types.js";
import { mergeUnordered } from "../runs/merge-run.js";
import { bareRun, refusedResume } from "../runs/run-facts.js";
import type { RunRecord, SessionRecord } from "./store/session-record.js";

/** What a run and its record have under the same name, where it is known. */
const COMMON = [
  "startedAt",
  "completedAt",
  "maxTurns",
  "expectedTurns",
  "costUsd",
  "costAtLeast",
  "insertions",
  "deletions",
  "mergedInto",
  "resumes",
  "neverStarted",
  "errorCode",
  "agent",
  "model",
  "durationS",
  "questionsAsked",
  "waitedS",
  "quietS",
] as const;
type Common = Pick<RunRecord, (typeof COMMON)[number]>;

/** By a loop, as it is made of thousands of runs at a time. */
function commonOf(from: Common): Common {
  const common: Partial<Record<keyof Common, unknown>> = {};
  for (const key of COMMON) if (from[key] !== undefined) common[key] = from[key];
  return common as Common;
}

/**
 * What of a run is kept with its session, as of `now` (epoch ms): what the API does not tell for ever, and what the
 * history needs.
 */
export function toRecord(run: Run, now: number): RunRecord {
  const { runId, workflowName, status, turn } = run;
  // A claimed id is random on the public server: only one that the run itself has shown is written down.
  const sessionId = run.sessionClaimed || run.neverStarted ? undefined : run.sessionId;
  return {
    ...{ runId, workflowName, status, updatedAt: now },
    ...commonOf(run),
    ...(turn === undefined ? {} : { turns: turn }),
    ...(run.tokens?.total ? { tokens: run.tokens.total } : {}),
    ...(run.messageStart ? { task: run.messageStart } : {}),
    ...(sessionId === undefined ? {} : { sessionId }),
  };
}

/** The run as its record remembers it, with what its session tells of it. */
export function toRun(
  record: RunRecord,
  session: Partial<Pick<SessionRecord, "name" | "repositoryUrl" | "gitBranch">> = {},
): Run {
  // Field by field: what somebody else has written into a record beside these was never looked at.
  const { runId, workflowName, status, turns, sessionId, tokens, task } = record;
  const { name, repositoryUrl, gitBranch } = session;
  return {
    ...bareRun(runId),
    ...{ workflowName, status },
    ...commonOf(record),
    ...(turns === undefined ? {} : { turn: turns }),
    ...(tokens === undefined ? {} : { tokens: { total: tokens } }),
    ...(task === undefined ? {} : { messageStart: task }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(name === undefined || name === runId ? {} : { sessionName: name }),
    ...(repositoryUrl ? { repositoryUrl } : {}),
    ...(gitBranch ? { gitBranch } : {}),
  };
}

/**
 * The run as it is known without asking for it alone: as its record remembers it, and as it was seen since.
 * @param seen snapshots whose order is not certain: what is kept of a run that nobody watches any more may be old
 */
export function knownRun(
  record: RunRecord,
  session: Parameters<typeof toRun>[1],
  ...seen: readonly (Run | undefined)[]
): Run {
  return seen.filter((run) => run !== undefined).reduce(mergeUnordered, toRun(record, session));
}

/** Two records of one run as one, the newer last. */
export function mergeRecords(older: RunRecord, newer: RunRecord): RunRecord {
  const run = mergeUnordered(toRun(older), toRun(newer));
  // What a later release has written into a record stays in it.
  return { ...older, ...newer, ...toRecord(run, Math.max(older.updatedAt, newer.updatedAt)) };
}

/** Whether the agent would not continue the conversation that the run was to continue. */
export function isRefused(record: RunRecord): boolean {
  return refusedResume(toRun(record));
}
