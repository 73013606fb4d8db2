import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { API, toSegment } from "./endpoints.js";
import type { Requests } from "./requests.js";
import {
  askedPullRequestWire,
  diffWire,
  discardedWire,
  headWire,
  pullRequestSightWire,
  takenWire,
  toDiscardReport,
  toPullRequest,
  toPullRequestSight,
  toTakeReport,
  toWorkDiff,
  toWorkHead,
} from "./wire/work.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** The calls about a session's commits: look, take, throw away. */
export function createWorkCalls({
  request,
}: Requests): Pick<
  WorkflowsApi,
  "readDiff" | "readHead" | "takeWork" | "discardWork" | "openPullRequest" | "readPullRequest"
> {
  const runPath = (runId: string) => `${API}/run/${toSegment(runId)}`;

  return {
    async readDiff(runId, maxBytes, read = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${runPath(runId)}/diff`,
          query: { max_bytes: maxBytes },
          limitBytes: BODY_LIMITS.diff,
          doing: `read the diff of run ${runId}`,
          ...read,
        },
        diffWire,
      );
      return toWorkDiff(wire);
    },

    async readHead(runId, read = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${runPath(runId)}/work`,
          limitBytes: BODY_LIMITS.act,
          doing: `look at the work of run ${runId}`,
          ...read,
        },
        headWire,
      );
      return toWorkHead(wire);
    },

    async takeWork(runId, { into, newBranch, squash, check, checkTimeoutS }, options = {}) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/take`,
          body: {
            ...(into ? { into } : {}),
            ...(newBranch ? { new_branch: true } : {}),
            squash: squash === true,
            ...(check === undefined ? {} : { check }),
            ...(checkTimeoutS === undefined ? {} : { check_timeout: checkTimeoutS }),
          },
          limitBytes: BODY_LIMITS.act,
          doing: `take the work of run ${runId}`,
          acts: true,
          ...options,
        },
        takenWire,
      );
      return toTakeReport(wire);
    },

    async openPullRequest(runId, asked) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/pull-request`,
          body: { ...asked },
          limitBytes: BODY_LIMITS.act,
          doing: `ask for a pull request of run ${runId}`,
          acts: true,
        },
        askedPullRequestWire,
      );
      return toPullRequest(wire.pull_request);
    },

    async readPullRequest(runId, read = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${runPath(runId)}/pull-request`,
          limitBytes: BODY_LIMITS.status,
          doing: `look at the pull request of run ${runId}`,
          ...read,
        },
        pullRequestSightWire,
      );
      return toPullRequestSight(wire);
    },

    async discardWork(runId) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/discard`,
          limitBytes: BODY_LIMITS.act,
          doing: `throw away the work of run ${runId}`,
          acts: true,
        },
        discardedWire,
      );
      return toDiscardReport(wire);
    },
  };
}
