import { cleanLine } from "../../shared/text.js";
import type { Engine } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { moment } from "./moment-schema.js";
import { flag } from "./pydantic.js";
import { toMoment } from "./run-wire.js";
import * as z from "./schemas.js";

const leftoverSchema = z
  .object({
    id: z.string().describe("Names it for its removal"),
    kind: z
      .enum(["session", "folder", "clone", "branches", "branch"])
      .describe(
        "A session's workspace; a folder of no session; a clone that no session uses; branches of a clone that no " +
          "session has, with no commits of their own; one with commits",
      ),
    name: z.string(),
    session_id: z.string().optional(),
    path: z.string(),
    repository: z.string().optional(),
    bytes: z.number(),
    bytes_whole: z.boolean().describe("False: it takes at least so much"),
    used_at: moment.optional(),
    in_use: z.boolean().describe("A run of the session is going on or waiting: it is not removed"),
    held_by: z.string().optional().describe("The branch of the repository that has all of its commits"),
    delivered: z.boolean().describe("That branch is the session's own, and is not merged"),
    untouched: z.boolean().describe("The session has committed nothing"),
    commits_only_here: z.number(),
    commits: z.array(z.string()).describe("Those, at most 20; of `branches` their names"),
    files: z.number().describe("Files that are in no commit"),
    losses: z.array(z.string()).describe("What is in no commit, in words"),
    problem: z.string().optional().describe("Why it is not known what it holds"),
    safe: z.boolean().describe("Nothing would be lost with it"),
    mark: z.string().describe("Changes with what it holds"),
  })
  .openapi("Leftover");

const leftoversSchema = z
  .object({
    items: z.array(leftoverSchema),
    merged_branches: z
      .array(
        z.object({
          clone: z.string(),
          repository: z.string(),
          branch: z.string(),
          commit: z.string(),
          into: z.string(),
        }),
      )
      .describe("Branches that sessions have left in repositories of this machine, merged there"),
    bytes: z.number(),
    bytes_whole: z.boolean(),
  })
  .openapi("Leftovers");

const removeBody = z
  .object({
    id: z.string().min(1).max(500),
    mark: z.string().max(100).describe("Of the look: nothing is removed that has changed since"),
    force: flag().default(false).describe("Also what is nowhere else"),
  })
  .openapi("RemoveLeftover");

const branchBody = z
  .object({ clone: z.string().max(200), branch: z.string().max(250), commit: z.string().max(64) })
  .openapi("RemoveMergedBranch");

/** Adds the endpoints by which a person sees what sessions have left on the disk, and removes it. */
export function addLeftoverEndpoints(app: EngineApp, { engine }: { engine: Engine }): void {
  addEndpoint(app, {
    method: "get",
    path: "/leftovers",
    summary: "What sessions have left on the disk, and what would be lost with it",
    description: "Repositories are fetched first. Takes as long as that and adding up the sizes take.",
    answer: leftoversSchema,
    async handle() {
      const { items, mergedBranches, size } = await engine.leftovers();
      return {
        items: items.map((item) => ({
          id: item.id,
          kind: item.kind,
          name: item.name,
          ...(item.sessionKey === undefined ? {} : { session_id: item.sessionKey }),
          path: item.path,
          ...(item.repository === undefined ? {} : { repository: item.repository }),
          bytes: item.size.bytes,
          bytes_whole: item.size.whole,
          ...(item.usedAt > 0 ? { used_at: toMoment(item.usedAt) } : {}),
          in_use: item.inUse,
          ...(item.heldBy === undefined ? {} : { held_by: item.heldBy }),
          delivered: item.isDelivered,
          untouched: item.isUntouched,
          commits_only_here: item.commitsOnlyHere,
          commits: item.commits,
          files: item.files,
          losses: item.losses,
          ...(item.problem === undefined ? {} : { problem: item.problem }),
          safe: item.safe,
          mark: item.mark,
        })),
        merged_branches: mergedBranches,
        bytes: size.bytes,
        bytes_whole: size.whole,
      };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/leftovers/remove",
    summary: "Remove something that a session has left",
    description: "What is nowhere else goes with `force` only. Refused while a run of the session goes on.",
    body: removeBody,
    answer: z.object({
      id: z.string(),
      kept: z.string().nullable(),
      lost: z.string().nullable(),
      errors: z.array(z.string()),
    }),
    refusals: [409, 413],
    async handle({ body: { id, mark, force } }) {
      const { kept, lost, errors } = await engine.removeLeftover(id, { mark, force });
      return { id, kept: kept ?? null, lost: lost ? cleanLine(lost, 500) : null, errors };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/leftovers/branch",
    summary: "Take a merged branch of a session out of a repository of this machine",
    description:
      "As git branch -d: only where it is merged, stands where it was seen, and is not checked out.",
    body: branchBody,
    answer: z.object({ branch: z.string() }),
    refusals: [409, 413],
    async handle({ body }) {
      await engine.removeMergedBranch(body);
      return { branch: body.branch };
    },
  });
}
