import { setMaxListeners } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { boundConnections, SERVER_OPTIONS, SPARE_CONNECTIONS } from "../../shared/http/connections.js";
import { limitConnections } from "../../shared/http/open-files.js";
import type { EngineApp } from "./endpoint.js";

/** The engine at a port. */
export interface ServedEngine {
  /** Its origin, "http://127.0.0.1:28881". */
  url: string;
  /** Ends the streams of events, lets answers under way be finished, and within a second ends every connection. */
  close(): Promise<void>;
}

/** Connections at once: what the engine writes down, logs and starts needs files, too. */
export const MAX_CONNECTIONS = 400;

/** Time for answers that are under way when the server stops. */
const GRACE_MS = 500;
/** A connection whose answer has ended only then counts as idle, and would be kept for the next request. */
const SWEEP_MS = 20;

/** For what still comes on a connection that is open when the server stops: there is nothing left to ask. */
function refuse(): Response {
  return Response.json(
    { detail: "The engine is stopping. Nothing was done.", started: false },
    { status: 503, headers: { connection: "close" } },
  );
}

/**
 * Serves the app.
 * @param options.port 0 for any free one
 * @throws when the port cannot be had
 */
export async function serveEngine(options: {
  app: EngineApp;
  host: string;
  port: number;
}): Promise<ServedEngine> {
  const { app, host, port } = options;
  const closing = new AbortController();
  // Every open stream listens to it, and stops doing so when it ends.
  setMaxListeners(0, closing.signal);
  const server = createAdaptorServer({
    fetch: (request, bindings) =>
      closing.signal.aborted
        ? refuse()
        : app.fetch(request, { ...bindings, closing: closing.signal, admit: connections.admit }),
    serverOptions: SERVER_OPTIONS,
    // They are everybody's, not only the server's.
    overrideGlobalObjects: false,
  }) as Server;
  const places = limitConnections(MAX_CONNECTIONS);
  const connections = boundConnections(server, places);
  server.maxConnections = places + SPARE_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
    close() {
      closed ??= new Promise((resolve) => {
        const sweeping = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
        const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
        server.close(() => {
          clearInterval(sweeping);
          clearTimeout(grace);
          resolve();
        });
        closing.abort();
      });
      return closed;
    },
  };
}
