import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { descriptionWire, toDescription } from "./description.js";
import { type ApiError, isPassing } from "./errors.js";
import type { Requests } from "./requests.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The call that reads what the API says of itself. */
export function createDescriptionCall({ request, hide }: Requests): Pick<WorkflowsApi, "describe"> {
  return {
    async describe(read = {}) {
      try {
        const wire = await request(
          {
            method: "GET",
            path: "/api/v1/openapi.json",
            limitBytes: BODY_LIMITS.description,
            doing: "read the API's description",
            retries: 0,
            needsNoKey: true,
            ...read,
          },
          descriptionWire,
        );
        return { description: toDescription(wire, hide) };
      } catch (error) {
        if (isPassing(error as ApiError) || (error as ApiError).kind === "aborted") throw error;
        return { error: error as ApiError };
      }
    },
  };
}
