import { Refused } from "../delivery-error.js";
import { GithubRefused } from "./call-github.js";
import type { Github, NewPullRequest, PullRequest } from "./github.js";
import type { RepositoryName } from "./repository-name.js";

/** A pull request that is to be there, with one comment that is kept up to date. */
export interface WantedPullRequest {
  repository: RepositoryName;
  asked: NewPullRequest;
  /** The comment's text, without its marker; none where undefined. */
  comment: string | undefined;
  /** By which the comment is found again; hidden in it. */
  marker: string;
  /** Comments that are known, with the numbers of their pull requests; a session may have had several of these. */
  comments?: readonly { number: number; id: number }[];
}

export interface BroughtPullRequest {
  pull: PullRequest;
  /** It was there before. */
  wasThere: boolean;
  commentId?: number;
  /** What is otherwise than asked for, and why; sentences. */
  notes: string[];
  /** Its comment may be written later; to be asked for again. */
  unfinished?: Error;
}

/**
 * Makes sure that there is an open pull request for a branch, and that its comment says what it should: looked for
 * first, so that asking again after a lost answer opens no second one.
 * @throws Refused, NotNow, Unknown where there may be none
 */
export async function bringPullRequest(
  github: Github,
  wanted: WantedPullRequest,
  signal: AbortSignal,
): Promise<BroughtPullRequest> {
  const { repository, asked } = wanted;
  const notes: string[] = [];
  const found = await github.findPull(repository, asked.head, signal);
  const pull = found ?? (await open(github, repository, asked, notes, signal));
  const brought = { pull, wasThere: found !== undefined, notes };
  try {
    const commentId = await keepComment(github, wanted, pull.number, brought.wasThere, signal);
    return { ...brought, ...(commentId === undefined ? {} : { commentId }) };
  } catch (error) {
    // The pull request is there all the same.
    notes.push(`Its comment could not be written: ${(error as Error).message}.`);
    return { ...brought, ...(error instanceof Refused ? {} : { unfinished: error as Error }) };
  }
}

async function open(
  github: Github,
  repository: RepositoryName,
  asked: NewPullRequest,
  notes: string[],
  signal: AbortSignal,
): Promise<PullRequest> {
  try {
    return await github.openPull(repository, asked, signal);
  } catch (error) {
    const says = (form: RegExp) =>
      error instanceof GithubRefused && error.details.some((line) => form.test(line));
    if (says(/pull request already exists/i)) {
      const found = await github.findPull(repository, asked.head, signal);
      if (found) return found;
    }
    if (says(/no commits between/i))
      throw new Refused(`${asked.base} has all of this work already at GitHub`);
    if (says(/draft pull requests are not supported/i))
      throw new Refused(
        "the repository takes no draft pull requests: set AUTOMAGIK_WORKFLOWS_PULL_REQUESTS=ready",
      );
    if (!says(/\bbase\b/)) throw error;
    // The branch at which the work began may be the person's own, and not at GitHub.
    const { defaultBranch } = await github.readRepository(repository, signal);
    if (defaultBranch === undefined || defaultBranch === asked.base) throw error;
    notes.push(`GitHub has no branch ${asked.base}, so it is to be merged into ${defaultBranch}.`);
    return open(github, repository, { ...asked, base: defaultBranch }, notes, signal);
  }
}

async function keepComment(
  github: Github,
  { repository, comment, marker, comments = [] }: WantedPullRequest,
  number: number,
  mayBeThere: boolean,
  signal: AbortSignal,
): Promise<number | undefined> {
  const noted = comments.find((one) => one.number === number)?.id;
  if (comment === undefined) return noted;
  const body = `${marker}\n${comment}`;
  const known =
    noted ?? (mayBeThere ? await github.findComment(repository, number, marker, signal) : undefined);
  if (known !== undefined && (await github.editComment(repository, known, body, signal))) return known;
  return github.addComment(repository, number, body, signal);
}
