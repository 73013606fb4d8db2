import { PassThrough, type Readable, type Writable } from "node:stream";
import { StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { WorkflowsServer } from "../../src/server/server.js";
import type { Wiretap } from "./watch-transport.js";

/** A client's end of the protocol, and how the client goes away with it. */
export interface Wire {
  transport: Transport;
  /** Resolves when the server has seen that its client has gone. */
  hangUp(): Promise<void>;
}

/** Two pipes, as between processes. */
export function overPipes(server: WorkflowsServer): Wire {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const idle = new Promise<void>((resolve) => server.onIdle(resolve));
  void server.serveStdio({ input, output });
  return {
    transport: createPipeTransport(input, output),
    async hangUp() {
      input.end();
      await idle;
    },
  };
}

/** Requests of one caller over HTTP, as the server gets them once it knows whose they are. */
export function overHttp(server: WorkflowsServer, owner: string): Wire {
  return {
    transport: new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), {
      async fetch(url, { method = "GET", headers, signal, body } = {}) {
        if (method !== "POST") return new Response(null, { status: 405 });
        const request = new Request(url, { method, ...(headers ? { headers } : {}), signal: signal ?? null });
        return server.serveRequest(request, {
          ...{ owner, body: JSON.parse(String(body)) },
          // It ends with the client.
          ended: request.signal,
        });
      },
    }),
    hangUp: async () => {},
  };
}

function createPipeTransport(toServer: Writable, fromServer: Readable): Transport {
  let rest = "";
  const transport: Transport = {
    async start() {
      fromServer.on("data", (piece: Buffer) => {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) transport.onmessage?.(JSON.parse(line));
      });
    },
    async send(message) {
      if (toServer.writableEnded) throw new Error("The connection is closed.");
      toServer.write(`${JSON.stringify(message)}\n`);
    },
    async close() {
      toServer.end();
      transport.onclose?.();
    },
  };
  return transport;
}

/**
 * The client's end of a transport with somebody on the line. Tasks come through it as results with a field `task`:
 * the client's library knows no others.
 */
export function tapClient(inner: Transport, tap: Wiretap): Transport {
  const outer: Transport = {
    ...(inner.hasPerRequestStream ? { hasPerRequestStream: true } : {}),
    start() {
      inner.onmessage = (message, extra) => {
        const hand = (one: JSONRPCMessage) => outer.onmessage?.(withTask(one) as typeof message, extra);
        const passed = tap.out ? tap.out(message, (one) => void inner.send(one)) : message;
        if (passed) hand(passed);
      };
      return inner.start();
    },
    async send(message, options) {
      const again = (one: JSONRPCMessage) => void inner.send(one, options).catch(() => {});
      const passed = tap.in ? tap.in(message, again) : message;
      if (passed) await inner.send(passed, options);
    },
    close: () => inner.close(),
    setProtocolVersion: (version) => inner.setProtocolVersion?.(version),
  };
  inner.onclose = () => outer.onclose?.();
  inner.onerror = (error) => outer.onerror?.(error);
  return outer;
}

function withTask(message: JSONRPCMessage): JSONRPCMessage {
  if (!("result" in message) || message.result.resultType !== "task") return message;
  const { resultType: _, content: __, ...task } = message.result;
  return { ...message, result: { resultType: "complete", content: [], task } } as JSONRPCMessage;
}
