/** Which route tells the workflows: today's, that of older servers, or none but the health check. */
export type Discovery = "manage" | "workflows" | "health";

/** Every path of the API below its base, with how it is called. */
const PATHS: Record<string, [method: string, summary: string]> = {
  "/run/{workflow_name}": ["post", "Start a run"],
  "/runs": ["get", "List runs"],
  "/run/{run_id}/status": ["get", "Status of a run"],
  "/run/{run_id}/add-message": ["post", "Queue a message for a run"],
  "/run/{run_id}/message-queue": ["get", "Counters of a run's message queue"],
  "/run/{run_id}/kill": ["post", "Stop a run"],
  "/run/{run_id}/cleanup": ["post", "Remove a run's workspace and temporary files"],
  "/health": ["get", "Health of the workflows"],
};

const text = { anyOf: [{ type: "string" }, { type: "null" }] };

/** The body of a start, as the public server describes it. */
const START = {
  type: "object",
  required: ["message"],
  properties: {
    message: { type: "string" },
    max_turns: { anyOf: [{ type: "integer", minimum: 1, maximum: 200 }, { type: "null" }] },
    session_id: text,
    session_name: text,
    user_id: text,
    git_branch: text,
    repository_url: text,
    timeout: { type: "integer", minimum: 60, maximum: 14_400, default: 7200 },
    input_format: text,
  },
};

/** An OpenAPI description: the API's paths, and what a start takes. @param without paths that are not there */
export function describeApi(basePath: string, discovery: Discovery, without: readonly string[]) {
  const paths = { ...PATHS };
  if (discovery !== "health") paths[`/${discovery}`] = ["get", "List workflows"];
  const schema = { $ref: "#/components/schemas/Start" };
  const requestBody = { required: true, content: { "application/json": { schema } } };
  return {
    openapi: "3.1.0",
    info: { title: "Simulated workflows API", version: "1.0.0" },
    paths: Object.fromEntries(
      Object.entries(paths)
        .filter(([path]) => !without.includes(path))
        .map(([path, [method, summary]]) => [
          basePath + path,
          {
            [method]: {
              summary,
              ...(path === "/run/{workflow_name}" ? { requestBody } : {}),
              responses: { 200: { description: "OK" } },
            },
          },
        ]),
    ),
    components: { schemas: { Start: START } },
  };
}
