import type { Run, Work } from "../../api/types.js";
import type { NeedView } from "./needs.js";

/** What is told of a run as its API tells it. */
type RunFact =
  | ("runId" | "status" | "turn" | "maxTurns" | "expectedTurns" | "agent" | "model" | "startedAt")
  | ("costUsd" | "costAtLeast" | "insertions" | "deletions" | "mergedInto");

/** A run as lists show it. */
export interface RunRow extends Pick<Run, RunFact> {
  session: string;
  workflow: string;
  /** It waits for a person; what for is among the needs. */
  waits?: true;
  /** What it does at the moment. */
  action?: string;
  /** Once it has ended, how its result begins, or without one its task. */
  about?: string;
  branch?: string;
  repository?: string;
  endedAt?: number;
  /** The newest sign of life. */
  lastSeenAt?: number;
  /** Nothing has been seen of it for so long that it counts as stalled. */
  stalledMs?: number;
  plan?: string;
  planId?: string;
  step?: string;
  /** It waits for a free slot. */
  queue?: { position?: number; inS?: number };
  /** Why it has failed, on one line. */
  error?: string;
}

/** `GET /dashboard/api/runs/{id}` */
export interface RunDetail extends RunRow, Pick<Run, "durationS" | "result" | "errorCode" | "filesChanged"> {
  now: number;
  tokens?: number;
  task?: string;
  needs: NeedView[];
  work?: Omit<Work, "baseCommit" | "headCommit" | "own">;
  /** The newest entries; `logLeft` older ones are not told. */
  log: LogEntry[];
  logLeft: number;
  /** Why the log has only what was seen here: the API tells no more. */
  logNote?: string;
  /** What the person may do with it now: names of actions. */
  may: ("feedback" | "take" | "discard" | "kill" | "diff")[];
}

/** An entry of a run's log. `key` grows and is unique within the run's log. */
export interface LogEntry {
  key: number;
  at?: number;
  kind:
    | "turn"
    | "action"
    | "command"
    | "output"
    | "file"
    | "question"
    | "answer"
    | "message"
    | "status"
    | "end"
    | "other";
  /** One line. */
  text: string;
  /** What a command wrote, what a message says in full; may have lines. */
  detail?: string;
  /** The detail is longer than that. */
  cut?: true;
  turn?: number;
}

/** `GET /dashboard/api/runs/{id}/diff` */
export interface DiffView {
  text: string;
  cut: boolean;
  branch?: string;
  baseBranch?: string;
}
