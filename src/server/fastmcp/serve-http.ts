import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../shared/clock.js";
import { boundConnections, SERVER_OPTIONS, SPARE_CONNECTIONS } from "../../shared/http/connections.js";
import { limitConnections } from "../../shared/http/open-files.js";
import type { Log } from "../../shared/log.js";
import { discardBody } from "../http/body.js";
import { createDashboardRequests } from "../http/dashboard-requests.js";
import { createRate } from "../http/rate.js";
import { HttpRefusal, sendRefusal } from "../http/refusal.js";
import type { WorkflowsServer } from "../server.js";
import { createRequestHandler, namePath, type RequestRules } from "./http-requests.js";
import { createHttpSessions } from "./http-sessions.js";
import { createModernRequests } from "./modern-requests.js";
import { createOwnServers } from "./own-servers.js";

/** What the server serves, where, and within which limits. */
export interface HttpServerOptions extends RequestRules {
  /** Serves every caller without a key of its own. */
  server: WorkflowsServer;
  /** Makes a server for the sessions of callers with that key of their own; servers share the start limit only. */
  createServerForKey(apiKey: string): WorkflowsServer;
  /** The servers of all persons, by the names of their tokens, where callers are kept apart: then nobody else is served. */
  persons?: ReadonlyMap<string, WorkflowsServer> | undefined;
  clock: Clock;
  log: Log;
  /** 0 for any free one. */
  port: number;
  maxSessions: number;
  maxCalls: number;
  idleMs: number;
  /** In which a request's headers, and the whole of it, must have come: slow senders hold connections. In ms. */
  headersTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** Maximum connections of all callers together; a fifth of them are for those who have shown no token. */
  maxConnections?: number;
  /** `auto`: protocol 2026-07-28 too. */
  era: "auto" | "legacy";
  /** The folder of the dashboard's page; by default that of this package. */
  dashboardFolder?: string;
  /** All figures as Prometheus reads them, for callers; absent where they are not told. */
  metrics?: (() => Promise<string>) | undefined;
  /** This replica's name among several, with which its session ids begin. */
  replica?: string | undefined;
}

/** The server at its port. */
export interface HttpServer {
  /** Its origin, "http://127.0.0.1:28882". */
  url: string;
  /** Refuses new calls, answers those in progress within `graceMs`, then ends all. Runs go on. */
  close(graceMs: number): Promise<void>;
}

const MAX_CONNECTIONS = 1_000;
/** How long answers may still take when everything else is closed, in ms. */
const CLOSE_MS = 300;
const SWEEP_MS = 20;

/**
 * Serves MCP's Streamable HTTP at /mcp, and /health and /ready. The SDK's transport carries the framework's sessions,
 * not the framework's own HTTP server: that one checks no Host, opens /sse, /messages and /ping to everybody, and
 * reads its port, its host and more from flags and variables of its own.
 * @throws when the port cannot be had
 */
export async function serveHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { server, persons, clock, log } = options;
  const rate = createRate({ perMinute: options.requestsPerMinute, clock });
  const ownServers = createOwnServers({ persons, ...options });
  const sessions = createHttpSessions({ ...options, ownServers });
  const dashboard = createDashboardRequests({
    ...options,
    ownServers,
    admit(socket, caller) {
      connections.admit(socket);
      return rate.take(caller, 1);
    },
  });
  const modern = options.era === "auto" ? createModernRequests({ ...options, ownServers }) : undefined;
  let isStopping = false;
  let requests = 0;
  const handle = createRequestHandler({
    ...options,
    sessions,
    modern,
    dashboard,
    rate,
    isStopping: () => isStopping,
    onAdmitted: (socket) => connections.admit(socket),
  });

  const http: Server = createServer(
    {
      ...SERVER_OPTIONS,
      ...(options.headersTimeoutMs === undefined ? {} : { headersTimeout: options.headersTimeoutMs }),
      ...(options.requestTimeoutMs === undefined ? {} : { requestTimeout: options.requestTimeoutMs }),
    },
    (request, response) => {
      const number = ++requests;
      const begun = clock.elapsed();
      response.once("close", () => {
        const took = Math.round(clock.elapsed() - begun);
        log.debug(
          `Request ${number}: ${request.method} ${namePath(request.url)} → ${response.statusCode}, ${took} ms`,
        );
      });
      handle(request, response).catch(async (error: Error) => {
        await discardBody(request);
        if (error instanceof HttpRefusal) {
          log.debug(`Request ${number} is refused: ${error.message}`);
          sendRefusal(response, error);
        } else {
          log.error(`Request ${number} failed unexpectedly:`, error);
          sendRefusal(response, new HttpRefusal(500, "Internal error in this server"));
        }
      });
    },
  );
  const limit = limitConnections(options.maxConnections ?? MAX_CONNECTIONS);
  const connections = boundConnections(http, limit);
  http.maxConnections = limit + SPARE_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(options.port, options.host, () => {
      http.off("error", reject);
      resolve();
    });
  });
  const { port } = http.address() as AddressInfo;
  let closing: Promise<void> | undefined;

  async function stop(graceMs: number): Promise<void> {
    isStopping = true;
    await dashboard.close();
    await Promise.all([sessions.drain(graceMs), modern?.drain(graceMs)]);
    const ended = new Promise<void>((resolve) => http.close(() => resolve()));
    const servers = [server, ...(persons?.values() ?? [])];
    await Promise.all([sessions.close(), modern?.close(), ...servers.map((one) => one.close(0))]);
    const sweeping = setInterval(() => http.closeIdleConnections(), SWEEP_MS);
    const cancel = clock.after(CLOSE_MS, () => http.closeAllConnections());
    await ended;
    clearInterval(sweeping);
    cancel();
  }

  return {
    url: `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`,
    close: (graceMs) => {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}
