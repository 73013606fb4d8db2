import { actions } from "../actions/index.js";
import type { DashboardView } from "../dashboard/index.js";
import { hasSharedDatabase } from "../settings/shared-database.js";
import { systemClock } from "../shared/clock.js";
import type { Unready } from "../store/database-check.js";
import { createComplete } from "./completions.js";
import type { McpServer, Streams, Transport } from "./fastmcp/mcp-server.js";
import type { ModernLeg, ModernRequest } from "./modern/modern-leg.js";
import { peekEra } from "./modern/peek-era.js";
import { createServices, type ServiceOptions } from "./services.js";
import { createPrompts } from "./template-prompts.js";
import { writeInstructions } from "./tools/instructions.js";
import { buildTools, projectSteps } from "./tools/registry.js";
import { buildWidgetTool } from "./tools/widget-tool.js";

export type ServerOptions = ServiceOptions;

export interface WorkflowsServer {
  /**
   * Serves one client over two streams; the first list of tools waits for the list of workflows, within its budget.
   * When the client sends no more, what it has sent is answered, and the session ends.
   */
  serveStdio(streams: Streams): Promise<void>;
  /** The same for one session over any transport of the SDK. */
  connect(transport: Transport): Promise<void>;
  /** Makes sure that open plans are carried out, without waiting for a session. Never throws. */
  carryOnPlans(): Promise<void>;
  /** Serves one HTTP request of protocol 2026-07-28, whose sender may send it. */
  serveRequest(request: Request, how: ModernRequest): Promise<Response>;
  /** Whether such a call goes on, or waits for an answer, without a request of its client. */
  isHolding(): boolean;
  /** What the dashboard shows of this server; loaded with the first one who looks. */
  openDashboard(): Promise<DashboardView>;
  /** Called when the last session of a stdio server has gone. */
  onIdle(listener: () => void): void;
  /** Why runs cannot be started right now; undefined when they can. Asks the API and the database when needed. */
  checkReadiness(): Promise<Unready | undefined>;
  /** Makes every call in flight answer now; resolves when they have, or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Answers the calls in flight within `graceMs`, then stops everything. Runs go on. */
  close(graceMs?: number): Promise<void>;
}

/** Puts the server together. Nothing is sent and nothing is read before it serves. */
export function createServer(options: ServerOptions): WorkflowsServer {
  const { settings, log, clock = systemClock } = options;
  const host = createServices(options);
  const { services } = host;
  const { catalogue, sessions, capabilities } = services;
  const project = projectSteps(settings.toolset, actions, capabilities);
  const prompts = createPrompts(services, options.templates?.ownFolder);
  const onDefect = (error: unknown) => log.error("A tool failed:", error);
  const published = {
    services,
    tools: [
      ...buildTools(settings.toolset, actions, onDefect, capabilities, options.counters?.called),
      buildWidgetTool({ project, onDefect }),
    ],
    project,
    prompts,
    complete: createComplete({ catalogue, sessions, plans: services.plans }),
    instructions: () => writeInstructions(catalogue.state(), project),
    clock,
    log,
  };
  let legacy: Promise<McpServer> | undefined;
  let modern: Promise<ModernLeg> | undefined;
  let dashboard: Promise<DashboardView> | undefined;
  let answers: Promise<{ close(): Promise<void> } | undefined> | undefined;
  let isHolding = () => false;
  let onIdle = () => {};
  let closing: Promise<void> | undefined;

  /** Loaded with the first client that speaks so, as the other one is. */
  function openLegacy(): Promise<McpServer> {
    legacy ??= import("./fastmcp/mcp-server.js").then(({ createMcpServer }) => {
      const mcp = createMcpServer(published);
      mcp.onIdle(() => onIdle());
      return mcp;
    });
    return legacy;
  }

  function openModern(): Promise<ModernLeg> {
    modern ??= import("./modern/modern-leg.js").then(async ({ createModernLeg }) => {
      // What several servers share is in no folder of one of them.
      const stateFolder = hasSharedDatabase(settings) ? undefined : options.plans?.folder;
      const reads = { ready: host.discover(), listed: host.listWorkflows() };
      const leg = await createModernLeg({ ...published, ...reads, stateFolder });
      isHolding = leg.isHolding;
      return leg;
    });
    return modern;
  }

  async function stopCalls(graceMs: number): Promise<void> {
    await Promise.all([
      legacy?.then((mcp) => mcp.stopCalls(graceMs)),
      modern?.then((leg) => leg.stopCalls(graceMs)),
    ]);
  }

  async function shutDown(graceMs: number): Promise<void> {
    await stopCalls(graceMs);
    prompts.close();
    (await dashboard)?.close();
    await (await answers?.catch(() => undefined))?.close();
    await (await modern)?.close();
    const mcp = await legacy;
    mcp?.stopInforming();
    await host.close();
    await mcp?.close();
  }

  return {
    async serveStdio(streams) {
      const discovered = host.discover();
      void discovered.then(() => services.plans.carryOn());
      const { input } = streams;
      const seen = settings.era === "auto" ? await peekEra(input) : { era: "legacy", input };
      const read = { ...streams, input: seen.input };
      if (seen.era === "modern") {
        (await openModern()).serveStdio(read, () => onIdle());
        return;
      }
      const mcp = await openLegacy();
      await mcp.serveStdio(read, { listed: host.listWorkflows(), discovered });
    },
    async connect(transport) {
      await host.discover();
      void services.plans.carryOn();
      await (await openLegacy()).connect(transport);
    },
    async carryOnPlans() {
      await host.discover();
      await services.plans.carryOn();
      answers ??= options.openAnswers?.(services);
    },
    async serveRequest(request, how) {
      return (await openModern()).serveRequest(request, how);
    },
    async openDashboard() {
      dashboard ??= import("../dashboard/index.js").then(({ createDashboardView }) =>
        createDashboardView({ services, log }),
      );
      await host.discover();
      return dashboard;
    },
    isHolding: () => isHolding(),
    onIdle(listener) {
      onIdle = listener;
    },
    checkReadiness: host.checkReadiness,
    drain: stopCalls,
    close(graceMs = 3_000) {
      closing ??= shutDown(graceMs);
      return closing;
    },
  };
}
