import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Services } from "../../actions/define-action.js";
import { createDashboardView } from "../../dashboard/index.js";
import type { Clock } from "../../shared/clock.js";
import { boundConnections, SERVER_OPTIONS, SPARE_CONNECTIONS } from "../../shared/http/connections.js";
import { limitConnections } from "../../shared/http/open-files.js";
import type { Log } from "../../shared/log.js";
import { createNodeDashboard } from "./dashboard-node.js";
import { createGuard } from "./guard.js";
import { HttpRefusal } from "./refusal.js";

/** The dashboard at a port of its own, on this machine only. */
export interface ServedDashboard {
  /** Its origin. */
  url: string;
  /** Lets the link be opened, once, whose code has this digest. */
  expect(digest: string): void;
  /** Whether somebody has it open, or a link that is still good. */
  isOpen(): boolean;
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
const MAX_CONNECTIONS = 200;
/** Who looks at it: whoever can make a link is the person whose machine this is. */
const CALLER = "local";

/**
 * Serves the dashboard of these services, and nothing else, on a free port of this machine.
 * @throws when none can be had
 */
export async function serveDashboard(options: {
  services: Services;
  clock: Clock;
  log: Log;
}): Promise<ServedDashboard> {
  const { log } = options;
  const guard = createGuard({ host: HOST, allowedHosts: [], allowedOrigins: [] });
  const view = createDashboardView(options);
  const dashboard = createNodeDashboard({
    ...options,
    admit(socket) {
      connections.admit(socket);
      // Whose machine this is has no share of it.
      return undefined;
    },
  });
  const server = createServer(SERVER_OPTIONS, (request, response) => {
    dashboard.serve(request, response, guard).catch((error: Error) => {
      if (!(error instanceof HttpRefusal)) log.error("A request of the dashboard failed:", error);
      if (response.headersSent) return response.destroy();
      const { status, message } =
        error instanceof HttpRefusal ? error : { status: 500, message: "Internal error in this server." };
      response.writeHead(status, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ error: message }));
    });
  });
  const places = limitConnections(MAX_CONNECTIONS);
  const connections = boundConnections(server, places);
  server.maxConnections = places + SPARE_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, HOST, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    expect: (digest) => dashboard.http.expect(digest, CALLER, { view, giveBack: () => {} }),
    isOpen: dashboard.http.isOpen,
    async close() {
      dashboard.http.close();
      view.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
