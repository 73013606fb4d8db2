import type { AboutKind } from "../agent/agent-kind.js";
import type { EngineRun } from "../runs/run.js";
import type { EngineWorkflow } from "../types.js";
import type { Workspace } from "../workspaces/types.js";

/** By this an agent says that there was nothing to commit; the beginning of a line of its final message. */
const NOTHING_TO_DO = /^[\s>*_#-]*nothing to do\b(?!\s+with\b)/im;

/**
 * What speaks against the success of a run whose agent has ended its turn well. That turn's end alone is no success: with
 * some kinds of agents a failure of the model looks the same.
 * @param found the run's commits, as they were found in its workspace; undefined where it could not be looked at
 * @returns the reason for the person, as sentences; undefined where what its workflow names for success is there
 */
export function tellUnproven(
  { result = "" }: Pick<EngineRun, "result">,
  how: {
    workflow: Pick<EngineWorkflow, "success">;
    kind: AboutKind;
    workspace: Pick<Workspace, "kind">;
    commits: readonly string[] | undefined;
  },
): string | undefined {
  const { workflow, kind, workspace, commits } = how;
  if (kind.capabilities.tellsSuccess) return undefined;
  if (result.trim() === "")
    return `${kind.title} has ended its turn without a report, so the run does not count as completed. Continue the session to go on.`;
  // Without a repository there is nothing to commit to.
  if (workflow.success !== "commit" || workspace.kind !== "repository" || NOTHING_TO_DO.test(result))
    return undefined;
  if (commits === undefined)
    return `Whether ${kind.title} has committed anything could not be found out, so the run does not count as completed. What it has done is in the workspace.`;
  if (commits.length > 0) return undefined;
  return (
    `${kind.title} has ended its turn without a commit, and has not said that there was nothing to do, so the run does ` +
    "not count as completed. What it has left is in the workspace; continue the session to go on."
  );
}
