import type { Log } from "../../shared/log.js";
import type { EngineRun } from "../runs/run.js";
import type { Workspace, Workspaces } from "../workspaces/workspaces.js";

/** What a run has left behind, and what has become of it. */
export interface Stock {
  /** For the person, to stand behind the agent's result. */
  notes: string[];
  filesChanged?: string[];
  commits?: string[];
  workspaceRemoved?: boolean;
}

/**
 * Looks at the work that a run has left in its workspace, merges it where that was asked for, and removes the
 * workspace unless it is to be kept. Never throws: what fails is logged.
 * @param options.isCompleted the run has done what it was asked for
 * @param options.signal ends what takes too long
 */
export async function takeStock(options: {
  run: EngineRun;
  workspace: Workspace;
  workspaces: Workspaces;
  isCompleted: boolean;
  signal: AbortSignal;
  log: Log;
}): Promise<Stock> {
  const { run, workspace, workspaces, signal, log } = options;
  const { persistent, tempWorkspace, autoMerge } = run.request;
  const stock: Stock = { notes: [...workspace.notices] };
  try {
    const { filesChanged, commits } = await workspaces.inspect(workspace, signal);
    Object.assign(stock, { filesChanged, commits });
  } catch (error) {
    log.warn((error as Error).message);
  }
  try {
    if (autoMerge && options.isCompleted)
      stock.notes.push(describeMerge(await workspaces.merge(workspace, signal)));
    if (persistent && !tempWorkspace) return stock;
    // Only what was meant to be thrown away goes whatever is in it; uncommitted work in a worktree stays.
    const { removed, kept } = await workspaces.cleanup(
      { sessionKey: run.sessionId, runId: run.runId, temporary: tempWorkspace },
      { force: tempWorkspace, signal },
    );
    if (kept) stock.notes.push(kept);
    stock.workspaceRemoved = removed.workspace || removed.tempFiles || removed.worktree;
  } catch (error) {
    log.warn((error as Error).message);
  }
  return stock;
}

/** What the person is told of a merge: a refused push is part of it, however well the merge itself went. */
function describeMerge(merge: Awaited<ReturnType<Workspaces["merge"]>>): string {
  if (!merge.merged) return merge.reason ?? "Nothing was merged: the merge is not clean.";
  const merged = `Merged${merge.commit ? ` as ${merge.commit}` : ""}`;
  if (merge.pushProblem) return `${merged}, but ${merge.pushProblem}`;
  return `${merged}${merge.pushed ? " and pushed" : ""}.`;
}
