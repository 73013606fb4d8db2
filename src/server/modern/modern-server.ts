import { Server } from "@modelcontextprotocol/server";
import { VERSION } from "../../shared/version.js";
import type { Complete } from "../completions.js";
import type { Prompts } from "../template-prompts.js";
import type { ProjectStep } from "../tools/output.js";
import { type Sender, TASKS } from "./request-context.js";
import { servePrompts } from "./serve-prompts.js";
import { serveResources } from "./serve-resources.js";
import { serveTasks } from "./serve-tasks.js";
import { createToolHandlers, type ToolOptions } from "./serve-tools.js";

/** What is published, free of any framework. */
export interface ModernOptions extends ToolOptions {
  /** How a tool is named that carries an action. */
  project: ProjectStep;
  prompts: Prompts;
  complete: Complete;
  instructions(): string;
}

/** Lists may be kept by the client for so long, in ms; it is told of changes. */
const LIST_TTL_MS = 60_000;
const LIST = { ttlMs: LIST_TTL_MS, cacheScope: "private" } as const;

/** What a server of this protocol says of itself, apart from its name. */
export const SERVER_OPTIONS = {
  capabilities: {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    completions: {},
    logging: {},
    extensions: { [TASKS]: {} },
  },
  // What is read changes with every turn of a run, and runs begin and end: these are not kept.
  cacheHints: { "tools/list": LIST, "prompts/list": LIST, "resources/templates/list": LIST },
};

/**
 * The server of one connection, or of one HTTP request, on protocol 2026-07-28. What it publishes and what calls do is
 * the same as on the earlier protocols; only how a form, progress and an end travel differs.
 * @param sender whose calls and tasks these are
 */
export function createModernServer(options: ModernOptions, sender: Sender): Server {
  const server = new Server(
    { name: "automagik-workflows-mcp", version: VERSION },
    { instructions: options.instructions(), ...SERVER_OPTIONS },
  );
  const tools = createToolHandlers(options, sender);
  server.setRequestHandler("tools/list", (_request, context) => tools.list(context) as never);
  server.setRequestHandler("tools/call", ({ params }, context) => tools.call(params, context) as never);
  serveTasks(server, options.tasks, sender);
  serveResources(server, options.services);
  servePrompts(server, options);
  return server;
}
