import { asCode, readCheckCommand } from "../../shared/check-command.js";
import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import { type Engine, EngineRefusal, type TakeResult } from "../types.js";
import type { CheckResult } from "../workspaces/check-merge.js";
import type { TakenWork } from "../workspaces/review.js";
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
  /**
   * Does work that may take long on a session that is held: nothing else is done to the session meanwhile, and the
   * engine counts as at work.
   * @param work gets a signal that fires when the engine closes, too
   * @throws EngineRefusal when the engine is stopping
   */
  checkSession: <T>(
    run: EngineRun,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ) => Promise<T>;
}): Pick<Engine, "diff" | "head" | "take" | "discard"> {
  const { runs, workspaces, find, hold } = options;
  const referenceOf = ({ runId, sessionId }: EngineRun) => ({ runId, sessionKey: sessionId });

  return {
    async diff(runId, maxBytes) {
      const run = find(runId);
      const { baseCommit, headCommit, commitCount = 0 } = run.work ?? {};
      const range = headCommit && commitCount > 0 ? { base: baseCommit, head: headCommit } : undefined;
      return workspaces.diff(referenceOf(run), { range, maxBytes }).catch(refuse);
    },

    head: async (runId) => workspaces.headOf(referenceOf(find(runId))).catch(refuse),

    async take(runId, { into, newBranch, squash, check, checkLimitMs, signal }) {
      const command = check === undefined ? undefined : readCheckCommand(check);
      if (command?.ok === false) throw new EngineRefusal(422, `${command.problem} Nothing was merged.`);
      const { run, release } = hold(runId);
      try {
        const message = squash ? squashMessage(run) : undefined;
        const how = { into, newBranch, squash: message };
        const taken = await (command === undefined
          ? workspaces.take(referenceOf(run), how)
          : options.checkSession(
              run,
              (either) =>
                workspaces.take(referenceOf(run), {
                  ...how,
                  check: command.value,
                  checkLimitMs,
                  signal: either,
                }),
              signal,
            )
        ).catch(refuse);
        const checked = taken.check ? { check: toCheckReport(taken.check) } : {};
        if (!taken.taken) {
          return {
            taken: false,
            into: taken.into,
            message: `Nothing was merged: ${tellWhyNot(taken).replace(/[.\s]+$/, "")}.${tellRemarks(taken.check)}`,
            conflicts: ("conflicts" in taken && taken.conflicts) || [],
            ...("hadAll" in taken ? { hadAll: taken.hadAll } : {}),
            ...checked,
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
        const passed = taken.check
          ? ` The check ${asCode(taken.check.command)} passed in ${tellSeconds(taken.check.ms)}.`
          : "";
        return {
          taken: true,
          into: taken.into,
          commit,
          message:
            `${words} into ${taken.into} of ${taken.where} as ${commit.slice(0, 10)}.${passed}` +
            tellRemarks(taken.check),
          conflicts: [],
          ...checked,
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

/** A clause behind "Nothing was merged". */
function tellWhyNot(taken: TakenWork & { taken: false }): string {
  const { check, into } = taken;
  if ("failedCheck" in taken) return check ? tellFailure(check) : "the check failed";
  if ("holder" in taken) return `${into} is checked out in ${taken.holder}`;
  return check ? `the check passed, but ${taken.reason}` : taken.reason;
}

function tellFailure({ command, exitCode, signal, endedBy, ms, limitMs }: CheckResult): string {
  const after = `after ${tellSeconds(ms)}`;
  const check = `the check ${asCode(command)}`;
  if (endedBy === "timeout") return `${check} was ended at its time limit of ${tellSeconds(limitMs)}`;
  if (exitCode !== undefined) return `${check} failed with exit code ${exitCode} ${after}`;
  return signal === undefined ? `${check} could not be started` : `${check} was ended by ${signal} ${after}`;
}

/** What else is to be known of a check, in sentences. */
function tellRemarks(check: CheckResult | undefined): string {
  if (!check) return "";
  const copy =
    check.place.kind === "copy"
      ? ` It ran in a fresh copy, without what is installed in a worktree, because ${check.place.why}.`
      : "";
  const left =
    check.problem === undefined
      ? ""
      : ` ${check.problem.replace(/[.\s]+$/, "")}. It is tried again when the session is used next.`;
  return `${copy}${left}`;
}

function tellSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

function toCheckReport(check: CheckResult): NonNullable<TakeResult["check"]> {
  const { command, passed, exitCode, endedBy, ms, output, cut } = check;
  const code = exitCode === undefined ? {} : { exitCode };
  return { command, passed, ...code, timedOut: endedBy === "timeout", ms, output, cut };
}

/** The message of one commit in place of all of a session's. */
function squashMessage({ sessionName, work }: EngineRun): string {
  const titles = (work?.commits ?? []).map(({ title }) => `* ${title}`).reverse();
  return [sessionName, ...(titles.length > 0 ? ["", ...titles] : [])].join("\n");
}
