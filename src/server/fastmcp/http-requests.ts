import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { TEXT_HEADERS } from "../../monitoring/monitoring.js";
import type { Clock } from "../../shared/clock.js";
import { createWrongTokens } from "../../shared/http/wrong-tokens.js";
import type { Log } from "../../shared/log.js";
import { createBodies } from "../http/body.js";
import { type Caller, type CallerRules, createCallerCheck } from "../http/callers.js";
import { DASHBOARD, type DashboardRequests } from "../http/dashboard-requests.js";
import { createGuard } from "../http/guard.js";
import type { Rate } from "../http/rate.js";
import { HttpRefusal, idOf } from "../http/refusal.js";
import type { WorkflowsServer } from "../server.js";
import type { Message } from "./calls.js";
import { readFrames } from "./frames.js";
import type { HttpSessions } from "./http-sessions.js";
import { isModernRequest, type ModernRequests } from "./modern-requests.js";
import type { HttpSession } from "./open-sessions.js";

/** What may be sent to the server, and by whom. */
export interface RequestRules extends CallerRules {
  host: string;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
  /** Whether the protocol's earlier transport is there too. */
  sse: boolean;
  requestsPerMinute: number;
  bodyLimitBytes: number;
}

const STOPPING = "The server is stopping.";
const PATHS = ["/mcp", "/sse", "/messages", "/health", "/ready", "/metrics", DASHBOARD];

/**
 * What serves one request: MCP at /mcp (and at /sse and /messages), the dashboard, /health, /ready and /metrics.
 * @returns throws HttpRefusal for a request that is not served
 */
export function createRequestHandler(
  options: RequestRules & {
    server: Pick<WorkflowsServer, "checkReadiness">;
    sessions: HttpSessions;
    /** Absent where that protocol is not served. */
    modern: ModernRequests | undefined;
    dashboard: DashboardRequests;
    rate: Rate;
    /** Absent where figures are not told. */
    metrics?: (() => Promise<string>) | undefined;
    clock: Clock;
    log: Log;
    isStopping(): boolean;
    /** A request on this connection has shown a valid token. */
    onAdmitted(socket: Socket): void;
  },
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { server, sessions, dashboard, rate, clock, log } = options;
  const guard = createGuard(options);
  const checkCaller = createCallerCheck(options);
  const wrongTokens = createWrongTokens({ clock, log });
  const bodies = createBodies(options.bodyLimitBytes);

  /** Who sends the request. @throws HttpRefusal 401, later with each request without a valid token from that address */
  async function admit(request: IncomingMessage): Promise<Caller> {
    try {
      const caller = checkCaller(request.headers);
      options.onAdmitted(request.socket);
      return caller;
    } catch (error) {
      if (!(error instanceof HttpRefusal) || error.status !== 401) throw error;
      // Whoever sends no token is not guessing one.
      if (request.headers.authorization === undefined) throw error;
      const wait = await wrongTokens.count(request.socket.remoteAddress);
      if (wait === undefined) throw error;
      throw new HttpRefusal(429, "Too many requests without a valid token", {
        headers: { "retry-after": `${wait}` },
      });
    }
  }

  /** @throws HttpRefusal 429 when the caller has sent more than its share */
  function takeShare({ name }: Caller, requests: number): void {
    const wait = rate.take(name, requests);
    if (wait === undefined) return;
    throw new HttpRefusal(429, `Too many requests: try again in ${wait} s`, {
      headers: { "retry-after": `${wait}` },
    });
  }

  async function sendReadiness(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const stopping = { reason: STOPPING, brief: STOPPING };
    const unready = options.isStopping() ? stopping : await server.checkReadiness();
    if (unready === undefined) return sendJson(response, 200, { ready: true });
    let isKnown = true;
    try {
      checkCaller(request.headers);
    } catch {
      isKnown = false;
    }
    // The full reason contains addresses, which only callers with a token may see.
    return sendJson(response, 503, { ready: false, reason: isKnown ? unready.reason : unready.brief });
  }

  return async (request, response) => {
    const url = request.url ?? "/";
    const path = pathOf(url);
    const method = request.method ?? "";
    if (path === DASHBOARD) {
      return dashboard.serve(request, response, guard, async () => {
        const caller = await admit(request);
        takeShare(caller, 1);
        return caller;
      });
    }
    const problem = guard.check(request.headers);
    if (problem) throw new HttpRefusal(403, problem);
    for (const [name, value] of Object.entries(guard.corsHeaders(request.headers))) {
      response.setHeader(name, value);
    }
    const isRead = method === "GET" || method === "HEAD";
    if (path === "/health" && isRead) return sendJson(response, 200, { status: "ok" });
    if (path === "/ready" && isRead) return sendReadiness(request, response);
    if (path === "/metrics" && isRead && options.metrics) {
      takeShare(await admit(request), 1);
      return sendText(response, await options.metrics());
    }
    const isSse = options.sse && (path === "/sse" || path === "/messages");
    if (path !== "/mcp" && !isSse) throw new HttpRefusal(404, "Not found");
    const methods = path === "/mcp" ? ["GET", "POST", "DELETE"] : path === "/sse" ? ["GET"] : ["POST"];
    // A browser's preflight request: the CORS headers above, if any, are the whole answer.
    if (method === "OPTIONS" && request.headers.origin !== undefined) {
      response.writeHead(204).end();
      return;
    }
    if (!methods.includes(method)) {
      throw new HttpRefusal(405, "Method not allowed", { headers: { allow: methods.join(", ") } });
    }
    const caller = await admit(request);
    takeShare(caller, 1);
    const sent = method === "POST" ? await bodies.read(request, caller.name) : undefined;
    // Each message of a batch counts; the first one was counted before the body was read.
    if (Array.isArray(sent) && sent.length > 1) takeShare(caller, sent.length - 1);
    if (options.isStopping() && method === "POST") {
      throw refusalFor(sent, 503, "The server is stopping. Nothing was done.", { "retry-after": "5" });
    }
    // That protocol has no sessions: where a client or a proxy names one all the same, it means nothing.
    if (options.modern && path === "/mcp" && method === "POST" && isModernRequest(request, sent))
      return options.modern.serve(caller, request, response, sent);
    if (path === "/sse") return sessions.openSse(caller, "/messages", response);
    let session: HttpSession | undefined;
    const readBody = () => (method === "POST" ? readFrames(sent) : undefined);
    let body: unknown;
    if (path === "/messages") {
      const id = new URLSearchParams(url.split("?", 2)[1]).get("sessionId") ?? "";
      session = sessions.find(id, caller, "sse");
    } else {
      const id = request.headers["mcp-session-id"];
      if (typeof id === "string") session = sessions.find(id, caller, "http");
      else {
        body = readBody();
        if (!isInitialize(body)) throw refusalFor(body, 400, "The header Mcp-Session-Id is missing");
        session = await sessions.open(caller);
      }
    }
    if (!session) throw refusalFor(sent, 404, "Session not found", {}, -32_001);
    body ??= readBody();
    try {
      await session.serve(request, response, body);
    } catch (error) {
      if (error instanceof HttpRefusal) error.id = idOf(body);
      throw error;
    }
  };
}

/** The request's path for the log: a path that this server does not have may hold anything. */
export function namePath(url = ""): string {
  const path = pathOf(url);
  return PATHS.includes(path) ? path : "another path";
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  // Sent without a token, so it must not keep a connection that callers with a token may need.
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    connection: "close",
  });
  response.end(JSON.stringify(body));
}

function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, TEXT_HEADERS);
  response.end(text);
}

/** A request's path without its query, and without a slash at its end; of the dashboard only that it is the dashboard's. */
function pathOf(url: string): string {
  const path = url.split("?", 1)[0] ?? "";
  if (path === DASHBOARD || path.startsWith(`${DASHBOARD}/`)) return DASHBOARD;
  return path === "/mcp/" ? "/mcp" : path;
}

function refusalFor(
  body: unknown,
  status: number,
  message: string,
  headers: Record<string, string> = {},
  code?: number,
): HttpRefusal {
  return new HttpRefusal(status, message, {
    headers,
    id: idOf(body),
    ...(code === undefined ? {} : { code }),
  });
}

function isInitialize(body: unknown): boolean {
  const [first] = (Array.isArray(body) ? body : [body]) as (Message | null | undefined)[];
  return first?.method === "initialize";
}
