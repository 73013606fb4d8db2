import type { PullRequestFacts } from "../../integrations/pull-request-text.js";
import { withoutQuote } from "../../integrations/quote-task.js";
import { costsMore } from "../runs/costs.js";
import type { EngineRun } from "../runs/run.js";

/** What a pull request tells of a session. @param session its runs, the newest first */
export function factsOf(run: EngineRun, session: readonly EngineRun[]): PullRequestFacts {
  const { sessionName, result, work } = run;
  const begun = session.filter(({ neverStarted }) => !neverStarted);
  return {
    name: sessionName,
    // The first task is what all of it is about; later ones mend it.
    task: withoutQuote(begun.at(-1)?.request.message ?? run.request.message),
    ...(result ? { result } : {}),
    commits: work?.commits ?? [],
    commitCount: work?.commitCount ?? 0,
    files: work?.files ?? 0,
    insertions: work?.insertions ?? 0,
    deletions: work?.deletions ?? 0,
    checks: [],
    costUsd: begun.reduce((sum, { costUsd }) => sum + costUsd, 0),
    costAtLeast: begun.some(costsMore),
    turns: begun.reduce((sum, { turn }) => sum + turn, 0),
    runs: begun.length,
  };
}
