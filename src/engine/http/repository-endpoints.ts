import { cleanLine } from "../../shared/text.js";
import type { EngineRun } from "../runs/run.js";
import type { AllowedRepositories } from "../workspaces/allowed-repositories.js";
import { consentSchema } from "../workspaces/consent.js";
import { type ChangesThere, WorkspaceError, type Workspaces } from "../workspaces/types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";
import * as z from "./schemas.js";

const checkBody = z
  .object({
    path: z.string().describe("A folder of this machine, or its file address"),
    session_id: z.string().nullish().describe("The session that is to be continued"),
    changes: z.boolean().nullish().describe("Look also for what is not committed there"),
    git_branch: z.string().nullish().describe("The branch that a new session would be asked to work on"),
  })
  .openapi("CheckRepository");

const checkedSchema = z
  .object({
    path: z.string().describe("The folder as it really is"),
    folders: z.array(z.string()).describe("It, and those of its parts that lie elsewhere"),
    allowed: z.boolean(),
    changes: z
      .object({
        branch: z.string().optional().describe("What is checked out, where that is a branch"),
        is_base: z.boolean().describe("A session on the branch that was asked about would begin there"),
        count: z.int().describe("Files with changes that can be taken along"),
        files: z.array(z.string()).describe("The first of them"),
        left_out: z.int().describe("Submodules, files that pass a filter, and the like: never taken along"),
        problem: z.string().optional().describe("Why they cannot be taken along, and what helps"),
      })
      .optional()
      .describe(
        "What is not committed there; missing unless asked for, where no files are checked out, and when git takes too long",
      ),
    problem: z.string().optional().describe("Why the list of allowed repositories does not count"),
  })
  .openapi("CheckedRepository");

const allowBody = z.object(consentSchema.shape).openapi("RepositoryConsent");

/**
 * Adds the endpoints that tell whether agents may work on copies of a repository of this machine, and that remember a
 * person's word that they may. For an engine that only this machine reaches: whoever else has its key could otherwise
 * allow themselves any folder.
 */
export function addRepositoryEndpoints(
  app: EngineApp,
  options: {
    runs: { ofSession(sessionId: string): readonly EngineRun[] };
    workspaces: Pick<Workspaces, "checkRepository" | "findChanges">;
    allowedRepositories: AllowedRepositories;
  },
): void {
  const { runs, workspaces, allowedRepositories } = options;

  addEndpoint(app, {
    method: "post",
    path: "/repositories/check",
    summary: "Whether agents may work on copies of a repository of this machine",
    body: checkBody,
    answer: checkedSchema,
    refusals: [400, 413],
    async handle({ body }) {
      const known = body.session_id ? runs.ofSession(body.session_id) : [];
      const consent = known.find((run) => run.request.consent)?.request.consent;
      const checked = await workspaces.checkRepository(body.path, consent).catch(refuse);
      const problem = await allowedRepositories.list().then(
        () => undefined,
        (error: Error) => error.message,
      );
      const changes = body.changes
        ? await workspaces.findChanges(body.path, body.git_branch ?? "").catch(refuse)
        : undefined;
      return {
        ...checked,
        ...(changes ? { changes: toChanges(changes) } : {}),
        ...(problem && !checked.allowed ? { problem } : {}),
      };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/repositories/allow",
    summary: "Remember that a person has allowed a repository of this machine",
    description: "Refused when the repository does not consist of just these folders (any more).",
    body: allowBody,
    answer: z.object({ path: z.string(), allowed: z.literal(true) }),
    refusals: [400, 413],
    async handle({ body }) {
      const { path, folders } = await workspaces.checkRepository(body.path).catch(refuse);
      const isSame = path === body.path && JSON.stringify(folders) === JSON.stringify(body.folders);
      if (!isSame)
        throw new HttpRefusal(400, "The repository has changed since it was looked at. Nothing was allowed.");
      await allowedRepositories.add({ path, folders }).catch((error: unknown) => {
        throw error instanceof WorkspaceError ? new HttpRefusal(400, error.message) : error;
      });
      return { path, allowed: true as const };
    },
  });
}

/** So many files are named. */
const NAMED_FILES = 5;

function toChanges({ branch, isBase, files, leftOut, problem }: ChangesThere) {
  return {
    ...(branch === undefined ? {} : { branch }),
    is_base: isBase,
    count: files.length,
    files: files.slice(0, NAMED_FILES).map((path) => cleanLine(path, 100)),
    left_out: leftOut.length,
    ...(problem === undefined ? {} : { problem }),
  };
}

function refuse(error: unknown): never {
  throw error instanceof WorkspaceError ? new HttpRefusal(400, error.message) : error;
}
