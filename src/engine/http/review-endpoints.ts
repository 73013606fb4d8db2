import { cleanLine } from "../../shared/text.js";
import type { Engine } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { flag, integer } from "./pydantic.js";
import * as z from "./schemas.js";
import { diffSchema, discardedSchema, headSchema, takenSchema } from "./work-schemas.js";

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
}
