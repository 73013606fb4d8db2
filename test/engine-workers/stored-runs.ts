import type { EngineRun } from "../../src/engine/types.js";

/** A small run that has begun. */
export function runNamed(runId: string, more: Partial<EngineRun> = {}): EngineRun {
  return {
    runId,
    request: {
      workflowName: "implement",
      message: "Add a login page",
      timeoutS: 3600,
      persistent: true,
      autoMerge: false,
      tempWorkspace: false,
    },
    status: "running",
    sessionId: `session-of-${runId}`,
    sessionName: "login",
    createdAt: 1_000,
    turn: 0,
    toolsUsed: [],
    tokens: { input: 0, output: 0 },
    costUsd: 0,
    phasesCompleted: [],
    workspaceRemoved: false,
    filesChanged: [],
    commits: [],
    queue: { added: 0, consumed: 0, waiting: [] },
    questions: [],
    ...more,
  };
}
