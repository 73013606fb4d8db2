import { devNull } from "node:os";
import type { EngineOptions } from "../../../src/engine/engine-options.js";
import { hasEnded } from "../../../src/engine/runs/run.js";
import type { RunStore } from "../../../src/engine/runs/run-store.js";
import type { Work } from "../../../src/engine/workspaces/types.js";
import type { MovableWorkspaces } from "../../../src/engine/workspaces/workspaces.js";
import { createWorkspaces, type OwnWorkspaces } from "../../../src/engine/workspaces/workspaces.js";
import type { Clock } from "../../../src/shared/clock.js";
import type { AtWait } from "./walked-calls.js";

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

/**
 * Workspaces on the disk, with real git: each of its calls is a point before git starts, and one while it is at work.
 * @param base a folder in which repositories may be used, and that is git's home
 */
export async function openRealWorkspaces(options: {
  base: string;
  folder: string;
  runs: Pick<RunStore, "ofSession">;
  clock: Clock;
  atPoint: AtWait;
}): Promise<OwnWorkspaces> {
  const { base, folder, runs, clock, atPoint } = options;
  const workspaces = createWorkspaces({
    ...{ folder, allowedFolders: [base], pushAllowed: false, clock },
    sessionInUse: (sessionKey) => runs.ofSession(sessionKey).some((run) => !hasEnded(run)),
    env: gitEnv(base),
    aroundGit: (git) => async (args, call) => {
      const name = `git ${args[0]}`;
      await atPoint(name);
      const underWay = git(args, call);
      underWay.catch(() => {});
      await atPoint(`${name}, under way`);
      return underWay;
    },
  });
  await workspaces.open();
  return workspaces;
}

/** What git gets of this machine: its own settings count, whoever tests. */
export function gitEnv(home: string): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return { PATH, HOME: home, GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: devNull };
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
