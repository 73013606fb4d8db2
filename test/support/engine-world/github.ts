import { readFileSync, writeFileSync } from "node:fs";
import { GithubRefused } from "../../../src/integrations/github/call-github.js";
import type { PullRequest } from "../../../src/integrations/github/github.js";
import type { OpenedGithub } from "../../../src/integrations/github/open-github.js";
import { COMMIT } from "./workspaces.js";

/** What GitHub has, in a file that outlives whoever is killed. */
export interface GithubFile {
  pulls: (PullRequest & { comments: { id: number; body: string }[] })[];
  /** Branches for which a second pull request was asked for. */
  askedTwice: string[];
}

/** All that GitHub has; nothing where it was never asked. */
export function readGithub(file: string): GithubFile {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { pulls: [], askedTwice: [] };
  }
}

/**
 * GitHub as far as pull requests of runs need it, with a check that has failed on each commit.
 * @param file where it keeps what it has
 */
export function createWorldGithub(file: string): OpenedGithub {
  const refuse = () => Promise.reject(new GithubRefused("it is not there", 404));
  const change = <T>(step: (all: GithubFile) => T): T => {
    const all = readGithub(file);
    try {
      return step(all);
    } finally {
      writeFileSync(file, JSON.stringify(all));
    }
  };
  const pullOf = ({ pulls }: GithubFile, number: number) => pulls.find((one) => one.number === number);

  /** What else is asked, by the end of its path. */
  const ANSWERS: readonly [RegExp, unknown][] = [
    [
      /\/check-runs$/,
      {
        total_count: 1,
        check_runs: [{ id: 1, name: "test", status: "completed", conclusion: "failure" }],
      },
    ],
    [/\/status$/, { statuses: [] }],
    [/\/reviews$/, []],
    [/\/graphql$/, { data: { repository: { pullRequest: { reviewThreads: { nodes: [] } } } } }],
  ];

  return {
    webHost: "github.com",
    hasToken: async () => true,
    call: {
      async json({ path }, schema) {
        const [, answer] = ANSWERS.find(([form]) => form.test(path)) ?? [];
        return answer === undefined ? refuse() : schema.parse(answer);
      },
      text: async () => "",
    },
    github: {
      whoAmI: async () => "walker",
      listRepositories: async () => [],
      readRepository: refuse,
      readIssue: refuse,
      async readPull(_, number) {
        return pullOf(readGithub(file), number) ?? refuse();
      },
      findPull: async (_, head) => readGithub(file).pulls.find((one) => one.head === head && one.isOpen),
      async openPull(_, { title, head, base, draft }) {
        return change((all) => {
          if (all.pulls.some((one) => one.head === head)) {
            all.askedTwice.push(head);
            throw new GithubRefused("it is there", 422, ["A pull request already exists"]);
          }
          const number = all.pulls.length + 1;
          const url = `https://github.com/acme/shop/pull/${number}`;
          const state = { isOpen: true, isMerged: false, isDraft: draft, headCommit: COMMIT };
          const pull = { number, url, title, head, base, ...state, comments: [] };
          all.pulls.push(pull);
          return pull;
        });
      },
      async findComment(_, number, marker) {
        return pullOf(readGithub(file), number)?.comments.find(({ body }) => body.includes(marker))?.id;
      },
      async addComment(_, number, body) {
        return change((all) => {
          const id = number * 100 + (pullOf(all, number)?.comments.push({ id: 0, body }) ?? 0);
          for (const one of pullOf(all, number)?.comments ?? []) one.id ||= id;
          return id;
        });
      },
      async editComment(_, id, body) {
        return change((all) => {
          const comment = all.pulls.flatMap(({ comments }) => comments).find((one) => one.id === id);
          if (comment) comment.body = body;
          return comment !== undefined;
        });
      },
    },
  };
}
