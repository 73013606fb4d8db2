import { z } from "@hono/zod-openapi";
import type { Clock } from "../../shared/clock.js";
import type { EngineRun, RunRequest } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { checkOrder, pageOf } from "./listing.js";
import { flag, integer } from "./pydantic.js";
import { HttpRefusal } from "./refusal.js";
import {
  cleanedUpSchema,
  killedSchema,
  pageSchema,
  queuedSchema,
  queueSchema,
  startedSchema,
  statusSchema,
} from "./run-schemas.js";
import { toMoment, toQueueStats, toRow, toStatus } from "./run-wire.js";

const startQuery = z.object({
  persistent: flag().default(true).describe("Keep the workspace when the run has ended"),
  auto_merge: flag()
    .default(false)
    .describe("Merge the work back when the run succeeded and the merge is clean"),
  temp_workspace: flag().default(false).describe("Work in an empty folder that is removed afterwards"),
});

const startBody = z
  .object({
    message: z.string().refine((text) => text.trim() !== "", "Message cannot be empty"),
    max_turns: integer({ ge: 1, le: 200 }).nullish(),
    session_id: z.string().nullish().describe("The conversation to continue"),
    session_name: z.string().nullish(),
    user_id: z.string().nullish(),
    git_branch: z.string().nullish(),
    repository_url: z.string().nullish(),
    timeout: integer({ ge: 60, le: 14_400 }).default(7200).describe("Seconds"),
    input_format: z.literal("stream-json"),
  })
  .openapi("StartRun");

/** What a client may call a start; visible characters, so that no proxy changes it. */
function startHeaders(keyPrefix: string) {
  return z.object({
    "idempotency-key": z
      .string()
      .regex(/^[\x21-\x7e]{1,200}$/, "1 to 200 visible characters are allowed")
      .optional()
      .openapi({ param: { "x-key-prefix": keyPrefix } })
      .describe(
        "The client's own name for this start, 1 to 200 visible ASCII characters. The same key again, with the same " +
          "request, is answered with the run of the first one, also after a restart; with another request it is refused. " +
          "Begin it with x-key-prefix, which names the engine's database: should that be lost, and the keys with it, " +
          "such a key is refused instead of starting a second run.",
      ),
  });
}
/** Where no keys are kept they are not described either, and only looked at for those of a database that is lost. */
const noHeaders = z.looseObject({}) as unknown as ReturnType<typeof startHeaders>;

const listQuery = z.object({
  page: integer().default(1),
  page_size: integer().default(20).describe("1 to 100"),
  status: z.string().optional(),
  workflow_name: z.string().optional(),
  user_id: z.string().optional(),
  sort_by: z
    .string()
    .default("started_at")
    .describe("started_at, completed_at, execution_time or total_cost"),
  sort_order: z.string().default("desc").describe("asc or desc"),
});

const messageBody = z
  .object({ message_type: z.string().describe("user or system"), content: z.string() })
  .openapi("Message");

const forceQuery = z.object({ force: flag().default(false) });

/** Adds the endpoints that start, list, show, steer and end runs. */
export function addRunEndpoints(
  app: EngineApp,
  { engine, clock, keyPrefix }: { engine: Engine; clock: Clock; keyPrefix?: string | undefined },
): void {
  /** The contract words the same refusal differently from endpoint to endpoint. */
  function find(runId: string, refusal = `Run ${runId} not found`): EngineRun {
    try {
      return engine.get(runId);
    } catch (error) {
      throw error instanceof EngineRefusal && error.status === 404 ? new HttpRefusal(404, refusal) : error;
    }
  }

  addEndpoint(app, {
    method: "post",
    path: "/run/{workflow_name}",
    summary: "Start a run",
    query: startQuery,
    // A client that reads of the key repeats a lost start, which is one run only as long as the key is remembered.
    headers: keyPrefix === undefined ? noHeaders : startHeaders(keyPrefix),
    body: startBody,
    answer: startedSchema,
    refusals: [400, 404, 409, 413, 503],
    async handle({ id, query, headers, body }) {
      refuseClash(query, body);
      const run = await engine.start(toRequest(id, query, body), headers["idempotency-key"]);
      return {
        run_id: run.runId,
        // Also when the start is asked for again later: the answer is the first one's.
        status: "pending",
        message: `Started ${id} workflow. Use the status endpoint to track progress.`,
        session_id: run.sessionId,
        workflow_name: run.request.workflowName,
        started_at: toMoment(run.createdAt),
        auto_commit_sha: null,
      };
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/runs",
    summary: "List runs",
    query: listQuery,
    answer: pageSchema,
    refusals: [400],
    handle({ query }) {
      // An empty filter is no filter.
      const { status, workflow_name: workflowName, user_id: userId } = query;
      const statuses = checkOrder({ ...query, status: status || undefined });
      const found = engine.list({
        ...(statuses ? { statuses } : {}),
        ...(workflowName ? { workflowName } : {}),
        ...(userId ? { userId } : {}),
      });
      const { runs, total, hasNext } = pageOf(found, query);
      return {
        runs: runs.map(toRow),
        total_count: total,
        page: query.page,
        page_size: query.page_size,
        has_next: hasNext,
      };
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/status",
    summary: "Status of a run",
    query: z.object({ debug: flag().default(false) }),
    answer: statusSchema,
    refusals: [404],
    handle: ({ id, query }) => toStatus(find(id), clock.now(), query.debug),
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/add-message",
    summary: "Write a message into a run",
    body: messageBody,
    separateFields: true,
    answer: queuedSchema,
    refusals: [400, 404, 413, 503],
    async handle({ id, body }) {
      const { message_type: type } = body;
      if (type !== "user" && type !== "system") {
        throw new HttpRefusal(400, "message_type must be 'user' or 'system'");
      }
      const content = body.content.trim();
      if (content === "") throw new HttpRefusal(400, "content cannot be empty");
      find(id, `Workflow run ${id} not found`);
      const stats = toQueueStats(id, await engine.addMessage(id, type, content));
      return {
        success: true,
        message: "Message added to queue",
        queue_size: stats.current_size,
        run_id: id,
        queue_stats: stats,
      };
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/message-queue",
    summary: "Counters of a run's message queue",
    answer: queueSchema,
    refusals: [404],
    handle({ id }) {
      find(id, `Workflow run ${id} not found`);
      return { success: true, run_id: id, queue_stats: toQueueStats(id, engine.queue(id)) };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/kill",
    summary: "End a run",
    description: "Answers when nothing of its agent is left.",
    query: forceQuery,
    answer: killedSchema,
    refusals: [404, 409],
    async handle({ id, query: { force } }) {
      find(id);
      const began = clock.now();
      const run = await engine.kill(id, force);
      const took = Math.max(0, clock.now() - began);
      const words = force ? "force killed" : "gracefully terminated";
      return {
        success: true,
        run_id: id,
        workflow_name: run.request.workflowName,
        killed_at: toMoment(run.killedAt ?? clock.now()),
        kill_method: force ? "force" : "graceful",
        kill_duration_ms: took,
        cleanup_status: { session_updated: true, audit_logged: true, process_terminated: true },
        message: `Workflow ${run.request.workflowName} (${words}) in ${(took / 1000).toFixed(2)}s`,
      };
    },
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/cleanup",
    summary: "Remove what a run has left behind",
    description: "Uncommitted work is only removed with force.",
    query: forceQuery,
    answer: cleanedUpSchema,
    refusals: [400, 404, 409],
    async handle({ id, query: { force } }) {
      const run = find(id, `Workflow run not found: ${id}`);
      const began = clock.now();
      const done = await engine.cleanup(id, force);
      const took = Math.max(0, clock.now() - began);
      const note = [done.lost, done.kept].filter(Boolean).join(" ");
      const removed = done.workspaceRemoved || done.worktreeRemoved || done.tempFilesRemoved;
      // A note about what stays is no fault as long as something was removed.
      const errors = [...done.errors, ...(done.kept && !removed ? [done.kept] : [])];
      const end = `${errors.length === 0 ? "successfully" : "with errors"} in ${(took / 1000).toFixed(2)}s`;
      return {
        success: errors.length === 0,
        run_id: id,
        workflow_name: run.request.workflowName,
        cleanup_time: toMoment(clock.now()),
        cleanup_duration_ms: took,
        cleanup_details: {
          workspace_removed: done.workspaceRemoved,
          temp_files_removed: done.tempFilesRemoved,
          git_worktree_removed: done.worktreeRemoved,
          process_cleaned: done.processEnded,
          workspace_path: done.workspacePath ?? null,
          note: (removed && note) || null,
          errors,
        },
        message: `Workspace cleanup completed ${end}${note ? `. ${note}` : ""}`,
      };
    },
  });
}

function refuseClash(query: z.output<typeof startQuery>, body: z.output<typeof startBody>): void {
  if (!query.temp_workspace) return;
  const clash = [
    body.repository_url && "repository_url",
    body.git_branch && "git_branch",
    query.auto_merge && "auto_merge",
  ].filter(Boolean);
  if (clash.length === 0) return;
  throw new HttpRefusal(
    400,
    `temp_workspace cannot be used with: ${clash.join(", ")}. Temporary workspaces are isolated environments without git integration.`,
  );
}

function toRequest(
  workflowName: string,
  query: z.output<typeof startQuery>,
  body: z.output<typeof startBody>,
): RunRequest {
  return {
    workflowName,
    message: body.message,
    // An empty id is one that no session has, an empty name or address is none.
    ...(body.session_id == null ? {} : { sessionId: body.session_id }),
    ...(body.session_name ? { sessionName: body.session_name } : {}),
    ...(body.repository_url ? { repositoryUrl: body.repository_url } : {}),
    ...(body.git_branch ? { gitBranch: body.git_branch } : {}),
    ...(body.user_id ? { userId: body.user_id } : {}),
    ...(body.max_turns == null ? {} : { maxTurns: body.max_turns }),
    timeoutS: body.timeout,
    persistent: query.persistent,
    autoMerge: query.auto_merge,
    tempWorkspace: query.temp_workspace,
  };
}
