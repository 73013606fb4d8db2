import * as z from "zod";
import { cleanLine, cleanText } from "../../shared/text.js";
import { type CallGithub, GithubRefused } from "./call-github.js";
import type { RepositoryName } from "./repository-name.js";
import { commentWire, issueWire, pullWire, repositoryWire, userWire } from "./wire.js";

/** A repository that the token's owner can see. */
export interface GithubRepository {
  /** `owner/name` */
  fullName: string;
  /** As git takes it. */
  httpsUrl: string;
  sshUrl?: string;
  defaultBranch?: string;
  isPrivate: boolean;
}

/** What somebody has written; the text is untrusted. */
export interface WrittenText {
  author: string;
  text: string;
  /** ISO 8601, as GitHub tells it. */
  at?: string;
  /** They belong to the repository, by what GitHub says. */
  isMember?: true;
}

/** An issue, or a pull request, which has a number among the issues, too. */
export interface GithubIssue extends WrittenText {
  number: number;
  title: string;
  state: string;
  url: string;
  /** The newest, in their order. */
  comments: WrittenText[];
  /** How many there are. */
  commentCount: number;
}

export interface PullRequest {
  number: number;
  url: string;
  title: string;
  isOpen: boolean;
  isMerged: boolean;
  isDraft: boolean;
  /** Where its branch stands at GitHub. */
  headCommit: string;
  head: string;
  base: string;
}

/** What a pull request is opened with. */
export interface NewPullRequest {
  title: string;
  body: string;
  head: string;
  base: string;
  draft: boolean;
}

/** What is wanted of GitHub. Every method throws Refused, NotNow and Unknown, and nothing else. */
export interface Github {
  /** The login of the token's owner. */
  whoAmI(signal?: AbortSignal): Promise<string>;
  /** Those that were pushed to last come first; at most 30, none that is archived. */
  listRepositories(signal?: AbortSignal): Promise<GithubRepository[]>;
  readRepository(repository: RepositoryName, signal?: AbortSignal): Promise<GithubRepository>;
  /** @param newest so many comments are read, the newest */
  readIssue(
    repository: RepositoryName,
    number: number,
    newest: number,
    signal?: AbortSignal,
  ): Promise<GithubIssue>;
  readPull(repository: RepositoryName, number: number, signal?: AbortSignal): Promise<PullRequest>;
  /** The open one of a branch; undefined when there is none. */
  findPull(repository: RepositoryName, head: string, signal?: AbortSignal): Promise<PullRequest | undefined>;
  /** @throws GithubRefused with status 422 where there is one already, and where there is nothing to be merged */
  openPull(repository: RepositoryName, asked: NewPullRequest, signal?: AbortSignal): Promise<PullRequest>;
  /** The id of one's own comment that has the marker in it; undefined when the newest 300 have it not. */
  findComment(
    repository: RepositoryName,
    number: number,
    marker: string,
    signal?: AbortSignal,
  ): Promise<number | undefined>;
  addComment(repository: RepositoryName, number: number, body: string, signal?: AbortSignal): Promise<number>;
  /** @returns false when it is not there any more */
  editComment(repository: RepositoryName, id: number, body: string, signal?: AbortSignal): Promise<boolean>;
}

/** What every comment of ours begins with; nobody sees it. */
export const OWN_MARK = "<!-- automagik-workflows";
const REPOSITORIES = 30;
const PAGE = 100;
/** Pages of comments in which one is looked for. */
const PAGES_LOOKED_AT = 3;
const TITLE_CHARS = 300;
const TEXT_CHARS = 70_000;

export function pathOf({ owner, name }: RepositoryName): string {
  return `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`;
}

export function createGithub({ json }: Pick<CallGithub, "json">): Github {
  /** The newest comments, and those of the page before where they are few. */
  async function readComments(
    repository: RepositoryName,
    number: number,
    { count, newest, signal }: { count: number; newest: number; signal?: AbortSignal | undefined },
  ): Promise<z.output<typeof commentWire>[]> {
    const size = Math.min(PAGE, newest);
    const last = Math.ceil(count / size);
    const read = (page: number) =>
      json(
        {
          method: "GET",
          path: `${pathOf(repository)}/issues/${number}/comments`,
          query: { per_page: size, page },
          signal,
        },
        z.array(commentWire),
      );
    if (last === 0) return [];
    const found = await read(last);
    const before = found.length < size && last > 1 ? await read(last - 1) : [];
    return [...before, ...found].slice(-newest);
  }

  return {
    async whoAmI(signal) {
      return (await json({ method: "GET", path: "/user", signal }, userWire)).login;
    },

    async listRepositories(signal) {
      const query = { sort: "pushed", per_page: REPOSITORIES };
      const found = await json(
        { method: "GET", path: "/user/repos", query, signal },
        z.array(repositoryWire),
      );
      return found.filter(({ archived }) => archived !== true).flatMap((one) => toRepository(one) ?? []);
    },

    async readRepository(repository, signal) {
      const read = toRepository(
        await json({ method: "GET", path: pathOf(repository), signal }, repositoryWire),
      );
      if (read) return read;
      throw new GithubRefused("GitHub's answer cannot be read", 200);
    },

    async readIssue(repository, number, newest, signal) {
      const path = `${pathOf(repository)}/issues/${number}`;
      const issue = await json({ method: "GET", path, signal }, issueWire);
      const count = issue.comments ?? 0;
      const comments = newest > 0 ? await readComments(repository, number, { count, newest, signal }) : [];
      return {
        ...toWritten(issue),
        number: issue.number,
        title: cleanLine(issue.title, TITLE_CHARS),
        state: cleanLine(issue.state ?? "unknown", 20),
        url: cleanLine(issue.html_url ?? "", 300),
        comments: comments.map(toWritten),
        commentCount: Math.max(count, comments.length),
      };
    },

    async readPull(repository, number, signal) {
      return toPull(
        await json({ method: "GET", path: `${pathOf(repository)}/pulls/${number}`, signal }, pullWire),
      );
    },

    async findPull(repository, head, signal) {
      // Of a fork's branch the same name is not ours.
      const query = { head: `${repository.owner}:${head}`, state: "open" };
      const path = `${pathOf(repository)}/pulls`;
      const found = await json({ method: "GET", path, query, signal }, z.array(pullWire));
      // An owner that was renamed is no filter at GitHub any more, which then gives all.
      const own = found.find((one) => one.head.ref === head);
      return own && toPull(own);
    },

    async openPull(repository, asked, signal) {
      const path = `${pathOf(repository)}/pulls`;
      return toPull(await json({ method: "POST", path, body: asked, signal }, pullWire));
    },

    async findComment(repository, number, marker, signal) {
      const path = `${pathOf(repository)}/issues/${number}`;
      const [{ comments: count }, { login }] = await Promise.all([
        json({ method: "GET", path, signal }, issueWire),
        json({ method: "GET", path: "/user", signal }, userWire),
      ]);
      const last = Math.ceil((count ?? 0) / PAGE);
      for (let page = last; page > Math.max(0, last - PAGES_LOOKED_AT); page--) {
        const query = { per_page: PAGE, page };
        const call = { method: "GET", path: `${path}/comments`, query, signal } as const;
        const comments = await json(call, z.array(commentWire));
        // Whoever may comment could write the marker, too.
        const found = comments.find(({ body, user }) => user?.login === login && body?.includes(marker));
        if (found) return found.id;
      }
      return undefined;
    },

    async addComment(repository, number, body, signal) {
      const path = `${pathOf(repository)}/issues/${number}/comments`;
      return (await json({ method: "POST", path, body: { body }, signal }, commentWire)).id;
    },

    async editComment(repository, id, body, signal) {
      const path = `${pathOf(repository)}/issues/comments/${id}`;
      try {
        await json({ method: "PATCH", path, body: { body }, signal }, commentWire);
        return true;
      } catch (error) {
        if (error instanceof GithubRefused && error.status === 404) return false;
        throw error;
      }
    },
  };
}

function toRepository(wire: z.output<typeof repositoryWire>): GithubRepository | undefined {
  const { full_name, clone_url, ssh_url, default_branch } = wire;
  if (!clone_url) return undefined;
  return {
    fullName: cleanLine(full_name, 200),
    httpsUrl: cleanLine(clone_url, 500),
    ...(ssh_url ? { sshUrl: cleanLine(ssh_url, 500) } : {}),
    ...(default_branch ? { defaultBranch: cleanLine(default_branch, 250) } : {}),
    isPrivate: wire.private === true,
  };
}

function toPull(wire: z.output<typeof pullWire>): PullRequest {
  return {
    number: wire.number,
    url: cleanLine(wire.html_url ?? "", 300),
    title: cleanLine(wire.title ?? "", TITLE_CHARS),
    isOpen: wire.state !== "closed",
    isMerged: Boolean(wire.merged_at),
    isDraft: wire.draft === true,
    headCommit: cleanLine(wire.head.sha, 64),
    head: cleanLine(wire.head.ref, 250),
    base: cleanLine(wire.base.ref, 250),
  };
}

/** Whoever may write to the repository, or belongs to its owner. */
const MEMBERS = ["OWNER", "MEMBER", "COLLABORATOR"];

export function toWritten({
  body,
  user,
  created_at,
  author_association,
}: Pick<z.output<typeof commentWire>, "body" | "user" | "created_at" | "author_association">): WrittenText {
  return {
    author: cleanLine(user?.login ?? "somebody", 60),
    text: cleanText(body ?? "", TEXT_CHARS).trim(),
    ...(created_at ? { at: cleanLine(created_at, 40) } : {}),
    ...(MEMBERS.includes(author_association ?? "") ? { isMember: true } : {}),
  };
}
