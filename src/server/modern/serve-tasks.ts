import { ProtocolError, ProtocolErrorCode, type Server } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { ToolResult } from "../tools/output.js";
import type { OpenForm } from "./held-call.js";
import { callerOf, repliesOf, requireTasks, type Sender } from "./request-context.js";
import type { Tasks, TaskView } from "./tasks.js";

const taskParams = z.looseObject({ taskId: z.string().max(1_000) });

/**
 * Answers what clients ask of tasks. One that does not say that it knows them is refused.
 * @param sender whose tasks these are
 */
export function serveTasks(server: Server, tasks: Tasks, sender: Sender): void {
  server.setRequestHandler("tasks/get", { params: taskParams }, async ({ taskId }, context) => {
    requireTasks(context);
    const task = tasks.get(taskId, callerOf(context, sender)) ?? unknownTask();
    return {
      ...toTask(task),
      ...(task.form ? { inputRequests: toInputRequests(task.form) } : {}),
      ...(task.result ? { result: withSummaryFirst(task.result) } : {}),
    };
  });
  server.setRequestHandler("tasks/update", { params: taskParams }, async ({ taskId }, context) => {
    requireTasks(context);
    const replies = repliesOf(context) ?? {};
    if (!tasks.update(taskId, callerOf(context, sender), replies)) unknownTask();
    return {};
  });
  server.setRequestHandler("tasks/cancel", { params: taskParams }, async ({ taskId }, context) => {
    requireTasks(context);
    if (!(await tasks.cancel(taskId, callerOf(context, sender)))) unknownTask();
    return {};
  });
}

function unknownTask(): never {
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    "There is no such task of this caller. Look with list_sessions at what is going on.",
  );
}

export function toInputRequests({ key, message, requestedSchema }: OpenForm) {
  return { [key]: { method: "elicitation/create", params: { mode: "form", message, requestedSchema } } };
}

export function toTask({ taskId, status, statusMessage, createdAt, changedAt, pollMs }: TaskView) {
  return {
    taskId,
    status,
    ...(statusMessage ? { statusMessage } : {}),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(changedAt).toISOString(),
    ttlMs: null,
    pollIntervalMs: pollMs,
  };
}

/** All that a model gets of a task is its structured content, and that may be cut. */
function withSummaryFirst(result: ToolResult): ToolResult {
  const { summary, ...rest } = result.structuredContent;
  return { ...result, structuredContent: { summary, ...rest } };
}
