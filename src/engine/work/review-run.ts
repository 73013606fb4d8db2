import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";
import { WorkspaceError } from "../workspaces/workspaces.js";

/** What a person does with a session's commits, as {@link Engine} describes it. */
export function createRunReview(options: {
  runs: EngineOptions["runs"];
  workspaces: EngineOptions["workspaces"];
  /** @throws EngineRefusal where there is no such run */
  find: (runId: string) => EngineRun;
  /**
   * The run when no run of its session goes on; none begins until the answer is called.
   * @throws EngineRefusal otherwise
   */
  hold: (runId: string) => { run: EngineRun; release: () => void };
}): Pick<Engine, "diff" | "take" | "discard"> {
  const { runs, workspaces, find, hold } = options;
  const referenceOf = ({ runId, sessionId }: EngineRun) => ({ runId, sessionKey: sessionId });

  return {
    async diff(runId, maxBytes) {
      const run = find(runId);
      const { baseCommit, headCommit, commitCount = 0 } = run.work ?? {};
      const range = headCommit && commitCount > 0 ? { base: baseCommit, head: headCommit } : undefined;
      return workspaces.diff(referenceOf(run), { range, maxBytes }).catch(refuse);
    },

    async take(runId, { into, squash }) {
      const { run, release } = hold(runId);
      try {
        const message = squash ? squashMessage(run) : undefined;
        const taken = await workspaces.take(referenceOf(run), { into, squash: message }).catch(refuse);
        if (!taken.taken) {
          const why = "reason" in taken ? taken.reason : `${taken.into} is checked out in ${taken.holder}`;
          return {
            taken: false,
            into: taken.into,
            message: `Nothing was merged: ${why.replace(/[.\s]+$/, "")}.`,
            conflicts: ("conflicts" in taken && taken.conflicts) || [],
          };
        }
        const { commit } = taken;
        if (run.work) {
          const { problem: _settled, ...work } = run.work;
          await runs.record(
            runId,
            { type: "work-changed", work: { ...work, mergedInto: taken.into } },
            "now",
          );
        }
        const words = squash ? "Merged as one commit" : "Merged";
        return {
          taken: true,
          into: taken.into,
          commit,
          message: `${words} into ${taken.into} of ${taken.where} as ${commit.slice(0, 10)}.`,
          conflicts: [],
        };
      } finally {
        release();
      }
    },

    async discard(runId) {
      const { run, release } = hold(runId);
      try {
        const { removed, errors } = await workspaces.cleanup(referenceOf(run), { force: true });
        const worktree = removed.worktree || removed.workspace;
        const branches = await workspaces.discardBranches(referenceOf(run)).catch((error: Error) => {
          if (!(error instanceof WorkspaceError)) throw error;
          return { removed: [], lost: [], kept: [error.message] };
        });
        await runs.record(runId, { type: "cleaned-up", removed }, "now");
        await runs.record(runId, { type: "work-changed" }, "now");
        return {
          removed: [
            ...(worktree ? ["the worktree"] : []),
            ...branches.removed.map((one) => `the branch ${one}`),
          ],
          lost: branches.lost,
          kept: branches.kept,
          errors,
        };
      } finally {
        release();
      }
    },
  };
}

function refuse(error: Error): never {
  if (error instanceof WorkspaceError) throw new EngineRefusal(409, error.message);
  throw error;
}

/** The message of one commit in place of all of a session's. */
function squashMessage({ sessionName, work }: EngineRun): string {
  const titles = (work?.commits ?? []).map(({ title }) => `* ${title}`).reverse();
  return [sessionName, ...(titles.length > 0 ? ["", ...titles] : [])].join("\n");
}
