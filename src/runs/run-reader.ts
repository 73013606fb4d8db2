import type { WorkflowsApi } from "../api/client.js";
import type { Run } from "../api/types.js";

/** Reads runs once, with what only the list tells. */
export interface RunReader {
  /** The run with all that can be told, an `error` from the list included. @throws ApiError */
  read(runId: string, signal?: AbortSignal): Promise<Run>;
  /** Adds what only the API's list tells of a failed run. Never throws: without it the run stays as it is. */
  explain(run: Run, signal?: AbortSignal): Promise<Run>;
}

/** Reads runs from the API. */
export function createRunReader(options: { api: Pick<WorkflowsApi, "listRuns" | "getRun"> }): RunReader {
  const { api } = options;

  async function explain(run: Run, signal?: AbortSignal): Promise<Run> {
    if (run.status !== "failed" || run.error) return run;
    try {
      const { runs } = await api.listRuns({
        ...(run.workflowName ? { workflowName: run.workflowName } : {}),
        retries: 0,
        signal,
      });
      const listed = runs.find((one) => one.runId === run.runId);
      return listed?.error ? { ...run, error: listed.error } : run;
    } catch {
      return run;
    }
  }

  return {
    read: async (runId, signal) => explain(await api.getRun(runId, { signal }), signal),
    explain,
  };
}
