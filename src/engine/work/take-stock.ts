import type { Log } from "../../shared/log.js";
import type { EngineRun } from "../runs/run.js";
import type { Work } from "../workspaces/types.js";
import type { Workspace, Workspaces } from "../workspaces/workspaces.js";

/** What a run has left behind, and what has become of it. */
export interface Stock {
  /** For the person, to stand behind the agent's result. */
  notes: string[];
  filesChanged?: string[];
  commits?: string[];
  work?: Work;
  workspaceRemoved?: boolean;
  /** Why the run does not count as completed after all; sentences. */
  unproven?: string;
}

/**
 * Looks at the work that a run has left in its workspace, brings it to the person, merged where that was asked for, and
 * removes the workspace unless it is to be kept. Never throws: what fails is logged.
 * @param options.isCompleted its agent has ended well
 * @param options.tellUnproven what speaks against its success all the same, by its commits
 * @param options.keep keeps what was settled for another worker; gives what the person should know of that
 * @param options.signal ends what takes too long
 */
export async function takeStock(options: {
  run: EngineRun;
  workspace: Workspace;
  workspaces: Workspaces;
  isCompleted: boolean;
  tellUnproven: (commits: string[] | undefined) => string | undefined;
  keep: (work: Work | undefined, signal: AbortSignal) => Promise<string | undefined>;
  signal: AbortSignal;
  log: Log;
}): Promise<Stock> {
  const { run, workspace, workspaces, signal, log } = options;
  const { persistent, tempWorkspace, autoMerge, pullRequest } = run.request;
  const stock: Stock = { notes: [...workspace.notices] };
  try {
    const { filesChanged, commits } = await workspaces.inspect(workspace, signal);
    Object.assign(stock, { filesChanged, commits });
  } catch (error) {
    log.warn((error as Error).message);
  }
  const unproven = options.isCompleted ? options.tellUnproven(stock.commits) : undefined;
  if (unproven) stock.unproven = unproven;
  try {
    const isDone = options.isCompleted && unproven === undefined;
    const merge = autoMerge && isDone;
    const publishes = pullRequest === true && isDone;
    const { work, note } = await workspaces.settle(workspace, { merge, publishes, signal });
    if (work) stock.work = work;
    if (note) stock.notes.push(note);
    const unkept = await options.keep(work, signal);
    if (unkept) stock.notes.push(unkept);
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
