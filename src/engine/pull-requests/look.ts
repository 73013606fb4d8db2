import { NotNow, Refused, Unknown } from "../../integrations/delivery-error.js";
import type { OpenedGithub } from "../../integrations/github/open-github.js";
import { readChecks } from "../../integrations/github/read-checks.js";
import { readReviews } from "../../integrations/github/read-reviews.js";
import { readFullName } from "../../integrations/github/repository-name.js";
import { EngineRefusal, type PullRequestSight } from "../types.js";

/**
 * How a pull request stands: the checks of its newest commit, and what reviewers want.
 * @param which.repository `owner/name`
 * @throws EngineRefusal
 */
export async function lookAtPullRequest(
  { github, call }: OpenedGithub,
  { number, repository: name, isOwnBranch }: { number: number; repository: string; isOwnBranch: boolean },
  signal?: AbortSignal,
): Promise<PullRequestSight> {
  const repository = readFullName(name);
  if (!repository) throw new EngineRefusal(409, "The repository of the pull request is not known.");
  try {
    const pull = await github.readPull(repository, number, signal);
    const [checks, reviews] = await Promise.all([
      readChecks(call, repository, pull.headCommit, signal),
      readReviews(call, { repository, number }, signal),
    ]);
    return {
      url: pull.url,
      number,
      state: pull.isMerged ? "merged" : pull.isOpen ? "open" : "closed",
      isDraft: pull.isDraft,
      headCommit: pull.headCommit,
      isOwnBranch,
      checks,
      reviews,
    };
  } catch (error) {
    const isKnown = error instanceof Refused || error instanceof NotNow || error instanceof Unknown;
    if (!isKnown) throw error;
    throw new EngineRefusal(
      error instanceof NotNow ? 503 : 409,
      `The pull request ${name}#${number} could not be read: ${error.message}. Nothing was done.`,
    );
  }
}
