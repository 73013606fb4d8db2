import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ApiOptions, createSimulatedApi, type SimulatedApi } from "./http.js";

// Far above any start request; what is larger is a mistake.
const BODY_LIMIT = 1024 * 1024;

export interface ServeOptions extends ApiOptions {
  /** Default 0: any free port. */
  port?: number;
  host?: string;
}

export interface ServedApi {
  /** The server's origin, without the API's base path. */
  url: string;
  api: SimulatedApi;
  /** Ends the server and every connection at once. */
  close(): Promise<void>;
}

/**
 * Serves a simulated API on a real port of this machine.
 * @throws when the port cannot be had
 */
export async function serveSimulatedApi(options: ServeOptions = {}): Promise<ServedApi> {
  const { port = 0, host = "127.0.0.1", ...rest } = options;
  const api = createSimulatedApi(rest);
  const server = createServer((request, response) => {
    respond(api, request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
    api,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  api: SimulatedApi,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(incoming);
  if (body === undefined) {
    response.writeHead(413, { "content-type": "application/json" });
    response.end(JSON.stringify({ detail: "Request body too large" }));
    return;
  }
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const outcome = await api.answer(toRequest(incoming, body, gone.signal));
  if (outcome.kind === "hang") return;
  if (outcome.kind === "drop") {
    incoming.socket.resetAndDestroy();
    return;
  }
  const answer = Buffer.from(await outcome.response.arrayBuffer());
  response.writeHead(outcome.response.status, {
    ...Object.fromEntries(outcome.response.headers),
    "content-length": answer.length,
  });
  response.end(answer);
}

/**
 * The whole body, or undefined when it is too large. The rest of such a body is read and thrown away, because an
 * answer to a client that is still sending can be lost with the connection.
 */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  let chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size > BODY_LIMIT) chunks = [];
    else chunks.push(chunk);
  }
  return size > BODY_LIMIT ? undefined : Buffer.concat(chunks);
}

function toRequest(incoming: IncomingMessage, body: Buffer, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const method = incoming.method ?? "GET";
  const withBody = body.length > 0 && method !== "GET" && method !== "HEAD";
  const url = new URL(incoming.url ?? "/", "http://localhost");
  return new Request(url, { method, headers, signal, ...(withBody ? { body: new Uint8Array(body) } : {}) });
}
