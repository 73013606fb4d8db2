import type { EngineOptions } from "../engine-options.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";

/** What is asked of pull requests, as {@link Engine} describes it. */
export function createPullRequestCalls(options: {
  runs: Pick<EngineOptions["runs"], "record" | "ofSession">;
  /** @throws EngineRefusal where there is no such run */
  find: (runId: string) => EngineRun;
  github: EngineOptions["github"];
}): Pick<Engine, "openPullRequest" | "lookAtPullRequest"> {
  const { runs, find, github } = options;

  return {
    async openPullRequest(runId, asked) {
      const run = find(runId);
      if (!github) throw new EngineRefusal(503, "This engine opens no pull requests. Nothing was done.");
      if (!hasEnded(run))
        throw new EngineRefusal(409, `Run ${runId} is still going on. No pull request was opened.`);
      if (asked.branch === undefined && !run.work)
        throw new EngineRefusal(409, `Run ${runId} has left no commits. No pull request was opened.`);
      return (await runs.record(runId, { type: "pull-request-asked", asked }, "written")).run;
    },

    async lookAtPullRequest(runId, signal) {
      const run = find(runId);
      const session = runs.ofSession(run.sessionId);
      const known = [run, ...session].find(({ pullRequest }) => pullRequest?.number !== undefined);
      const { number, repository = "", ofOtherBranch } = known?.pullRequest ?? {};
      if (number === undefined || !github) throw new EngineRefusal(409, tellNone(run, session));
      const { lookAtPullRequest } = await import("./look.js");
      return lookAtPullRequest(
        await github(),
        { number, repository, isOwnBranch: ofOtherBranch !== true },
        signal,
      );
    },
  };
}

function tellNone(run: EngineRun, session: readonly EngineRun[]): string {
  const other = [run, ...session].find(({ pullRequest }) => pullRequest !== undefined)?.pullRequest;
  const name = `Session "${run.sessionName}"`;
  if (other?.state === "open" || other?.state === "pushed")
    return `${name} has no pull request at GitHub: checks and reviews of other hosts are not read. Nothing was done.`;
  if (other)
    return `The pull request of session "${run.sessionName}" is not open. ${other.problem ?? ""}`.trim();
  return `${name} has no pull request. Nothing was done.`;
}
