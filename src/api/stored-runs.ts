import { ApiError } from "./errors.js";
import type { LoggedEvent, Run } from "./types.js";
import { statusToRun, statusWire } from "./wire/run.js";
import { parseLoggedEvent } from "./wire/run-event.js";
import type { WorkflowsApi } from "./workflows-api.js";

/**
 * A client of an API that is not running, of which only what it has stored can be read: its runs. Everything else is
 * refused before anything is sent.
 * @param options.statuses the runs as the API tells them one by one, newest first
 * @param options.problem why nothing else can be done, as a sentence for the person
 */
export function createStoredRunsApi(options: {
  address: string;
  statuses: readonly unknown[];
  problem: string;
}): WorkflowsApi {
  const { address, statuses, problem } = options;
  const runs = statuses.flatMap((status): Run[] => {
    const parsed = statusWire.safeParse(status);
    return parsed.success && parsed.data.run_id ? [statusToRun(parsed.data.run_id, parsed.data)] : [];
  });
  const refuse = async () => {
    throw new ApiError("unreachable", problem);
  };
  return {
    address,
    hasKey: true,
    clockOffsetMs: () => 0,
    outage: () => undefined,
    apiTime: () => undefined,
    workflowProblems: () => [],
    async listRuns({ page = 1, pageSize = 20, status } = {}) {
      const found = runs.filter((run) => status === undefined || run.status === status);
      const from = (page - 1) * pageSize;
      return { runs: found.slice(from, from + pageSize), last: from + pageSize >= found.length };
    },
    async getRun(runId) {
      const run = runs.find((one) => one.runId === runId);
      if (!run) throw new ApiError("not_found", `There is no run ${runId}.`);
      return run;
    },
    listWorkflows: refuse,
    startRun: refuse,
    addMessage: refuse,
    getQueue: refuse,
    killRun: refuse,
    describe: refuse,
    streamRuns: refuse,
    streamEvents: refuse,
    answerQuestion: refuse,
    cleanupRun: refuse,
    readDiff: refuse,
    readHead: refuse,
    takeWork: refuse,
    discardWork: refuse,
    openPullRequest: refuse,
    readPullRequest: refuse,
    checkRepository: refuse,
    allowRepository: refuse,
    listLeftovers: refuse,
    removeLeftover: refuse,
    removeMergedBranch: refuse,
    close: async () => {},
  };
}

/** Stored events of a run, as its stream would tell them; what is not understood is left out. */
export function readStoredEvents(events: readonly unknown[]): LoggedEvent[] {
  return events.map(parseLoggedEvent).filter((event) => event !== undefined);
}
