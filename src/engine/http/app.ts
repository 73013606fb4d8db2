import { OpenAPIHono } from "@hono/zod-openapi";
import type { Clock } from "../../shared/clock.js";
import { createWrongTokens } from "../../shared/http/wrong-tokens.js";
import type { Log } from "../../shared/log.js";
import type { AboutKind } from "../agent/agent-kind.js";
import { AGENT_KINDS } from "../agent/agent-kinds.js";
import { USUAL_AGENT } from "../agent/agent-name.js";
import type { Agents } from "../engine-options.js";
import { type Engine, EngineRefusal, type WorkerSight } from "../types.js";
import { listOffered } from "../workflows/offered-workflows.js";
import type { WorkflowLibrary } from "../workflows/workflow-library.js";
import { serveCallers } from "./apps-of-callers.js";
import { addEndpoint, type EngineApp, type EngineHttpEnv, refuseOtherMethods } from "./endpoint.js";
import { engineOfCaller, eventsOfCaller } from "./engine-of-caller.js";
import { addEventEndpoints } from "./event-endpoints.js";
import type { EventSource } from "./event-stream.js";
import { refuseAgents } from "./from-agent.js";
import { checkKey, checkSource, isOpen } from "./guard.js";
import { healthSchema, rootHealthSchema } from "./health-schemas.js";
import { addLeftoverEndpoints } from "./leftover-endpoints.js";
import { addManageEndpoints } from "./manage-endpoints.js";
import { addQuestionEndpoints } from "./question-endpoints.js";
import { HttpRefusal } from "./refusal.js";
import { addRepositoryEndpoints } from "./repository-endpoints.js";
import { addReviewEndpoints } from "./review-endpoints.js";
import { addRunEndpoints } from "./run-endpoints.js";
import { toMoment, toRefusalBody } from "./run-wire.js";
import * as z from "./schemas.js";
import { addStartEndpoint } from "./start-endpoint.js";
import { addReadyEndpoint, addWorkerEndpoint } from "./worker-endpoints.js";

const API = "/api/v1/workflows/claude-code";

interface AgentHealth {
  name: string;
  title: string;
  available: boolean;
  version?: string;
  path?: string;
  /** Why it cannot be used. */
  message?: string;
}

export interface EngineAppOptions {
  engine: Engine;
  runs: EventSource;
  library: WorkflowLibrary;
  /** The one key that is accepted. */
  apiKey: string;
  /** The kinds of agents, and whether their programs can be used. Without it the usual one counts as there. */
  agents?: Pick<Agents, "all" | "find" | "isOffered">;
  /** Called for every request with the key. */
  onRequest?: () => void;
  /** Waited for before a request with the key is answered. Must not throw. */
  beforeRequest?: () => Promise<void>;
  clock: Clock;
  log: Log;
  /** Names that the Host header may have beside the loopback's, with or without a port. */
  allowedHosts?: readonly string[];
  /** Says whether it can be told who calls; default this machine's. */
  platform?: NodeJS.Platform;
  /** Origins of pages that may call; none by default. */
  allowedOrigins?: readonly string[];
  version: string;
  /** The engines that have the runs; without it the endpoint is not there. */
  workers?: (() => readonly WorkerSight[]) | undefined;
  /** Why requests should not come here, for load balancers; undefined when they may. Default: they may. */
  ready?: () => Promise<string | undefined>;
  /** What keys of starts (`Idempotency-Key`) begin with; without it they are not offered. */
  keyPrefix?: string | undefined;
  /** What is needed to let a person allow repositories; only for an engine that no other machine reaches. */
  repositories?: Parameters<typeof addRepositoryEndpoints>[1] | undefined;
}

/**
 * The engine as the workflows API: the contract's endpoints, questions, events, and its description. Authentication
 * comes before routing, routing before the request's own faults, as in the contract.
 * @returns the app, and how many streams of events are open
 * @throws TypeError when the key is empty
 */
export function createEngineApp(options: EngineAppOptions): { app: EngineApp; clients(): number } {
  const { engine, clock, log, version } = options;
  if (options.apiKey.trim() === "") throw new TypeError("The engine needs an API key.");
  const app: EngineApp = new OpenAPIHono<EngineHttpEnv>();
  app.use(
    checkSource({
      allowedHosts: options.allowedHosts ?? [],
      allowedOrigins: options.allowedOrigins ?? [],
    }),
  );
  app.use(
    checkKey({
      apiKey: options.apiKey,
      wrongKeys: createWrongTokens({ clock, log }),
      onRight: () => options.onRequest?.(),
    }),
  );
  app.use(refuseAgents(options.platform ?? process.platform));
  app.use(async (context, next) => {
    if (!isOpen(context.req.path)) await options.beforeRequest?.();
    await next();
  });
  /** Open streams of all callers. */
  const streams = { open: 0 };
  const clients = () => streams.open;
  app.use(
    `${API}/*`,
    serveCallers((caller) => {
      const own = {
        engine: engineOfCaller(options.engine, caller),
        runs: eventsOfCaller(options.runs, caller),
        // They are this machine's, and those of all.
        workers: undefined,
        repositories: undefined,
      };
      const ofCaller: EngineApp = new OpenAPIHono<EngineHttpEnv>();
      ofCaller.route(API, createApi({ ...options, ...own }, streams));
      answerRefusals(ofCaller, log);
      return ofCaller;
    }),
  );
  app.route(API, createApi(options, streams));

  addEndpoint(app, {
    method: "get",
    path: "/health",
    summary: "Health of the server",
    open: true,
    answer: rootHealthSchema,
    handle: () => ({
      status: "healthy",
      timestamp: toMoment(clock.now()),
      version,
      environment: "local",
      active_runs: engine.activeRuns(),
      clients: clients(),
    }),
  });
  addReadyEndpoint(app, options.ready ?? (async () => undefined));
  const registry = app.openAPIRegistry;
  registry.registerComponent("securitySchemes", "ApiKeyHeader", {
    type: "apiKey",
    in: "header",
    name: "x-api-key",
  });
  registry.registerComponent("securitySchemes", "ApiKeyQuery", {
    type: "apiKey",
    in: "query",
    name: "x-api-key",
  });
  registry.registerComponent("securitySchemes", "BearerAuth", { type: "http", scheme: "bearer" });
  let description: object | undefined;
  addEndpoint(app, {
    method: "get",
    path: "/api/v1/openapi.json",
    summary: "This description",
    open: true,
    answer: z.looseObject({ openapi: z.string() }),
    handle() {
      description ??= app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "Workflows engine", version },
      });
      return description as { openapi: string };
    },
  });
  refuseOtherMethods(app);

  answerRefusals(app, log);
  return { app, clients };
}

/** The endpoints of the workflows, below their path. */
function createApi(options: EngineAppOptions, streams: { open: number }): EngineApp {
  const { engine, library, clock } = options;
  const api: EngineApp = new OpenAPIHono<EngineHttpEnv>();
  const kinds = options.agents?.all ?? AGENT_KINDS;
  addStartEndpoint(api, { ...options, kinds, takesConsent: options.repositories !== undefined });
  api.use("/run/:run_id/*", async (context, next) => {
    await engine.lookFor?.(context.req.param("run_id"));
    await next();
  });
  addRunEndpoints(api, options);
  const { workers } = options;
  if (workers) addWorkerEndpoint(api, { engine, workers });
  addQuestionEndpoints(api, options);
  addReviewEndpoints(api, options);
  addLeftoverEndpoints(api, options);
  addEventEndpoints(api, { ...options, streams });
  addManageEndpoints(api, { ...options, kinds });
  if (options.repositories) addRepositoryEndpoints(api, options.repositories);
  addEndpoint(api, {
    method: "get",
    path: "/health",
    summary: "Health of the workflows",
    answer: healthSchema,
    async handle() {
      const agents = await lookAtAgents(options.agents);
      const usual = agents.find(({ name }) => name === USUAL_AGENT);
      const names = (await listOffered(library, options.agents)).map((workflow) => workflow.name);
      return {
        status: usual?.available === false ? "warning" : "healthy",
        timestamp: toMoment(clock.now()),
        agent_available: usual?.available !== false,
        workflows: Object.fromEntries(names.map((name) => [name, true])),
        container_manager: false,
        feature_enabled: true,
        claude_cli_path: usual?.path ?? null,
        agents: agents.map(({ path: _path, ...agent }) => agent),
        ...(usual?.message === undefined ? {} : { message: usual.message }),
      };
    },
  });
  refuseOtherMethods(api);
  return api;
}

/** Whether the program of each kind can be used, and why not. */
async function lookAtAgents(agents: EngineAppOptions["agents"]): Promise<AgentHealth[]> {
  if (!agents) return [];
  const look = async ({ name, title }: AboutKind): Promise<AgentHealth> => {
    const found = await agents.find(name);
    if (!found.ok) return { name, title, available: false, message: found.problem };
    const version = found.version === undefined ? {} : { version: found.version };
    return { name, title, available: true, path: found.path, ...version };
  };
  return Promise.all(agents.all.map(look));
}

function answerRefusals(app: EngineApp, log: Log): void {
  app.notFound((context) => context.json({ detail: "Not Found" }, 404));
  app.onError((error, context) => {
    if (error instanceof HttpRefusal) {
      if (error.retryAfter !== undefined) context.header("retry-after", String(error.retryAfter));
      // Whoever is refused for the key holds no place.
      if (error.status === 401 || error.status === 429) context.header("connection", "close");
      return context.json({ detail: error.detail }, error.status);
    }
    if (error instanceof EngineRefusal) return context.json(toRefusalBody(error), error.status);
    log.error(`${context.req.method} ${context.req.path} failed: ${error.message}`);
    return context.json({ detail: "Internal server error" }, 500);
  });
}
