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

/** What an API whose sessions have branches has besides. */
const BRANCH_PATHS: typeof PATHS = {
  "/run/{run_id}/diff": ["get", "What the session's commits change"],
  "/run/{run_id}/work": ["get", "Where the session's branch stands"],
  "/run/{run_id}/take": ["post", "Merge the session's commits into a branch of the repository"],
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

const START_WITH_BRANCHES = {
  ...START,
  properties: {
    ...START.properties,
    start_from: text,
    cost_limit_usd: { anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }] },
  },
};

const TAKE = {
  type: "object",
  properties: {
    into: text,
    new_branch: { type: "boolean", default: false },
    squash: { type: "boolean", default: false },
    check: text,
    check_timeout: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] },
  },
};

/** What a server has, as its description tells it. */
export interface Described {
  basePath: string;
  discovery: Discovery;
  /** Paths that are not there. */
  without: readonly string[];
  hasBranches: boolean;
  /** What an `Idempotency-Key` begins with; undefined where no keys are kept. */
  keyPrefix: string | undefined;
}

const BODIES: Record<string, string> = { "/run/{workflow_name}": "Start", "/run/{run_id}/take": "Take" };

/** An OpenAPI description: the API's paths, and what starts and takes have. */
export function describeApi({ basePath, discovery, without, hasBranches, keyPrefix }: Described) {
  const paths = { ...PATHS, ...(hasBranches ? BRANCH_PATHS : {}) };
  if (discovery !== "health") paths[`/${discovery}`] = ["get", "List workflows"];
  const header = { in: "header", name: "Idempotency-Key", "x-key-prefix": keyPrefix };
  const bodyOf = (path: string) => {
    const name = BODIES[path];
    const schema = { $ref: `#/components/schemas/${name}` };
    return name ? { requestBody: { required: true, content: { "application/json": { schema } } } } : {};
  };
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
              ...(path === "/run/{workflow_name}" && keyPrefix !== undefined ? { parameters: [header] } : {}),
              ...bodyOf(path),
              responses: { 200: { description: "OK" } },
            },
          },
        ]),
    ),
    components: {
      schemas: hasBranches ? { Start: START_WITH_BRANCHES, Take: TAKE } : { Start: START },
    },
  };
}
