import { createDescriptionCall } from "./call-description.js";
import { createEventCalls } from "./call-events.js";
import { createLeftoverCalls } from "./call-leftovers.js";
import { createRepositoryCalls } from "./call-repositories.js";
import { createRunCalls } from "./call-runs.js";
import { createWorkCalls } from "./call-work.js";
import { createWorkflowCalls } from "./call-workflows.js";
import { type ApiClientOptions, createRequests } from "./requests.js";
import type { WorkflowsApi } from "./workflows-api.js";

export type { ApiClientOptions } from "./requests.js";
export type { WorkflowsApi } from "./workflows-api.js";

/** The client of the workflows API. Wire fields and addresses go no further than this folder. */
export function createApiClient(options: ApiClientOptions): WorkflowsApi {
  const requests = createRequests(options);
  const { hasKey, outage, clockOffsetMs, apiTime, close } = requests;
  return {
    get address() {
      return requests.address;
    },
    hasKey,
    outage,
    clockOffsetMs,
    apiTime,
    close,
    ...createWorkflowCalls(requests),
    ...createRunCalls(requests),
    ...createWorkCalls(requests),
    ...createEventCalls(requests),
    ...createDescriptionCall(requests),
    ...createRepositoryCalls(requests),
    ...createLeftoverCalls(requests),
  };
}
