import type { Clock } from "../../shared/clock.js";
import type { EngineRun } from "../runs/run.js";
import { type Engine, EngineRefusal } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { checkOrder, pageOf } from "./listing.js";
import { flag, integer } from "./pydantic.js";
import { HttpRefusal } from "./refusal.js";
import {
  killedSchema,
  pageSchema,
  queuedSchema,
  queueSchema,
  slotsSchema,
  statusSchema,
} from "./run-schemas.js";
import { toMoment, toQueueStats, toRow, toSlots, toStatus } from "./run-wire.js";
import * as z from "./schemas.js";
import { cleanedUpSchema } from "./work-schemas.js";

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

/** Adds the endpoints that list, show, steer and end runs. */
export function addRunEndpoints(app: EngineApp, { engine, clock }: { engine: Engine; clock: Clock }): void {
  /** The contract words the same refusal differently from endpoint to endpoint. */
  function find(runId: string, refusal = `Run ${runId} not found`): EngineRun {
    try {
      return engine.get(runId);
    } catch (error) {
      throw error instanceof EngineRefusal && error.status === 404 ? new HttpRefusal(404, refusal) : error;
    }
  }

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
        runs: runs.map((run) => toRow(run, engine.waitOf(run))),
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
    query: z.object({
      debug: flag().default(false),
      request: flag().default(false).describe("The message that it was started with, too"),
    }),
    answer: statusSchema,
    refusals: [404],
    handle({ id, query }) {
      const run = find(id);
      const status = toStatus(run, clock.now(), query.debug, engine.waitOf(run));
      return query.request ? { ...status, request_message: run.request.message } : status;
    },
  });

  addEndpoint(app, {
    method: "get",
    path: "/slots",
    summary: "Who is at work, who waits for a person, and who waits for a free slot",
    answer: slotsSchema,
    handle: () => toSlots(engine.slots()),
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/add-message",
    summary: "Send a message to a run",
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
    description: "Answers when the agent and all its processes have ended.",
    query: forceQuery,
    answer: killedSchema,
    refusals: [404, 409],
    async handle({ id, query: { force } }) {
      find(id);
      const began = clock.elapsed();
      const run = await engine.kill(id, force);
      const took = Math.round(clock.elapsed() - began);
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
    summary: "Remove a run's workspace and temporary files",
    description: "Uncommitted work is only removed with force.",
    query: forceQuery,
    answer: cleanedUpSchema,
    refusals: [400, 404, 409],
    async handle({ id, query: { force } }) {
      const run = find(id, `Workflow run not found: ${id}`);
      const began = clock.elapsed();
      const done = await engine.cleanup(id, force);
      const took = Math.round(clock.elapsed() - began);
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
