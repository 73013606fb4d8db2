import type { Discovery } from "./routes.js";

/** A small OpenAPI description that lists the API's paths, enough to see which of them exist. */
export function describeApi(basePath: string, discovery: Discovery) {
  const paths: Record<string, [method: string, summary: string][]> = {
    "/run/{workflow_name}": [["post", "Start a run"]],
    "/runs": [["get", "List runs"]],
    "/run/{run_id}/status": [["get", "Status of a run"]],
    "/run/{run_id}/add-message": [["post", "Queue a message for a run"]],
    "/run/{run_id}/message-queue": [["get", "Counters of a run's message queue"]],
    "/run/{run_id}/kill": [["post", "Stop a run"]],
    "/run/{run_id}/cleanup": [["post", "Remove what a run has left behind"]],
    "/health": [["get", "Health of the workflows"]],
  };
  if (discovery !== "health") paths[`/${discovery}`] = [["get", "List workflows"]];
  return {
    openapi: "3.1.0",
    info: { title: "Simulated workflows API", version: "1.0.0" },
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, operations]) => [
        basePath + path,
        Object.fromEntries(
          operations.map(([method, summary]) => [
            method,
            { summary, responses: { 200: { description: "OK" } } },
          ]),
        ),
      ]),
    ),
  };
}
