import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a service does instead of answering as it should, once. */
export type ServiceFault =
  /** Takes the request, acts, and closes the connection: the answer is lost. */
  | { kind: "lost-answer" }
  /** Closes the connection before it acts. */
  | { kind: "dropped" }
  /** Too many requests. @param afterS Retry-After, in s */
  | { kind: "limited"; afterS: number }
  /** An error before anything has happened (503), or one of which nobody knows (500). */
  | { kind: "failed"; status: number }
  /** A refusal with a status. */
  | { kind: "refused"; status: number };

/** A request as the service has got it. */
export interface Taken {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: string;
}

/** What is answered. */
export interface Given {
  status?: number;
  headers?: Record<string, string>;
  /** JSON, or a text as it is. */
  body?: unknown;
}

/** A service on a real socket of loopback. */
export interface FakeService {
  url: string;
  server: Server;
  /** What the next requests meet, in this order. */
  faults: ServiceFault[];
  /** All requests, also those that met a fault. */
  requests: Taken[];
  close(): Promise<void>;
}

/**
 * @param answer acts and answers; undefined when it has taken the response over itself
 */
export async function startFakeService(
  answer: (taken: Taken, response: ServerResponse) => Given | undefined,
): Promise<FakeService> {
  const faults: ServiceFault[] = [];
  const requests: Taken[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://fake");
      const taken: Taken = {
        method: request.method ?? "GET",
        path: pathname,
        query: searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
      };
      requests.push(taken);
      const fault = faults.shift();
      if (fault) meet(fault, () => answer(taken, response), response);
      else {
        const given = answer(taken, response);
        if (given) send(response, given);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    faults,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function meet(fault: ServiceFault, act: () => unknown, response: ServerResponse): void {
  if (fault.kind === "lost-answer") act();
  if (fault.kind === "lost-answer" || fault.kind === "dropped") response.destroy();
  else if (fault.kind === "limited")
    send(response, {
      status: 429,
      headers: { "retry-after": `${fault.afterS}` },
      body: { message: "You are being rate limited.", retry_after: fault.afterS, global: false },
    });
  else send(response, { status: fault.status, body: "" });
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: Given): void {
  if (response.headersSent || response.destroyed) return;
  const isText = typeof body === "string";
  response.writeHead(status, {
    "content-type": isText ? "text/plain; charset=utf-8" : "application/json",
    ...headers,
  });
  response.end(body === undefined ? "" : isText ? body : JSON.stringify(body));
}
