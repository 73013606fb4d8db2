import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { createDashboardHttp, type DashboardHttp, isFollowedLink } from "../../dashboard/index.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { resolvePackageFolder } from "../../shared/package-folder.js";
import type { Guard } from "./guard.js";
import { HttpRefusal } from "./refusal.js";

/** The dashboard as a server of Node's serves it. */
export interface NodeDashboard {
  http: DashboardHttp;
  /** @throws HttpRefusal 403 for a Host or an Origin that may not call */
  serve(request: IncomingMessage, response: ServerResponse, guard: Guard): Promise<void>;
}

/** @param options.admit told of the connection of whoever has a session */
export function createNodeDashboard(options: {
  dashboardFolder?: string | undefined;
  admit(socket: Socket): void;
  clock: Clock;
  log: Log;
}): NodeDashboard {
  const { dashboardFolder = resolvePackageFolder("dist/dashboard"), admit, clock, log } = options;
  const http = createDashboardHttp({ folder: dashboardFolder, clock, log });
  const listener = getRequestListener(
    (request, env) => {
      const { socket } = (env as { incoming: IncomingMessage }).incoming;
      return http.handle(request, { admit: () => admit(socket) });
    },
    // They are everybody's, not only the server's.
    { overrideGlobalObjects: false },
  );
  return {
    http,
    async serve(request, response, guard) {
      const { headers, method, url = "" } = request;
      const [path = ""] = url.split("?", 1);
      const isLink = isFollowedLink({
        method,
        path,
        origin: headers.origin,
        mode: headers["sec-fetch-mode"] as string,
      });
      // Where a link stands that a person follows to the page says nothing.
      const { "sec-fetch-site": _site, ...others } = headers;
      const problem = guard.check(isLink ? others : headers);
      if (problem) throw new HttpRefusal(403, problem);
      await listener(request, response);
    },
  };
}
