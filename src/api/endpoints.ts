import { ApiError } from "./errors.js";

/** The API's own path below the configured address. */
export const API = "/api/v1/workflows/claude-code";

/** Every endpoint in use, below {@link API}, as an OpenAPI description writes it. */
export const ENDPOINTS = {
  start: { method: "post", path: "/run/{workflow_name}" },
  status: { method: "get", path: "/run/{run_id}/status" },
  runs: { method: "get", path: "/runs" },
  add_message: { method: "post", path: "/run/{run_id}/add-message" },
  message_queue: { method: "get", path: "/run/{run_id}/message-queue" },
  kill: { method: "post", path: "/run/{run_id}/kill" },
  cleanup: { method: "post", path: "/run/{run_id}/cleanup" },
  manage: { method: "get", path: "/manage" },
  workflows: { method: "get", path: "/workflows" },
  health: { method: "get", path: "/health" },
  events: { method: "get", path: "/events" },
  diff: { method: "get", path: "/run/{run_id}/diff" },
  work: { method: "get", path: "/run/{run_id}/work" },
  take: { method: "post", path: "/run/{run_id}/take" },
  pull_request: { method: "get", path: "/run/{run_id}/pull-request" },
  open_pull_request: { method: "post", path: "/run/{run_id}/pull-request" },
  discard: { method: "post", path: "/run/{run_id}/discard" },
  answer: { method: "post", path: "/run/{run_id}/questions/{question_id}/answer" },
} as const;

/** The name of an endpoint. */
export type Endpoint = keyof typeof ENDPOINTS;

/** All of them, in the order in which they are told. */
export const ENDPOINT_NAMES = Object.keys(ENDPOINTS) as Endpoint[];

/** "POST /run/{run_id}/kill" */
export function nameEndpoint(endpoint: Endpoint): string {
  const { method, path } = ENDPOINTS[endpoint];
  return `${method.toUpperCase()} ${path}`;
}

/**
 * A name or id as one part of a path. Addresses take `.` and `..` for steps, encoded or not: `/run/./kill` would be
 * the start of a workflow named kill.
 * @throws ApiError for a name that can be none
 */
export function toSegment(name: string): string {
  if (!/^\.{0,2}$/.test(name)) return encodeURIComponent(name);
  throw new ApiError("not_found", `"${name}" is not a valid name or id. Nothing was sent. Correct it.`);
}
