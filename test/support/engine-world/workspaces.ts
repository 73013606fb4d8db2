import type { EngineOptions } from "../../../src/engine/engine-options.js";
import type { Work } from "../../../src/engine/workspaces/types.js";
import type { MovableWorkspaces } from "../../../src/engine/workspaces/workspaces.js";

/** The one commit that sessions make. */
export const COMMIT = "abc1234def5678abc1234def5678abc1234def56";
/** Where branches are pushed to. */
export const ADDRESS = "https://github.com/acme/shop";

/** What runs find and leave where they work. */
export interface WorkspaceFacts {
  /** What runs have committed, as it is found in their workspaces. */
  commits?: string[];
  /** What they have committed is told at their ends, and can be published. */
  hasWork?: boolean;
  /** A step after the run that hangs until it is stopped. */
  hangs?: string | undefined;
}

const branchOf = (sessionKey: string) => `automagik/${sessionKey}`;

function workOf(runId: string): Work {
  return {
    ...{ branch: branchOf(runId), baseBranch: "main", baseCommit: "base", headCommit: COMMIT },
    commits: [{ id: COMMIT, title: "Find it" }],
    ...{ commitCount: 1, files: 1, insertions: 1, deletions: 0, deliveredTo: "engine", where: "" },
  };
}

/** What sessions have committed is in the repository already, and they leave nothing behind. */
export function createMovableWorkspaces(): MovableWorkspaces {
  return {
    async pack(_, __, use) {
      const work = { kind: "base", repository: ADDRESS, commits: 0, isOwn: true, bytes: 0 } as const;
      return use({ work });
    },
    setAside: async () => undefined,
  };
}

/** Workspaces of which nothing is on the disk. */
export function createWorldWorkspaces({
  commits = [],
  hasWork = false,
  hangs,
}: WorkspaceFacts): EngineOptions["workspaces"] {
  // Why it was stopped; undefined where it does not hang.
  async function isStopped(name: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (name !== hangs) return undefined;
    if (!signal?.aborted) await new Promise((resolve) => signal?.addEventListener("abort", resolve));
    return String(signal?.reason);
  }

  return {
    async prepare({ sessionKey, runId }) {
      return { path: `/work/${sessionKey}`, kind: "repository", sessionKey, runId, notices: [], env: {} };
    },
    findChanges: async () => undefined,
    checkRepository: async (path) => ({ path, folders: [path], allowed: true }),
    find: async () => undefined,
    async inspect(_, signal) {
      if (await isStopped("inspect", signal)) throw new Error("It was stopped");
      return { filesChanged: [], commits, uncommitted: false };
    },
    async settle({ runId }, { signal }) {
      const reason = await isStopped("settle", signal);
      const note = reason ? `Nothing was merged: ${reason}.` : "Merged into main as abc1234.";
      return { note, ...(hasWork ? { work: workOf(runId) } : {}) };
    },
    diff: async () => ({ text: "", cut: false, branch: "", baseBranch: "" }),
    headOf: async () => ({ branch: "", commit: "" }),
    take: async () => ({ taken: true, commit: COMMIT, into: "main", from: "", where: "" }),
    async publish({ sessionKey = "" }, { manner }) {
      const branch = branchOf(sessionKey);
      manner({ address: ADDRESS, branch, base: "main" });
      return { branch, base: "main", commit: COMMIT, address: ADDRESS, told: "", hadAll: false };
    },
    discardBranches: async () => ({ removed: [], lost: [], kept: [] }),
    leftovers: async () => ({ items: [], mergedBranches: [], size: { bytes: 0, whole: true } }),
    removeLeftover: async () => ({ errors: [] }),
    removeMergedBranch: async () => {},
    async cleanup(_, { signal }) {
      const reason = await isStopped("cleanup", signal);
      const removed = { workspace: !reason, worktree: !reason, tempFiles: false };
      return { removed, errors: reason ? [reason] : [] };
    },
  };
}
