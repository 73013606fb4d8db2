import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { onTestFinished } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../../mocks/serve.js";
import { type HttpServerOptions, serveHttp } from "../../src/server/fastmcp/serve-http.js";
import { createServer as createWorkflowsServer } from "../../src/server/server.js";
import { createSessionStore } from "../../src/sessions/store/open-session-store.js";
import { type Clock, systemClock } from "../../src/shared/clock.js";
import { spawnBin, temporaryFolder, toVariables } from "./bin.js";
import { type ClientOptions, createTestClient, silentLog, type TestClient, testSettings } from "./harness.js";

export interface Http {
  /** The server's origin. */
  url: string;
  connect(options?: HttpClientOptions): Promise<HttpClient>;
  close(graceMs?: number): Promise<void>;
}

export interface HttpClientOptions extends ClientOptions {
  token?: string;
  headers?: Record<string, string>;
  /** Another address than the server's own: that of a proxy. */
  url?: string;
  /** The client opens no stream for what the server has to say by itself. */
  withoutStream?: boolean;
}

export interface HttpClient extends TestClient {
  transport: StreamableHTTPClientTransport;
}

/** Serves over HTTP in this process; everything is closed when the test ends. */
export async function startHttp(
  options: {
    settings?: Record<string, string>;
    log?: typeof silentLog;
    /** Where plans, sessions and history are kept; in memory, and no plans, without. */
    plansFolder?: string;
    /** Of the servers behind it, where that is not the transport's. */
    serverClock?: Clock;
    /** Told of each server that is made for a caller's own key. */
    onServerForKey?: (apiKey: string) => void;
    /** Takes what closes the server; when left out, that is done at the test's end. */
    onEnd?: (close: () => Promise<void>) => void;
  } & Partial<HttpServerOptions> = {},
): Promise<Http> {
  const {
    settings: overrides = {},
    log = silentLog,
    onServerForKey,
    plansFolder,
    onEnd = onTestFinished,
    clock = systemClock,
    serverClock = clock,
    ...rest
  } = options;
  const settings = testSettings(overrides);
  const make = (apiKey: string | undefined) =>
    createWorkflowsServer({
      settings: { ...settings, apiKey },
      log,
      clock: serverClock,
      env: { PATH: process.env.PATH },
      gitHosts: settings.httpGitHosts ?? [],
      ...(plansFolder && apiKey === settings.apiKey
        ? {
            plans: { folder: plansFolder, upstream: "the API" },
            store: createSessionStore({
              ...{ state: undefined, folder: plansFolder, upstream: "the API", historyDays: 365 },
              onProblem: () => {},
            }),
          }
        : {}),
    });
  const served = await serveHttp({
    server: make(settings.apiKey),
    createServerForKey(apiKey) {
      onServerForKey?.(apiKey);
      return make(apiKey);
    },
    clock,
    log,
    host: "127.0.0.1",
    port: 0,
    allowedHosts: settings.httpAllowedHosts ?? [],
    allowedOrigins: settings.httpOrigins ?? [],
    tokens: settings.tokens ?? [],
    takesKeys: settings.callerKeys === "on",
    era: settings.era,
    sse: false,
    requestsPerMinute: settings.httpRate,
    maxSessions: settings.httpMaxSessions,
    maxCalls: settings.httpMaxCalls,
    bodyLimitBytes: settings.httpBodyLimitKib * 1024,
    idleMs: settings.httpIdleTimeoutS * 1000,
    ...rest,
  });
  onEnd(() => served.close(0));
  return {
    url: served.url,
    connect: (client = {}) => connectHttp(served.url, client),
    close: (graceMs = 3_000) => served.close(graceMs),
  };
}

/** A simulated API whose agents do as they are told, and a server before it. */
export async function startHttpWithApi(
  options: Parameters<typeof startHttp>[0] = {},
): Promise<Http & { api: ServedApi["api"] }> {
  const served = await serveSimulatedApi({ paceMs: "manual" });
  onTestFinished(() => served.close());
  const http = await startHttp({ ...options, settings: { BASE_URL: served.url, ...options.settings } });
  return { ...http, api: served.api };
}

/** What a plain request is answered, with any header, also those that fetch does not let one set. */
export function sendPlain(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, async (response) => {
      const isStream = response.headers["content-type"] === "text/event-stream";
      let text = "";
      try {
        for await (const chunk of response) {
          text += chunk;
          if (isStream) break;
        }
      } catch (error) {
        reject(error);
      }
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  });
}

export const JSON_HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

/** How a client says hello. */
export const HELLO = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "plain", version: "1" } },
};

/** Connects a client of the SDK. */
export async function connectHttp(origin: string, options: HttpClientOptions = {}): Promise<HttpClient> {
  const { token, headers = {}, url = origin, withoutStream } = options;
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", url), {
    requestInit: { headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}) } },
    reconnectionOptions: {
      initialReconnectionDelay: 20,
      maxReconnectionDelay: 100,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 50,
    },
    ...(withoutStream ? { fetch: fetchWithoutStream } : {}),
  });
  const test = createTestClient(options);
  await test.client.connect(transport as Transport);
  onTestFinished(() => test.client.close().catch(() => {}));
  return { ...test, transport };
}

/** As behind a proxy that lets no stream through but those that answer a request. */
const fetchWithoutStream: typeof fetch = (url, init) =>
  init?.method === "GET" ? Promise.resolve(new Response(null, { status: 405 })) : fetch(url, init);

/** A proxy whose connections can be cut. */
export async function startCuttingProxy(target: string): Promise<{ url: string; cut(): number }> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return {
    url: `http://127.0.0.1:${(proxy.address() as { port: number }).port}`,
    cut() {
      const count = sockets.size;
      for (const socket of sockets) socket.resetAndDestroy();
      return count;
    },
  };
}

export interface ServeBin extends ReturnType<typeof spawnBin> {
  /** The origin that it has said it serves at. */
  url: string;
}

/** Starts the bin with `serve`, on a free port. */
export async function startServeBin(options: {
  settings?: Record<string, string>;
  env?: Record<string, string>;
  args?: string[];
}): Promise<ServeBin> {
  const folder = temporaryFolder();
  const bin = spawnBin(["serve", "--port", "0", ...(options.args ?? [])], {
    HOME: folder,
    ...toVariables({
      API_KEY: "test-key",
      POLLING_INTERVAL: "0.2",
      STATE_DIR: folder,
      ...options.settings,
    }),
    ...options.env,
  });
  const url = await new Promise<string>((resolve, reject) => {
    bin.child.stderr?.on("data", () => {
      const [, found] = /^Serving at (http:\S+)\/mcp/m.exec(bin.stderr()) ?? [];
      if (found) resolve(found);
    });
    bin.ended().then((code) => reject(new Error(`The process ended with ${code}: ${bin.stderr()}`)), reject);
  });
  return { ...bin, url };
}
