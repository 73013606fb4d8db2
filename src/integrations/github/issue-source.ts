import { cleanLine } from "../../shared/text.js";
import type { IssueSource } from "../issue-source.js";
import type { IssueTask } from "../quote-task.js";
import { GithubRefused } from "./call-github.js";
import type { Github, GithubIssue } from "./github.js";
import { findIssueReference, fullName, type RepositoryName, repositoryOf } from "./repository-name.js";

/** So many comments are read, the newest. */
const COMMENTS = 50;
const SETUP =
  "Set AUTOMAGIK_WORKFLOWS_GITHUB_TOKEN (or _FILE, _COMMAND), or log in with `gh auth login`; or put the issue's text into the message.";

/** Issues and pull requests of GitHub as tasks. @param options.webHost the host of GitHub's pages */
export function createGithubIssues({ github, webHost }: { github: Github; webHost: string }): IssueSource {
  return {
    async find(message, place) {
      const found = findIssueReference(message, webHost);
      if (!found) return undefined;
      const { number } = found.reference;
      const address = found.reference.repository ? undefined : await place();
      const repository =
        found.reference.repository ?? (address === undefined ? undefined : repositoryOf(address, webHost));
      return {
        name: repository ? `${fullName(repository)}#${number}` : `#${number}`,
        words: found.words,
        async read(signal) {
          if (!repository) throw new Error(tellNowhere(number, address !== undefined, webHost));
          const issue = await github.readIssue(repository, number, COMMENTS, signal).catch((error: Error) => {
            throw new Error(tellFailure(error, `${fullName(repository)}#${number}`));
          });
          return {
            task: toTask(issue, repository),
            repositoryUrl: `https://${webHost}/${fullName(repository)}.git`,
          };
        },
      };
    },
  };
}

function toTask(issue: GithubIssue, repository: RepositoryName): IssueTask {
  const { number, title, url, state, author, at, text, comments, commentCount } = issue;
  return {
    what: `GitHub issue ${fullName(repository)}#${number}`,
    url,
    title,
    facts: [`State: ${state}. Opened by ${author}${at ? `, ${cleanLine(at, 30)}` : ""}.`],
    body: text,
    comments,
    hasMore: commentCount > comments.length,
  };
}

function tellNowhere(number: number, hasPlace: boolean, webHost: string): string {
  const why = hasPlace ? `the repository of this work is not at ${webHost}` : "no repository is named";
  return `Which issue #${number} is meant is not known: ${why}. Write owner/repository#${number}, or give \`repository_url\`.`;
}

function tellFailure(error: Error, name: string): string {
  const why = `The issue ${name} could not be read: ${error.message}.`;
  if (!(error instanceof GithubRefused)) return `${why} Try again later, or put its text into the message.`;
  return error.status === 401 || error.status === 403 || error.status === 404 ? `${why} ${SETUP}` : why;
}
