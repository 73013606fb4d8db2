import { z } from "@hono/zod-openapi";
import type { EngineRun } from "../runs/run.js";
import type { AllowedRepositories } from "../workspaces/allowed-repositories.js";
import { consentSchema } from "../workspaces/consent.js";
import { WorkspaceError, type Workspaces } from "../workspaces/types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";

const checkBody = z
  .object({
    path: z.string().describe("A folder of this machine, or its file address"),
    session_id: z.string().nullish().describe("The session that is to be continued"),
  })
  .openapi("CheckRepository");

const checkedSchema = z
  .object({
    path: z.string().describe("The folder as it really is"),
    folders: z.array(z.string()).describe("It, and those of its parts that lie elsewhere"),
    allowed: z.boolean(),
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
    runs: { all(): readonly EngineRun[] };
    workspaces: Pick<Workspaces, "checkRepository">;
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
      const known = runs.all().filter((run) => run.sessionId === body.session_id);
      const consent = known.find((run) => run.request.consent)?.request.consent;
      const checked = await workspaces.checkRepository(body.path, consent).catch(refuse);
      const problem = await allowedRepositories.list().then(
        () => undefined,
        (error: Error) => error.message,
      );
      return { ...checked, ...(problem && !checked.allowed ? { problem } : {}) };
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

function refuse(error: unknown): never {
  throw error instanceof WorkspaceError ? new HttpRefusal(400, error.message) : error;
}
