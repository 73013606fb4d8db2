import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Services } from "../../actions/define-action.js";
import type { Clock } from "../../shared/clock.js";
import { VERSION } from "../../shared/version.js";
import type { Complete } from "../completions.js";
import { prompts } from "../prompts.js";
import { templates } from "../resources.js";
import type { ToolResult } from "../tools/output.js";
import { INPUT_DROPPED, OUTPUT_DROPPED, plainSchema } from "../tools/plain-schema.js";
import type { ToolDefinition } from "../tools/registry.js";
import type { FormReply, OpenForm } from "./held-call.js";
import type { HeldCalls, Round } from "./held-calls.js";
import { serveResources } from "./serve-resources.js";
import type { TaskCaller, Tasks, TaskView } from "./tasks.js";

/** What is published, free of any framework. */
export interface ModernOptions {
  services: Services;
  tools: readonly ToolDefinition[];
  /** How a tool is named that carries an action. */
  project: Parameters<(typeof prompts)[number]["write"]>[1];
  complete: Complete;
  instructions(): string;
  calls: HeldCalls;
  tasks: Tasks;
  /** Before the first list of tools. */
  ready: Promise<unknown>;
  /** How long a call that follows something is answered with progress before it becomes a task, in ms. */
  taskAfterMs: number;
  clock: Clock;
}

/** What each request says of its client; checked by the SDK. */
interface Envelope {
  [CLIENT_CAPABILITIES_META_KEY]?: { elicitation?: { form?: object }; extensions?: Record<string, unknown> };
  [CLIENT_INFO_META_KEY]?: { name?: string };
}

const TASKS = "io.modelcontextprotocol/tasks";
/** How often a client asks for a task, in ms. */
const POLL_MS = 3_000;
/** Lists may be kept by the client for so long, in ms; it is told of changes. */
const LIST_TTL_MS = 60_000;
const MOST_VALUES = 100;

const reply = z.looseObject({
  action: z.string(),
  content: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((content) => content ?? undefined),
});
const taskParams = z.looseObject({ taskId: z.string().max(1_000) });

/**
 * The server of one connection, or of one HTTP request, on protocol 2026-07-28. What it publishes and what calls do is
 * the same as on the earlier protocols; only how a form, progress and an end travel differs.
 * @param caller whose calls and tasks these are
 */
export function createModernServer(options: ModernOptions, caller: string): Server {
  const { services, tools, calls, tasks } = options;
  const server = new Server(
    { name: "automagik-workflows-mcp", version: VERSION },
    {
      instructions: options.instructions(),
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: {},
        completions: {},
        extensions: { [TASKS]: {} },
      },
      cacheHints: {
        "tools/list": { ttlMs: LIST_TTL_MS, cacheScope: "private" },
        "prompts/list": { ttlMs: LIST_TTL_MS, cacheScope: "private" },
        "resources/templates/list": { ttlMs: LIST_TTL_MS, cacheScope: "private" },
      },
    },
  );

  server.setRequestHandler("tools/list", async () => {
    await options.ready;
    const catalogue = services.catalogue.state();
    return {
      tools: tools
        .filter((tool) => tool.isOffered())
        .map((tool) => ({
          name: tool.name,
          title: tool.title,
          description: tool.description,
          annotations: { title: tool.title, ...tool.annotations },
          inputSchema: plainSchema(tool.inputSchema(catalogue), INPUT_DROPPED) as { type: "object" },
          outputSchema: plainSchema(z.toJSONSchema(tool.answerSchema, { io: "input" }), OUTPUT_DROPPED) as {
            type: "object";
          },
          _meta: tool.meta,
        })),
    };
  });

  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const tool = tools.find(({ name }) => name === params.name);
    if (!tool)
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        `There is no tool ${JSON.stringify(params.name)}.`,
      );
    const who = callerOf(context, caller);
    const round: Round = {
      ...who,
      tool: tool.name,
      args: params.arguments,
      state: context.mcpReq.requestState<string>(),
      replies: readReplies(context.mcpReq.inputResponses),
      signal: context.mcpReq.signal,
      progress: progressOf(context),
      taskAfterMs: takesTasks(context) ? options.taskAfterMs : undefined,
    };
    const end = await calls.serve(round, (call) => tool.call(params.arguments, call, services));
    switch (end.kind) {
      case "result":
        return end.result as never;
      case "form":
        return {
          resultType: "input_required" as const,
          inputRequests: toInputRequests(end.form),
          requestState: end.state,
        } as never;
      case "task":
        return { content: [], resultType: "task", ...toTask(tasks.begin(end.call, end.followed)) } as never;
      case "refused":
        return end.why === "foreign" ? FOREIGN : LATE;
      case "gone":
        return LATE;
    }
  });

  server.setRequestHandler("tasks/get", { params: taskParams }, async ({ taskId }, context) => {
    const task = tasks.get(taskId, callerOf(context, caller)) ?? unknownTask();
    return {
      ...toTask(task),
      ...(task.form ? { inputRequests: toInputRequests(task.form) } : {}),
      ...(task.result ? { result: withSummaryFirst(task.result) } : {}),
    };
  });
  server.setRequestHandler("tasks/update", { params: taskParams }, async ({ taskId }, context) => {
    // The SDK takes them out of the parameters, whatever the method.
    const replies = readReplies(context.mcpReq.inputResponses) ?? {};
    if (!tasks.update(taskId, callerOf(context, caller), replies)) unknownTask();
    return {};
  });
  server.setRequestHandler("tasks/cancel", { params: taskParams }, async ({ taskId }, context) => {
    if (!(await tasks.cancel(taskId, callerOf(context, caller)))) unknownTask();
    return {};
  });

  serveResources(server, services);
  server.setRequestHandler("prompts/list", () => ({
    prompts: prompts.map(({ name, description, arguments: args }) => ({
      name,
      description,
      arguments: args.map((one) => ({
        name: one.name,
        description: one.description,
        required: one.required,
      })),
    })),
  }));
  server.setRequestHandler("prompts/get", ({ params }) => {
    const prompt = prompts.find(({ name }) => name === params.name);
    const missing = prompt?.arguments.filter(({ name, required }) => required && !params.arguments?.[name]);
    if (!prompt || missing?.length)
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        prompt
          ? `The prompt needs ${missing?.map(({ name }) => name).join(", ")}.`
          : `There is no prompt ${JSON.stringify(params.name)}.`,
      );
    const text = prompt.write(params.arguments ?? {}, options.project);
    return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
  });
  server.setRequestHandler("completion/complete", async ({ params: { ref, argument } }) => {
    const args =
      ref.type === "ref/prompt"
        ? (prompts.find(({ name }) => name === ref.name)?.arguments ?? [])
        : templates.filter(({ uriTemplate }) => uriTemplate === ref.uri).map((one) => one.argument);
    const { completes } = args.find(({ name }) => name === argument.name) ?? {};
    const values = completes ? await options.complete(completes, argument.value) : [];
    return {
      completion: {
        values: values.slice(0, MOST_VALUES),
        total: values.length,
        hasMore: values.length > MOST_VALUES,
      },
    };
  });
  return server;
}

function refuse(text: string) {
  return { content: [{ type: "text" as const, text }], isError: true };
}

/** An answer may have come before, in a server that has ended since. */
const LATE = refuse(
  "The form that this answers is not known any more: the server was restarted, or it is too long ago. This answer has " +
    "started nothing. Whether the same answer did so before, list_sessions tells: look there before you call again.",
);
const FOREIGN = refuse(
  "This answers a form of another call. Nothing was started by it. Call again without the state of that form.",
);

function unknownTask(): never {
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    "There is no such task of this caller. Look with list_sessions at what is going on.",
  );
}

function callerOf({ mcpReq }: ServerContext, caller: string): TaskCaller {
  const envelope = mcpReq.envelope as Envelope | undefined;
  return {
    caller,
    supportsForms: envelope?.[CLIENT_CAPABILITIES_META_KEY]?.elicitation?.form !== undefined,
    clientName: envelope?.[CLIENT_INFO_META_KEY]?.name,
  };
}

function takesTasks({ mcpReq }: ServerContext): boolean {
  const envelope = mcpReq.envelope as Envelope | undefined;
  return envelope?.[CLIENT_CAPABILITIES_META_KEY]?.extensions?.[TASKS] !== undefined;
}

function progressOf({ mcpReq }: ServerContext): Round["progress"] {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return (update) =>
    mcpReq.notify({ method: "notifications/progress", params: { progressToken, ...update } });
}

function readReplies(given: Record<string, unknown> | undefined): Record<string, FormReply> | undefined {
  if (!given) return undefined;
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) => {
      const read = reply.safeParse(value);
      return read.success ? [[key, read.data]] : [];
    }),
  );
}

function toInputRequests({ key, message, requestedSchema }: OpenForm) {
  return { [key]: { method: "elicitation/create", params: { mode: "form", message, requestedSchema } } };
}

function toTask({ taskId, status, statusMessage, createdAt, changedAt }: TaskView) {
  return {
    taskId,
    status,
    ...(statusMessage ? { statusMessage } : {}),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(changedAt).toISOString(),
    ttlMs: null,
    pollIntervalMs: POLL_MS,
  };
}

/** All that a model gets of a task is its structured content, and that may be cut. */
function withSummaryFirst(result: ToolResult): ToolResult {
  const { summary, ...rest } = result.structuredContent;
  return { ...result, structuredContent: { summary, ...rest } };
}
