import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { FastMCP } from "fastmcp";
import type { Services } from "../../actions/define-action.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import type { Complete } from "../completions.js";
import { withoutContents } from "../log-lines.js";
import type { Prompts } from "../template-prompts.js";
import type { ProjectStep } from "../tools/output.js";
import type { ToolDefinition } from "../tools/registry.js";
import { createInFlightCalls } from "./in-flight-calls.js";
import { publishPrompts } from "./publish-prompts.js";
import { publishResources } from "./publish-resources.js";
import { publishTools } from "./publish-tools.js";
import { type GreetingOptions, serveStdio } from "./serve-stdio.js";
import { installSessionHook } from "./session-hook.js";
import type { Streams } from "./stdio-transport.js";

export type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
export type { Streams } from "./stdio-transport.js";

/** The protocol's server: the framework with everything that is published. */
export interface McpServer {
  /** Serves one session over a transport of the SDK. */
  connect(transport: Transport): Promise<void>;
  /** Serves one client over two streams; see {@link serveStdio}. */
  serveStdio(streams: Streams, greeting: Pick<GreetingOptions, "listed" | "discovered">): Promise<void>;
  /** Called when the last session has gone. */
  onIdle(listener: () => void): void;
  /** Makes every call in flight answer now; resolves when they have, or after `graceMs`. */
  stopCalls(graceMs: number): Promise<void>;
  /** Tells clients of no changes any more. */
  stopInforming(): void;
  close(): Promise<void>;
}

/** Publishes tools, resources and prompts. */
export function createMcpServer(options: {
  services: Services;
  tools: readonly ToolDefinition[];
  /** How a tool is named that carries an action. */
  project: ProjectStep;
  prompts: Prompts;
  complete: Complete;
  /** Written for each session when it is made. */
  instructions(): string;
  clock: Clock;
  log: Log;
}): McpServer {
  const { services, tools, prompts, project, complete, instructions, clock, log } = options;
  installSessionHook();
  const server = new FastMCP({
    name: "automagik-workflows-mcp",
    version: VERSION as `${number}.${number}.${number}`,
    get instructions() {
      return instructions();
    },
    logger: {
      debug: (...args) => log.debug(withoutContents(args)),
      // Mostly what a client has got wrong. What fails in here is logged where it fails.
      error: (...args) => log.warn(withoutContents(args)),
      info: (...args) => log.info(withoutContents(args)),
      log: (...args) => log.info(withoutContents(args)),
      warn: (...args) => log.warn(withoutContents(args)),
    },
    ping: { enabled: false },
    roots: { enabled: false },
  });
  const elicitationTimeoutMs = services.settings.elicitationTimeoutS * 1000;
  const inFlight = createInFlightCalls({ clock, elicitationTimeoutMs });
  publishTools(server, tools, {
    catalogue: services.catalogue,
    capabilities: services.capabilities,
    inFlight,
    services,
  });
  const stopInforming = [
    publishResources(server, services, complete),
    publishPrompts(server, { prompts, project, complete }),
  ];

  return {
    async connect(transport) {
      await server.connect(transport);
    },
    serveStdio: (streams, greeting) =>
      serveStdio(server, streams, { ...greeting, inFlight, instructions, clock, log }),
    onIdle(listener) {
      server.on("disconnect", () => {
        if (server.sessions.length === 0) listener();
      });
    },
    stopCalls: (graceMs) => inFlight.stop(graceMs),
    stopInforming: () => stopInforming.forEach((stop) => void stop()),
    async close() {
      await Promise.allSettled([...server.sessions].map((session) => session.close()));
      await server.stop();
    },
  };
}
