import * as z from "zod";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { API, toSegment } from "./endpoints.js";
import type { ApiError } from "./errors.js";
import type { Requests } from "./requests.js";
import { cleanupWire, killWire, toCleanupReport, toKillReport } from "./wire/ending.js";
import { fromWhose } from "./wire/question.js";
import { queueWire, toQueueCounters } from "./wire/queue.js";
import { startToRun, startWire, statusToRun, statusWire } from "./wire/run.js";
import { listItemToRun, runListWire } from "./wire/run-list.js";
import type { WorkflowsApi } from "./workflows-api.js";

type RunCalls = Pick<
  WorkflowsApi,
  "startRun" | "getRun" | "listRuns" | "addMessage" | "getQueue" | "killRun" | "answerQuestion" | "cleanupRun"
>;

/** The calls that start runs, look at them, talk to them and end them. */
export function createRunCalls({ request }: Requests): RunCalls {
  const runPath = (runId: string) => `${API}/run/${toSegment(runId)}`;

  return {
    async startRun(start, key) {
      const wire = await request(
        {
          method: "POST",
          path: `${API}/run/${toSegment(start.workflowName)}`,
          ...(key === undefined ? {} : { headers: { "idempotency-key": key } }),
          // Query parameters on purpose: in the body the API ignores them without a word.
          query: {
            persistent: start.persistent,
            auto_merge: start.autoMerge,
            temp_workspace: start.tempWorkspace,
          },
          body: withoutUndefined({
            message: start.message,
            input_format: start.inputFormat,
            session_id: start.sessionId,
            session_name: start.sessionName,
            repository_url: start.repositoryUrl,
            git_branch: start.gitBranch,
            start_from: start.startFrom,
            allow_repository: start.consent && {
              path: start.consent.path,
              folders: [...start.consent.folders],
            },
            uncommitted: start.uncommitted,
            user_id: start.userId,
            user_name: start.userName,
            linked_issue: start.issue,
            max_turns: start.maxTurns,
            cost_limit_usd: start.costLimitUsd,
            output_schema: start.outputSchema,
            agent: start.agent,
            model: start.model,
            pull_request: start.pullRequest,
            timeout: start.timeoutS,
          }),
          limitBytes: BODY_LIMITS.act,
          doing: `start workflow ${start.workflowName}`,
          acts: true,
          starts: true,
        },
        startWire,
      );
      return startToRun(wire, start.workflowName);
    },

    async getRun(runId, { message, ...read } = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${runPath(runId)}/status`,
          query: { debug: true, ...(message ? { request: true } : {}) },
          limitBytes: BODY_LIMITS.status,
          cutsTexts: true,
          doing: `read the status of run ${runId}`,
          ...read,
        },
        statusWire,
      );
      return statusToRun(runId, wire);
    },

    async listRuns({ page = 1, pageSize = 100, workflowName, status, ...read } = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${API}/runs`,
          query: { page, page_size: pageSize, workflow_name: workflowName, status },
          limitBytes: BODY_LIMITS.list,
          cutsTexts: true,
          doing: "list the runs",
          ...read,
        },
        runListWire,
      );
      return {
        runs: wire.runs.map(listItemToRun).filter((run) => run !== undefined),
        last: wire.runs.length < pageSize,
      };
    },

    async addMessage(runId, type, content) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/add-message`,
          body: { message_type: type, content },
          limitBytes: BODY_LIMITS.act,
          doing: `queue a message for run ${runId}`,
          acts: true,
        },
        queueWire,
      );
      return toQueueCounters(runId, wire);
    },

    async getQueue(runId, read = {}) {
      try {
        const wire = await request(
          {
            method: "GET",
            path: `${runPath(runId)}/message-queue`,
            limitBytes: BODY_LIMITS.queue,
            doing: `read the message queue of run ${runId}`,
            ...read,
          },
          queueWire,
        );
        return toQueueCounters(runId, wire);
      } catch (error) {
        if ((error as ApiError).kind === "not_found") return undefined;
        throw error;
      }
    },

    async killRun(runId, force) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/kill`,
          query: { force },
          limitBytes: BODY_LIMITS.act,
          doing: `kill run ${runId}`,
          acts: true,
        },
        killWire,
      );
      return toKillReport(runId, wire);
    },

    async answerQuestion(runId, questionId, answer, whose) {
      await request(
        {
          method: "POST",
          path: `${runPath(runId)}/questions/${toSegment(questionId)}/answer`,
          body: { answer, ...(whose ? { answerer: fromWhose(whose) } : {}) },
          limitBytes: BODY_LIMITS.act,
          doing: `answer question ${questionId} of run ${runId}`,
          acts: true,
        },
        // What the server replies does not matter: a success status is enough.
        z.unknown(),
      );
    },

    async cleanupRun(runId, force) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/cleanup`,
          query: { force },
          limitBytes: BODY_LIMITS.act,
          doing: `clean up run ${runId}`,
          acts: true,
        },
        cleanupWire,
      );
      return toCleanupReport(runId, wire);
    },
  };
}

function withoutUndefined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
