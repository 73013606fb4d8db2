import { isFinal, type Run } from "../api/types.js";

/** A run of which nothing but the id is known. */
export function bareRun(runId: string): Run {
  return {
    runId,
    workflowName: "",
    status: "unknown",
    toolsUsed: [],
    phasesCompleted: [],
    filesChanged: [],
    commits: [],
  };
}

/** How a run stands, as far as it shows whether its agent did anything. */
type Traces = Pick<Run, "status" | "turn" | "costUsd" | "tokens">;

/**
 * The public server's signature of an agent that did not start, or would not resume its conversation: the run says
 * `completed`, with no turn and no cost.
 */
export function looksRefused(run: Traces): boolean {
  return run.status === "completed" && run.turn === 0 && !run.costUsd && !run.tokens;
}

/** Whether a run was to continue a conversation and its agent would not: a failure, whatever the API calls it. */
export function refusedResume(run: Traces & Pick<Run, "resumes">): boolean {
  return run.resumes !== undefined && looksRefused(run);
}

/** How the run ended or goes on, in the words of an answer's `outcome`; `unknown` when the API has told nothing. */
export function outcomeOf(run: Run): "running" | "completed" | "failed" | "killed" | "unknown" {
  if (run.status === "unknown") return "unknown";
  if (refusedResume(run)) return "failed";
  return isFinal(run.status) ? (run.status as "completed" | "failed" | "killed") : "running";
}
