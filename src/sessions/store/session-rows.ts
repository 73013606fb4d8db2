import type { Tables } from "../../store/tables.js";
import type { RunRecord, SessionRecord } from "./session-record.js";

type Values = Record<string, unknown>;

/** The fields of a session that have a column. */
const SESSION_COLUMNS: Values = {
  name: "name",
  sessionId: "session_id",
  sessionIdSeenAt: "session_id_seen_at",
  repositoryUrl: "repository_url",
  gitBranch: "git_branch",
  createdAt: "created_at",
  updatedAt: "updated_at",
};
/** The same of a run. */
const RUN_COLUMNS: Values = {
  runId: "run_id",
  workflowName: "workflow_name",
  status: "status",
  startedAt: "started_at",
  completedAt: "completed_at",
  turns: "turns",
  maxTurns: "max_turns",
  costUsd: "cost_usd",
  sessionId: "session_id",
  resumes: "resumes",
  errorCode: "error_code",
  updatedAt: "updated_at",
};

/** Columns of a session but those by which it is found. */
export function toSessionColumns({ version: _, key: __, runs: ___, ...fields }: SessionRecord) {
  return toColumns(fields, SESSION_COLUMNS) as Omit<
    Tables["sessions"],
    "upstream" | "key" | "visible_name" | "changed"
  >;
}

/** Columns of a run but those that say where it belongs. */
export function toRunColumns(run: RunRecord) {
  return toColumns({ ...run }, RUN_COLUMNS) as Omit<
    Tables["session_runs"],
    "upstream" | "session_key" | "position"
  >;
}

/** A session's record. @param runs the rows of its runs, in their order */
export function toRecord(row: Tables["sessions"], runs: readonly Tables["session_runs"][]): SessionRecord {
  const fields = fromColumns({ ...row }, SESSION_COLUMNS);
  const records = runs.map((run) => fromColumns({ ...run }, RUN_COLUMNS));
  return { version: 1, key: fromKeyColumn(row.key), ...fields, runs: records } as unknown as SessionRecord;
}

/** A key as a column: texts are cut at a NUL there. */
export function toKeyColumn(key: string): string {
  return JSON.stringify(key).slice(1, -1);
}

function fromKeyColumn(text: string): string {
  return JSON.parse(`"${text}"`);
}

/** The fields that have a column, and as JSON what this release has no column for. */
function toColumns(fields: Values, columns: Values): Values {
  const row: Values = { more: null };
  const more: Values = {};
  for (const column of Object.values(columns)) row[column as string] = null;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const column = columns[name];
    if (column) row[column as string] = value;
    else row.more = JSON.stringify(Object.assign(more, { [name]: value }));
  }
  return row;
}

function fromColumns(row: Values, columns: Values): Values {
  const fields: Values = row.more ? JSON.parse(row.more as string) : {};
  for (const [name, column] of Object.entries(columns)) {
    const value = row[column as string];
    if (value !== null) fields[name] = value;
  }
  return fields;
}
