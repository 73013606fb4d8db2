import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { TEXT_HEADERS } from "../../monitoring/monitoring.js";
import { SERVER_OPTIONS } from "../../shared/http/connections.js";
import { createGuard } from "./guard.js";

const HOST = "127.0.0.1";

/**
 * Serves figures at /metrics on loopback, to everybody on this machine: they name no session, repository or user.
 * @param port 0 for any free one
 * @throws when the port cannot be had
 */
export async function serveMetrics(
  port: number,
  text: () => Promise<string>,
): Promise<{ port: number; close(): Promise<void> }> {
  const guard = createGuard({ host: HOST, allowedHosts: [], allowedOrigins: [] });
  const http = createServer(SERVER_OPTIONS, async (request, response) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (guard.check(request.headers)) response.writeHead(403).end();
    else if (request.url !== "/metrics" || !isRead) response.writeHead(404).end();
    else {
      const figures = await text().catch(() => undefined);
      if (figures === undefined) response.writeHead(500).end();
      else response.writeHead(200, TEXT_HEADERS).end(figures);
    }
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, HOST, () => {
      http.off("error", reject);
      resolve();
    });
  });
  return {
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}
