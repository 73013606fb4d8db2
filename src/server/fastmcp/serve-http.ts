import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../shared/clock.js";
import { boundConnections, SERVER_OPTIONS, SPARE_CONNECTIONS } from "../../shared/http/connections.js";
import { limitConnections } from "../../shared/http/open-files.js";
import { createWrongTokens } from "../../shared/http/wrong-tokens.js";
import type { Log } from "../../shared/log.js";
import { createBodies, discardBody } from "../http/body.js";
import { type Caller, type CallerRules, createCallerCheck } from "../http/callers.js";
import { createGuard } from "../http/guard.js";
import { createRate } from "../http/rate.js";
import { HttpRefusal, idOf, sendRefusal } from "../http/refusal.js";
import type { WorkflowsServer } from "../server.js";
import type { Message } from "./calls.js";
import { readFrames } from "./frames.js";
import { createHttpSessions } from "./http-sessions.js";
import type { HttpSession } from "./open-sessions.js";

export interface HttpServerOptions extends CallerRules {
  /** Serves every caller without a key of its own. */
  server: WorkflowsServer;
  /** Makes a server for the sessions of callers that bring that key; of others', it shares the line of starts alone. */
  createServerForKey(apiKey: string): WorkflowsServer;
  clock: Clock;
  log: Log;
  host: string;
  /** 0 for any free one. */
  port: number;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
  /** Whether the protocol's earlier transport is there too. */
  sse: boolean;
  requestsPerMinute: number;
  maxSessions: number;
  maxCalls: number;
  bodyLimitBytes: number;
  idleMs: number;
  /** In which a request's headers, and the whole of it, must have come: slow senders hold connections. In ms. */
  headersTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** Connections at once, of all callers together; a fifth of them are for those who have shown no token. */
  maxConnections?: number;
  /** This replica's name among several, with which its session ids begin. */
  replica?: string | undefined;
}

/** The server at its port. */
export interface HttpServer {
  /** Its origin, "http://127.0.0.1:28882". */
  url: string;
  /** Refuses new calls, answers those in flight within `graceMs`, then ends all. Runs go on. */
  close(graceMs: number): Promise<void>;
}

const MAX_CONNECTIONS = 1_000;
/** Answers that are still under way when all is closed, in ms. */
const CLOSE_MS = 300;
const SWEEP_MS = 20;

/**
 * Serves MCP's Streamable HTTP at /mcp, and /health and /ready. The SDK's transport carries the framework's sessions,
 * not the framework's own HTTP server: that one checks no Host, opens /sse, /messages and /ping to everybody, and
 * reads its port, its host and more from flags and variables of its own.
 * @throws when the port cannot be had
 */
export async function serveHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { server, clock, log } = options;
  const guard = createGuard(options);
  const checkCaller = createCallerCheck(options);
  const rate = createRate({ perMinute: options.requestsPerMinute, now: clock.now });
  const wrongTokens = createWrongTokens({ clock, log });
  const bodies = createBodies(options.bodyLimitBytes);
  const sessions = createHttpSessions(options);
  let isStopping = false;
  let requests = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? "/";
    const path = pathOf(url);
    const method = request.method ?? "";
    const problem = guard.check(request.headers);
    if (problem) throw new HttpRefusal(403, problem);
    for (const [name, value] of Object.entries(guard.corsHeaders(request.headers))) {
      response.setHeader(name, value);
    }
    const isRead = method === "GET" || method === "HEAD";
    if (path === "/health" && isRead) return sendJson(response, 200, { status: "ok" });
    if (path === "/ready" && isRead) return sendReadiness(request, response);
    const isSse = options.sse && (path === "/sse" || path === "/messages");
    if (path !== "/mcp" && !isSse) throw new HttpRefusal(404, "Not found");
    const methods = path === "/mcp" ? ["GET", "POST", "DELETE"] : path === "/sse" ? ["GET"] : ["POST"];
    // A browser asks before it sends; an origin that may is answered by the headers above.
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
    // The request itself has been counted before anything of it was read.
    if (Array.isArray(sent) && sent.length > 1) takeShare(caller, sent.length - 1);
    if (isStopping && method === "POST") {
      throw refusalFor(sent, 503, "The server is stopping. Nothing was done.", { "retry-after": "5" });
    }
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
        if (!isHello(body)) throw refusalFor(body, 400, "The header Mcp-Session-Id is missing");
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
  }

  /** Who sends the request. @throws HttpRefusal 401, the later the more often that address had no right token */
  async function admit(request: IncomingMessage): Promise<Caller> {
    try {
      const caller = checkCaller(request.headers);
      connections.admit(request.socket);
      return caller;
    } catch (error) {
      if (!(error instanceof HttpRefusal) || error.status !== 401) throw error;
      // Nothing is tried out by who shows nothing.
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
    const reason = isStopping ? "The server is stopping." : await server.checkReadiness();
    if (reason === undefined) return sendJson(response, 200, { ready: true });
    let isKnown = true;
    try {
      checkCaller(request.headers);
    } catch {
      isKnown = false;
    }
    // The whole reason names addresses, which are nobody's business who has no token.
    const shown = isKnown || isStopping ? reason : "The workflows API is not available.";
    return sendJson(response, 503, { ready: false, reason: shown });
  }

  const http: Server = createServer(
    {
      ...SERVER_OPTIONS,
      ...(options.headersTimeoutMs === undefined ? {} : { headersTimeout: options.headersTimeoutMs }),
      ...(options.requestTimeoutMs === undefined ? {} : { requestTimeout: options.requestTimeoutMs }),
    },
    (request, response) => {
      const number = ++requests;
      const begun = clock.now();
      response.once("close", () => {
        const { method, url = "" } = request;
        const path = pathOf(url);
        const shown = PATHS.includes(path) ? path : "another path";
        log.debug(
          `Request ${number}: ${method} ${shown} → ${response.statusCode}, ${clock.now() - begun} ms`,
        );
      });
      serve(request, response).catch(async (error: Error) => {
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
  const places = limitConnections(options.maxConnections ?? MAX_CONNECTIONS);
  const connections = boundConnections(http, places);
  http.maxConnections = places + SPARE_CONNECTIONS;
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
    await sessions.drain(graceMs);
    const ended = new Promise<void>((resolve) => http.close(() => resolve()));
    await Promise.all([sessions.close(), server.close(0)]);
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

function sendJson(response: ServerResponse, status: number, body: object): void {
  // Whoever asks for these needs no token, and so holds no place.
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    connection: "close",
  });
  response.end(JSON.stringify(body));
}

const PATHS = ["/mcp", "/sse", "/messages", "/health", "/ready"];

/** A request's path without its query, and without a slash at its end. */
function pathOf(url: string): string {
  const path = url.split("?", 1)[0] ?? "";
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

function isHello(body: unknown): boolean {
  const [first] = (Array.isArray(body) ? body : [body]) as (Message | null | undefined)[];
  return first?.method === "initialize";
}
