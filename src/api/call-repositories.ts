import * as z from "zod";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { cleanLine } from "../shared/text.js";
import { API } from "./endpoints.js";
import type { ApiError } from "./errors.js";
import type { Requests } from "./requests.js";
import type { WorkflowsApi } from "./workflows-api.js";

const checkedWire = z.object({
  path: z.string(),
  folders: z.array(z.string()),
  allowed: z.boolean(),
  problem: z.string().optional(),
  changes: z
    .object({
      branch: z.string().optional(),
      is_base: z.boolean(),
      count: z.number(),
      files: z.array(z.string()),
      left_out: z.number(),
      problem: z.string().optional(),
    })
    .optional(),
});

/** The calls about repositories of the machine that our own engine works on. */
export function createRepositoryCalls({
  request,
}: Requests): Pick<WorkflowsApi, "checkRepository" | "allowRepository"> {
  return {
    async checkRepository(path, { sessionId, changesOn, signal } = {}) {
      try {
        const { changes, ...checked } = await request(
          {
            method: "POST",
            path: `${API}/repositories/check`,
            body: {
              path,
              ...(sessionId === undefined ? {} : { session_id: sessionId }),
              ...(changesOn === undefined ? {} : { changes: true, git_branch: changesOn }),
            },
            limitBytes: BODY_LIMITS.act,
            doing: "ask the engine whether the repository is allowed",
            ...(signal ? { signal } : {}),
          },
          checkedWire,
        );
        if (!changes) return checked;
        const { is_base, left_out, files, ...others } = changes;
        return {
          ...checked,
          changes: {
            ...others,
            files: files.map((path) => cleanLine(path)),
            isBase: is_base,
            leftOut: left_out,
          },
        };
      } catch (error) {
        const { kind, status } = error as ApiError;
        if (kind === "not_found" || status === 405) return undefined;
        throw error;
      }
    },

    async allowRepository({ path, folders }) {
      await request(
        {
          method: "POST",
          path: `${API}/repositories/allow`,
          body: { path, folders: [...folders] },
          limitBytes: BODY_LIMITS.act,
          doing: "allow the repository",
          acts: true,
        },
        z.unknown(),
      );
    },
  };
}
