import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Stands between the product and an API: counts what passes, and breaks it when told to. */
export interface WatchedProxy {
  url: string;
  /** Where it passes everything on to. */
  target: string;
  /** What has come in: "GET /run/1/status", without the API's base path. */
  requests: string[];
  /** Those of them that match. */
  count(pattern: RegExp): number;
  /** Streams of events that are open now. */
  streams(): number;
  /** `Last-Event-ID` of each stream so far; undefined for one that began anew. */
  resumed: (string | undefined)[];
  /** Breaks the open streams off. */
  breakStreams(): void;
  /** Breaks the open streams of single runs off. */
  breakLogs(): void;
  /** Lets nothing more of the open streams through, which stay open. */
  silenceStreams(): void;
  /** From now on no stream is let through. */
  refuseStreams: boolean;
  /** Such requests are refused with 422, and not passed on. */
  refuse: RegExp | undefined;
  /** The next answer to such a request is lost. */
  lose: RegExp | undefined;
  /** Done before that answer is lost, once. */
  beforeLoss: (() => Promise<void>) | undefined;
  /** The answers to such requests are held back until then. */
  hold: { pattern: RegExp; until: Promise<unknown> } | undefined;
}

const API = "/api/v1/workflows/claude-code";

/** A proxy on a free port, gone after the test. */
export async function serveWatchedProxy(target: string): Promise<WatchedProxy> {
  const open = new Map<ServerResponse, IncomingMessage | undefined>();
  const logs = new Set<ServerResponse>();
  const server = createServer((incoming, response) => {
    const path = new URL(incoming.url ?? "/", proxy.target).pathname;
    const line = `${incoming.method} ${path.startsWith(API) ? path.slice(API.length) : path}`;
    proxy.requests.push(line);
    const isStream = line === "GET /events";
    if (/^GET \/run\/[^/]+\/events$/.test(line)) logs.add(response);
    if (isStream) {
      proxy.resumed.push(incoming.headers["last-event-id"] as string | undefined);
      if (proxy.refuseStreams) return void response.destroy();
      open.set(response, undefined);
    }
    if (!proxy.refuse?.test(line)) return pass(incoming, response, line);
    response.writeHead(422, { "content-type": "application/json" });
    response.end(JSON.stringify({ detail: "Not in this way" }));
  });

  function pass(incoming: IncomingMessage, response: ServerResponse, line: string): void {
    const { host: _host, ...headers } = incoming.headers;
    const onward = request(new URL(incoming.url ?? "/", proxy.target), { method: incoming.method, headers });
    response.on("close", () => {
      open.delete(response);
      logs.delete(response);
      onward.destroy();
    });
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => {
      const { hold, lose } = proxy;
      if (lose?.test(line)) {
        proxy.lose = undefined;
        void Promise.resolve(proxy.beforeLoss?.()).finally(() => response.destroy());
        return;
      }
      const held = hold?.pattern.test(line) ? hold.until : Promise.resolve();
      void held.then(() => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.on("error", () => response.destroy());
        answer.pipe(response);
        if (open.has(response)) open.set(response, answer);
      });
    });
    incoming.pipe(onward);
  }

  const proxy: WatchedProxy = {
    url: "",
    target,
    requests: [],
    resumed: [],
    refuseStreams: false,
    refuse: undefined,
    lose: undefined,
    beforeLoss: undefined,
    hold: undefined,
    count: (pattern) => proxy.requests.filter((line) => pattern.test(line)).length,
    streams: () => open.size,
    breakStreams() {
      for (const response of open.keys()) response.destroy();
    },
    breakLogs() {
      for (const response of logs) response.destroy();
    },
    silenceStreams() {
      for (const [response, answer] of open) answer?.unpipe(response);
    },
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return proxy;
}
