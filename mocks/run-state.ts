import { randomUUID } from "node:crypto";
import type { RunState, StartBody, StartQuery } from "./types.js";

/** What a new run is made of. */
export interface Birth {
  runId: string;
  workflow: string;
  body: StartBody;
  query: StartQuery;
  sessionId: string;
  /** The run whose session is continued as a whole. */
  inherited: RunState | undefined;
  now: number;
}

/** A run as it is before anything has happened to it. */
export function createRunState({ runId, workflow, body, query, sessionId, inherited, now }: Birth): RunState {
  const userId = body.user_id ?? randomUUID();
  const folder = query.temp_workspace ? `${userId}/workspace_${runId}` : runId;
  return {
    runId,
    rowId: randomUUID(),
    workflowName: workflow,
    message: body.message,
    body: structuredClone(body),
    status: "pending",
    agent: "working",
    finished: false,
    sessionId,
    sessionName: body.session_name ?? inherited?.sessionName ?? `claude-code-${workflow}-${runId}`,
    userId,
    repositoryUrl: body.repository_url ?? inherited?.repositoryUrl ?? null,
    gitBranch: body.git_branch ?? inherited?.gitBranch ?? null,
    maxTurns: body.max_turns ?? null,
    turn: 0,
    action: null,
    actionsDone: [],
    startedAt: now,
    lastActivityAt: null,
    completedAt: null,
    finishedAt: null,
    costUsd: 0,
    tokens: { input: 0, output: 0 },
    toolsUsed: [],
    result: null,
    error: null,
    filesChanged: [],
    commits: [],
    errorCode: null,
    work: undefined,
    ownWorkspace: undefined,
    takenUp: [],
    queue: null,
    workspacePath: `/srv/automagik/workspaces/${folder}`,
    workspacePersistent: query.persistent ?? true,
    workspaceExists: true,
    cleanedUp: false,
    writes: 0,
    kill: null,
    cleanup: null,
  };
}
