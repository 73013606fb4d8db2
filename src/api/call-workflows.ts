import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { API } from "./endpoints.js";
import type { ApiError } from "./errors.js";
import type { Requests } from "./requests.js";
import type { Workflow } from "./types.js";
import { healthWire, readProblem, toWorkflow, workflowListWire } from "./wire/workflow.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The names are part of every model's context; honest servers have some dozens. */
const MOST_WORKFLOWS = 500;

/** The calls that list workflows. */
export function createWorkflowCalls({
  request,
}: Requests): Pick<WorkflowsApi, "listWorkflows" | "workflowProblems"> {
  let problems: readonly string[] = [];

  return {
    workflowProblems: () => problems,

    async listWorkflows(read = {}) {
      const doing = "list the workflows";
      const get = (path: string) => ({
        method: "GET" as const,
        path: `${API}${path}`,
        limitBytes: BODY_LIMITS.workflows,
        doing,
        ...read,
      });
      let entries: unknown[];
      try {
        entries = await request(get("/manage"), workflowListWire).catch((error: ApiError) => {
          if (isMissing(error)) return request(get("/workflows"), workflowListWire);
          throw error;
        });
      } catch (error) {
        if (!isMissing(error as ApiError)) throw error;
        const health = await request(get("/health"), healthWire);
        entries = Object.keys(health.workflows).filter((name) => health.workflows[name] !== false);
      }
      const workflows = new Map<string, Workflow>();
      const listed = entries.slice(0, MOST_WORKFLOWS);
      problems = listed.flatMap((entry) => readProblem(entry) ?? []);
      for (const workflow of listed.filter((entry) => readProblem(entry) === undefined).map(toWorkflow)) {
        if (workflow && !workflows.has(workflow.name)) workflows.set(workflow.name, workflow);
      }
      return [...workflows.values()];
    },
  };
}

function isMissing(error: ApiError): boolean {
  return error.kind === "not_found" || error.status === 405;
}
