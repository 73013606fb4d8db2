import { randomUUID } from "node:crypto";
import { createFaults, type Fault, type FaultMatch, matchesPath, type PathMatch } from "./faults.js";
import type { Discovery } from "./openapi.js";
import { type Call, createRoutes, type Reply } from "./routes.js";
import { createWorld, type World, type WorldOptions } from "./world.js";

export type { Fault, FaultMatch, PathMatch } from "./faults.js";
export type { Discovery } from "./openapi.js";

const ROUTER = "/api/v1/workflows/claude-code";

export interface ApiOptions extends WorldOptions {
  /**
   * Where the API begins, default `/api/v1/workflows/claude-code`; anything before that is a prefix under which
   * the whole server is mounted.
   */
  basePath?: string;
  /** Serve `/api/v1/openapi.json`. Default false. */
  describe?: boolean;
  /** Paths that this server does not have, written as in its description: `/run/{run_id}/kill`. Default none. */
  without?: readonly string[];
  /**
   * Starts under one `Idempotency-Key` are one run, and keys begin with this (may be ""). Left out: no keys are kept.
   */
  keyPrefix?: string;
  /** Which route tells the workflows. Default `manage`. */
  discovery?: Discovery;
}

/** A request as it was received. */
export interface RecordedRequest {
  method: string;
  /** Below the base, decoded; outside of it `root:` and the path below the prefix, as in `root:/health`. */
  path: string;
  query: Record<string, string>;
  /** Parsed when it is JSON, the text when it is not, null when there was none. */
  body: unknown;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** The world's time, epoch milliseconds. */
  at: number;
}

/** What is to be done with a connection. */
export type Outcome = { kind: "response"; response: Response } | { kind: "drop" } | { kind: "hang" };

export interface SimulatedApi {
  readonly world: World;
  /** Every request received, in order, those that met a fault included. */
  readonly requests: RecordedRequest[];
  /** What a request comes to, for adapters that have a connection to break. */
  answer(request: Request): Promise<Outcome>;
  /**
   * Answers a request. A dropped connection rejects as `fetch` does, with a TypeError; a hanging one rejects when
   * the request's signal aborts and never otherwise.
   */
  handle(request: Request): Promise<Response>;
  /** The POST requests received, all or those to a path: `posts("/run/")` are the starts. */
  posts(path?: PathMatch): RecordedRequest[];
  /** Makes requests go wrong, all or so many; gives what ends it. The latest fault that fits is the one. */
  fault(match: FaultMatch, fault: Fault, times?: number): () => void;
  /**
   * Resolves with the first request, past or coming, that fits. Rejects after `timeoutMs`, default 60000.
   */
  waitFor(predicate: (request: RecordedRequest) => boolean, timeoutMs?: number): Promise<RecordedRequest>;
  /** Resolves when no request is being answered; hanging ones do not count. */
  settled(): Promise<void>;
}

/** Creates the simulated API: a world, its routes, a record of what was asked, and faults on demand. */
export function createSimulatedApi(options: ApiOptions = {}): SimulatedApi {
  const world = createWorld(options);
  const basePath = (options.basePath ?? ROUTER).replace(/\/+$/, "");
  const prefix = basePath.endsWith(ROUTER) ? basePath.slice(0, -ROUTER.length) : "";
  const route = createRoutes(world, {
    basePath,
    describe: options.describe ?? false,
    discovery: options.discovery ?? "manage",
    without: options.without ?? [],
    keyPrefix: options.keyPrefix,
  });
  const faults = createFaults();
  const requests: RecordedRequest[] = [];
  const watchers = new Set<(request: RecordedRequest) => void>();
  const idle = new Set<() => void>();
  let open = 0;

  async function receive(request: Request): Promise<Call> {
    const url = new URL(request.url);
    const text = await request.text();
    const headers = Object.fromEntries(request.headers);
    const query = Object.fromEntries(url.searchParams);
    const path = pathBelow(url.pathname, basePath, prefix);
    const record = {
      method: request.method,
      path,
      query,
      body: bodyOf(text),
      headers,
      at: world.clock.now(),
    };
    requests.push(record);
    for (const watcher of [...watchers]) watcher(record);
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
    return {
      method: request.method,
      path,
      query,
      text,
      contentType: headers["content-type"] ?? "",
      startKey: headers["idempotency-key"],
      key: headers["x-api-key"] || query["x-api-key"] || bearer,
    };
  }

  async function serve(request: Request): Promise<Outcome> {
    const call = await receive(request);
    const fault = faults.take(call.method, call.path);
    if (fault === undefined) return { kind: "response", response: toResponse(route(call)) };
    const replaced = fault.status !== undefined || fault.body !== undefined;
    const stopped = replaced || fault.hang === true || fault.drop === "before";
    const acts = !stopped || fault.act === true;
    const reply = acts ? route(call) : undefined;
    if (fault.delayMs !== undefined) await pause(fault.delayMs, request.signal);
    if (fault.drop !== undefined) return { kind: "drop" };
    if (fault.hang) return { kind: "hang" };
    return {
      kind: "response",
      response: replaced || reply === undefined ? broken(fault) : toResponse(reply, fault),
    };
  }

  async function answer(request: Request): Promise<Outcome> {
    open += 1;
    try {
      return await serve(request);
    } finally {
      open -= 1;
      if (open === 0) for (const done of [...idle]) done();
    }
  }

  return {
    world,
    requests,
    answer,
    async handle(request) {
      const outcome = await answer(request);
      if (outcome.kind === "response") return outcome.response;
      if (outcome.kind === "drop") throw new TypeError("The simulated connection was reset.");
      return aborted(request.signal);
    },
    posts: (path) => requests.filter((item) => item.method === "POST" && matchesPath(item.path, path)),
    fault: (match, fault, times) => faults.add(match, fault, times),
    waitFor(predicate, timeoutMs = 60_000) {
      const past = requests.find(predicate);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve, reject) => {
        const watcher = (record: RecordedRequest): void => {
          if (!predicate(record)) return;
          clearTimeout(timer);
          watchers.delete(watcher);
          resolve(record);
        };
        const timer = setTimeout(() => {
          watchers.delete(watcher);
          const seen = requests.map((item) => `${item.method} ${item.path}`).join(", ") || "none";
          reject(new Error(`No such request within ${timeoutMs} ms; received: ${seen}.`));
        }, timeoutMs);
        watchers.add(watcher);
      });
    },
    settled() {
      if (open === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          idle.delete(done);
          resolve();
        };
        idle.add(done);
      });
    },
  };
}

function pathBelow(pathname: string, basePath: string, prefix: string): string {
  const inside = pathname === basePath || pathname.startsWith(`${basePath}/`);
  const below = inside ? pathname.slice(basePath.length) : pathname;
  const root = pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : pathname;
  try {
    return inside ? decodeURIComponent(below) : `root:${decodeURIComponent(root)}`;
  } catch {
    return inside ? below : `root:${root}`;
  }
}

function bodyOf(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toResponse(reply: Reply, extra: Fault = {}): Response {
  const headers = { "x-request-id": randomUUID(), "x-process-time": "0.001", ...extra.headers };
  return Response.json(reply.body, { status: reply.status, headers });
}

function broken(fault: Fault): Response {
  const { status = 200, body = { detail: "Simulated fault" }, headers } = fault;
  const init = { status, ...(headers ? { headers } : {}) };
  if (status === 204 || status === 304) return new Response(null, init);
  return typeof body === "string" ? new Response(body, init) : Response.json(body, init);
}

/** Waits in real time, or until the other side has gone away. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

/** Never resolves; rejects when the request is given up. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const give = (): void => reject(signal.reason);
    if (signal.aborted) give();
    else signal.addEventListener("abort", give, { once: true });
  });
}
