import { ProtocolError, ProtocolErrorCode, type ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Services } from "../../actions/define-action.js";
import { cutText } from "../../shared/text.js";
import { metaFor, showsWidgets } from "../tools/apps.js";
import type { ToolResult } from "../tools/output.js";
import { INPUT_DROPPED, OUTPUT_DROPPED, plainSchema } from "../tools/plain-schema.js";
import type { ToolDefinition } from "../tools/registry.js";
import type { HeldCalls } from "./held-calls.js";
import {
  callerOf,
  capabilitiesOf,
  logOf,
  progressOf,
  repliesOf,
  type Sender,
  takesTasks,
} from "./request-context.js";
import { toInputRequests, toTask } from "./serve-tasks.js";
import type { Tasks } from "./tasks.js";

export interface ToolOptions {
  services: Services;
  tools: readonly ToolDefinition[];
  calls: HeldCalls;
  tasks: Tasks;
  /** Before the first list of tools. */
  ready: Promise<unknown>;
  /** How long a call that follows something is answered with progress before it becomes a task, in ms. */
  taskAfterMs: number;
}

/** What answers `tools/list` and `tools/call`. */
export interface ToolHandlers {
  /** The tools that the API has now, in the order in which they were given. */
  list(context: ServerContext): Promise<{ tools: Record<string, unknown>[] }>;
  call(params: { name: string; arguments?: unknown }, context: ServerContext): Promise<unknown>;
}

/** @param sender whose calls and tasks these are */
export function createToolHandlers(options: ToolOptions, sender: Sender): ToolHandlers {
  const { services, tools, calls, tasks } = options;
  return {
    async list(context) {
      await options.ready;
      const catalogue = services.catalogue.state();
      const withWidgets = showsWidgets(capabilitiesOf(context));
      return {
        tools: tools
          .flatMap((tool) => {
            const meta = tool.isOffered() ? metaFor(tool, withWidgets) : undefined;
            return meta ? [{ tool, meta }] : [];
          })
          .map(({ tool, meta }) => ({
            name: tool.name,
            title: tool.title,
            description: tool.description,
            annotations: { title: tool.title, ...tool.annotations },
            inputSchema: plainSchema(tool.inputSchema(catalogue), INPUT_DROPPED),
            outputSchema: plainSchema(z.toJSONSchema(tool.answerSchema, { io: "input" }), OUTPUT_DROPPED),
            _meta: meta,
          })),
      };
    },
    async call(params, context) {
      const tool = tools.find(({ name }) => name === params.name);
      if (!tool)
        throw new ProtocolError(
          ProtocolErrorCode.InvalidParams,
          `There is no tool ${JSON.stringify(cutText(params.name, 100))}.`,
        );
      const log = logOf(context);
      const round = {
        ...callerOf(context, sender),
        tool: tool.name,
        args: params.arguments,
        state: context.mcpReq.requestState<string>(),
        replies: repliesOf(context),
        signal: context.mcpReq.signal,
        progress: progressOf(context),
        log: log && ((update: { message: string }) => log("info", update)),
        taskAfterMs: takesTasks(context) ? options.taskAfterMs : undefined,
      };
      const end = await calls.serve(round, (call) => tool.call(params.arguments, call, services));
      switch (end.kind) {
        case "result":
          if (end.result.isError) await log?.("error", { message: textOf(end.result) });
          return end.result;
        case "form":
          return {
            resultType: "input_required",
            inputRequests: toInputRequests(end.form),
            requestState: end.state,
          };
        case "task":
          return { content: [], resultType: "task", ...toTask(tasks.begin(end.call, end.followed)) };
        case "refused":
          throw refuse(end.why === "foreign" ? FOREIGN : LATE);
        case "gone":
          throw refuse(LATE);
      }
    },
  };
}

const textOf = ({ structuredContent }: ToolResult) => String(structuredContent.summary ?? "");

function refuse(text: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, text, { reason: "invalid_request_state" });
}

/** An answer may have come before, in a server that has ended since. */
const LATE =
  "The form that this answers is not known any more: the server was restarted, or it is too long ago. This answer has " +
  "started nothing. Whether the same answer did so before, list_sessions tells: look there before you call again.";
const FOREIGN =
  "This answers a form of another call. Nothing was started by it. Call again without the state of that form.";
