import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import type { ClusterProgram } from "./program.js";

/** A machine that does not take a connection within this time, in ms, is passed over. */
const CONNECT_MS = 1_000;

/**
 * One address before several programs, as a load balancer is: each request goes to the next one that takes a connection.
 * What was sent is never sent again.
 * @param host where it listens
 */
export async function openAddress(
  host: string,
  programs: () => readonly ClusterProgram[],
): Promise<{ url: string; close: () => Promise<void> }> {
  let next = 0;

  /** @returns undefined where none of them takes a connection */
  async function reachNext(): Promise<Socket | undefined> {
    const all = programs();
    next++;
    for (let tried = 0; tried < all.length; tried++) {
      const program = all[(next + tried) % all.length];
      const socket = program?.state() === "up" ? await reach(program.url()) : undefined;
      if (socket) return socket;
    }
    return undefined;
  }

  async function forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const socket = await reachNext();
    // As a load balancer that has nobody to ask; it has sent nothing.
    if (!socket) return void outgoing.writeHead(502).end();
    const { method, url: path, headers } = incoming;
    const sent = request({
      ...{ method, path, headers: { ...headers, host: "localhost", connection: "close" } },
      createConnection: () => socket,
    });
    outgoing.once("close", () => sent.destroy());
    sent.once("error", () => outgoing.destroy());
    sent.once("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.once("error", () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    sent.end(body);
  }

  const server = createServer((incoming, outgoing) => {
    forward(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function reach(url: string): Promise<Socket | undefined> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS) });
    return socket;
  } catch {
    socket.destroy();
    return undefined;
  }
}
