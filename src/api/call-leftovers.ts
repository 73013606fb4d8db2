import * as z from "zod";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { API } from "./endpoints.js";
import type { Requests } from "./requests.js";
import { leftoversWire, removalWire, toLeftovers, toRemoval } from "./wire/leftovers.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The calls about what sessions have left on the disk of the machine that our own engine works on. */
export function createLeftoverCalls({
  request,
}: Requests): Pick<WorkflowsApi, "listLeftovers" | "removeLeftover" | "removeMergedBranch"> {
  const act = { method: "POST" as const, limitBytes: BODY_LIMITS.act, acts: true };
  return {
    async listLeftovers() {
      const call = {
        method: "GET" as const,
        path: `${API}/leftovers`,
        limitBytes: BODY_LIMITS.list,
        retries: 0,
      };
      return toLeftovers(await request({ ...call, doing: "see what sessions have left" }, leftoversWire));
    },

    async removeLeftover({ id, mark, name }, force) {
      const body = { id, mark, force };
      const call = { ...act, path: `${API}/leftovers/remove`, body, doing: `remove ${name}` };
      return toRemoval(await request(call, removalWire));
    },

    async removeMergedBranch({ clone, branch, commit }) {
      const body = { clone, branch, commit };
      await request(
        { ...act, path: `${API}/leftovers/branch`, body, doing: `remove the branch ${branch}` },
        z.unknown(),
      );
    },
  };
}
