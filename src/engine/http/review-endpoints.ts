import { cleanLine } from "../../shared/text.js";
import { type Engine, EngineRefusal } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { flag, integer } from "./pydantic.js";
import { toPullRequest } from "./run-wire.js";
import * as z from "./schemas.js";
import {
  askedPullRequestSchema,
  diffSchema,
  discardedSchema,
  headSchema,
  pullRequestSightSchema,
  takenSchema,
} from "./work-schemas.js";

/** A whole diff of this size, in bytes, is more than any client reads. */
const MAX_DIFF_BYTES = 16 * 1024 * 1024;
const DEFAULT_DIFF_BYTES = 1024 * 1024;

const takeBody = z
  .object({
    into: z.string().max(250).nullish().describe("A branch of the repository; the base branch when left out"),
    new_branch: flag()
      .default(false)
      .describe("The branch is made when the repository has none of that name"),
    squash: flag().default(false).describe("One commit in place of the session's own ones"),
    check: z
      .string()
      .nullish()
      .describe(
        "A command that has to pass on the merge before anything is merged; it runs on the engine's machine as its user. " +
          "It is ended, and nothing merged, when the request's connection ends",
      ),
    check_timeout: integer({ ge: 1 })
      .nullish()
      .describe("A shorter time for the check than the engine's own, in seconds"),
  })
  .openapi("Take");

/** GitHub takes as much. */
const BODY_CHARS = 65_000;

const pullRequestBody = z
  .object({
    title: z.string().min(1).max(250).nullish().describe("Of the run's own making when left out"),
    body: z.string().max(BODY_CHARS).nullish(),
    comment: z.string().max(BODY_CHARS).nullish().describe("The one comment that is kept up to date"),
    branch: z
      .string()
      .max(250)
      .nullish()
      .describe("A branch of the session's repository in place of the session's own"),
  })
  .openapi("AskForPullRequest");

/** Adds the endpoints by which a person looks at a session's commits, takes them and throws them away. */
export function addReviewEndpoints(app: EngineApp, { engine }: { engine: Engine }): void {
  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/diff",
    summary: "What the session's commits change",
    query: z.object({
      max_bytes: integer({ ge: 1, le: MAX_DIFF_BYTES }).default(DEFAULT_DIFF_BYTES),
    }),
    answer: diffSchema,
    refusals: [404, 409],
    async handle({ id, query }) {
      const { text, cut, branch, baseBranch } = await engine.diff(id, query.max_bytes);
      return { run_id: id, branch, base_branch: baseBranch, diff: text, cut };
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/work",
    summary: "Where the session's branch stands by now, whoever has committed to it",
    answer: headSchema,
    refusals: [404, 409],
    async handle({ id }) {
      const { branch, commit } = await engine.head(id);
      return { run_id: id, branch, head_commit: commit };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/take",
    summary: "Merge the session's commits into a branch of the repository",
    description:
      "A branch that is checked out in a local repository is moved with its files, where nothing that is not committed " +
      "is in the way. On a conflict, or when the check does not pass, nothing is changed.",
    body: takeBody,
    answer: takenSchema,
    refusals: [404, 409, 503],
    async handle({
      id,
      body: { into, new_branch: newBranch, squash, check, check_timeout: limit },
      context,
    }) {
      const { taken, commit, hadAll, message, conflicts, ...rest } = await engine.take(id, {
        ...(into?.trim() ? { into: into.trim() } : {}),
        newBranch,
        squash,
        // Also an empty one: whoever asks for a check is not to get a merge without it.
        ...(typeof check === "string" ? { check, signal: context.req.raw.signal } : {}),
        ...(limit ? { checkLimitMs: limit * 1000 } : {}),
      });
      return {
        run_id: id,
        taken,
        into: rest.into,
        commit: commit ?? hadAll ?? null,
        had_all: hadAll !== undefined,
        message,
        conflicts,
        check: rest.check
          ? {
              command: rest.check.command,
              passed: rest.check.passed,
              exit_code: rest.check.exitCode ?? null,
              timed_out: rest.check.timedOut,
              seconds: rest.check.ms / 1000,
              output: rest.check.output,
              cut: rest.check.cut,
            }
          : null,
      };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/discard",
    summary: "Throw the session's worktree and branches away",
    description:
      "Uncommitted changes go too. Branches that somebody named, checked out or put commits on stay.",
    answer: discardedSchema,
    refusals: [404, 409],
    async handle({ id }) {
      const { removed, lost, kept, errors } = await engine.discard(id);
      return { run_id: id, removed, lost: lost.map((line) => cleanLine(line, 300)), kept, errors };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/pull-request",
    summary: "Push the session's branch and open a pull request, or have it say something else",
    description:
      "Done in the background, once for a branch; the run's status tells what has become of it. Never to be asked for " +
      "without asking the person: others see what is pushed.",
    body: pullRequestBody,
    answer: askedPullRequestSchema,
    refusals: [404, 409, 503],
    async handle({ id, body: { title, body, comment, branch } }) {
      const run = await engine.openPullRequest(id, {
        ...(title ? { title } : {}),
        ...(body ? { body } : {}),
        ...(comment ? { comment } : {}),
        ...(branch ? { branch } : {}),
      });
      const told = toPullRequest(run);
      if (!told) throw new EngineRefusal(409, `No pull request was opened for run ${id}.`);
      return { run_id: id, pull_request: told };
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/pull-request",
    summary: "How the pull request of the run's session stands at GitHub: failed checks, unresolved reviews",
    answer: pullRequestSightSchema,
    refusals: [404, 409, 503],
    async handle({ id, context }) {
      const { checks, reviews, ...pull } = await engine.lookAtPullRequest(id, context.req.raw.signal);
      return {
        run_id: id,
        url: pull.url,
        number: pull.number,
        state: pull.state,
        draft: pull.isDraft,
        head_commit: pull.headCommit,
        own_branch: pull.isOwnBranch,
        checks: checks.state,
        running: checks.running,
        failed: checks.failed.map(({ name, conclusion, url, output }) => ({
          ...{ name, conclusion, url: url ?? null, output: output ?? null },
        })),
        reviews: reviews.points.map(({ path, line, comments }) => ({
          path: path ?? null,
          line: line ?? null,
          comments: comments.map(({ author, at, text }) => ({ author, at: at ?? null, text })),
        })),
        notes: [checks.note, reviews.note].filter((note) => note !== undefined),
      };
    },
  });
}
