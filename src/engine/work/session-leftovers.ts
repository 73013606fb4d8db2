import type { EngineOptions } from "../engine-options.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";
import { WorkspaceError } from "../workspaces/workspaces.js";

/** What sessions have left on the disk, as {@link Engine} describes it. */
export function createSessionLeftovers(options: {
  runs: EngineOptions["runs"];
  workspaces: EngineOptions["workspaces"];
  /** Begins no run of the session until the answer is called. */
  hold: (sessionId: string) => () => void;
  /** Something but a run is done in the session's workspace. */
  isBusy: (sessionId: string) => boolean;
  /** Resolves when what interrupted runs have committed is where it belongs, or takes long to get there. */
  settled: () => Promise<unknown>;
}): Pick<Engine, "leftovers" | "removeLeftover" | "removeMergedBranch"> {
  const { runs, workspaces, hold, isBusy } = options;
  const runsOf = runs.ofSession;
  const isInUse = (sessionKey: string) =>
    isBusy(sessionKey) || runsOf(sessionKey).some((run) => !hasEnded(run));

  return {
    async leftovers() {
      await options.settled();
      const found = await workspaces.leftovers(isInUse);
      return {
        ...found,
        items: found.items.map((item) => {
          const [newest] = item.sessionKey === undefined ? [] : runsOf(item.sessionKey);
          if (!newest) return item;
          if (item.isAside) return { ...item, name: tellAside(newest.sessionName, item.branch) };
          return { ...item, name: newest.sessionName, usedAt: lastUsed(newest) };
        }),
      };
    },

    async removeLeftover(id, how) {
      const sessionKey = /^session:(.+)$/s.exec(id)?.[1];
      // A temporary workspace is its run's alone.
      const run = runs.get(/^run:(.+)$/s.exec(id)?.[1] ?? "");
      if ((run && !hasEnded(run)) || (sessionKey !== undefined && isInUse(sessionKey)))
        throw new EngineRefusal(409, "A run of the session is going on or waiting. Nothing was removed.");
      const release = sessionKey === undefined ? () => {} : hold(sessionKey);
      // One that is started meanwhile begins when it is removed.
      const [newest] = sessionKey === undefined ? [] : runsOf(sessionKey);
      try {
        const removed = await workspaces.removeLeftover(id, how).catch(refuse);
        if (newest && removed.errors.length === 0) {
          const all = { workspace: true, worktree: true, tempFiles: false };
          await runs.record(newest.runId, { type: "cleaned-up", removed: all }, "now");
        }
        return removed;
      } finally {
        release();
      }
    },

    removeMergedBranch: (which) => workspaces.removeMergedBranch(which).catch(refuse),
  };
}

/** What a session that goes on elsewhere has left is called so that nobody takes it for the session itself. */
function tellAside(name: string, branch: string | undefined): string {
  return `${name} (goes on at another worker; left here${branch === undefined ? "" : ` on ${branch}`})`;
}

/** When its agent last did something: one that was interrupted is found to have ended much later. */
function lastUsed({ endedAt, lastActivityAt, createdAt }: EngineRun): number {
  return lastActivityAt ?? endedAt ?? createdAt;
}

function refuse(error: Error): never {
  if (error instanceof WorkspaceError) throw new EngineRefusal(409, error.message);
  throw error;
}
