import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { createDashboardHttp, type DashboardHttp, isFollowedLink, isOwnPage } from "../../dashboard/index.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { resolvePackageFolder } from "../../shared/package-folder.js";
import type { Guard } from "./guard.js";
import { HttpRefusal } from "./refusal.js";
import { endWhenStalled } from "./unread.js";

/** The dashboard as a server of Node's serves it. */
export interface NodeDashboard {
  http: DashboardHttp;
  /** @throws HttpRefusal 403 for a Host or an Origin that may not call */
  serve(request: IncomingMessage, response: ServerResponse, guard: Guard): Promise<void>;
}

/**
 * @param options.admit told of the connection of whoever has a session; gives the seconds until the request would be
 * served, where this caller has sent more than its share
 */
export function createNodeDashboard(options: {
  dashboardFolder?: string | undefined;
  admit(socket: Socket, caller: string): number | undefined;
  clock: Clock;
  log: Log;
}): NodeDashboard {
  const { dashboardFolder = resolvePackageFolder("dist/dashboard"), admit, clock, log } = options;
  const http = createDashboardHttp({ folder: dashboardFolder, clock, log });
  const listener = getRequestListener(
    (request, env) => {
      const { socket } = (env as { incoming: IncomingMessage }).incoming;
      return http.handle(request, { admit: (caller) => admit(socket, caller) });
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
      const { "sec-fetch-site": site, origin, ...others } = headers;
      // Where a link stands that a person follows to the page says nothing.
      const shown = isLink ? others : { ...others, "sec-fetch-site": site };
      // The guard knows the page's own origin on loopback only, and here it is served at every name that may be called.
      const isOwn = origin !== undefined && isOwnPage(origin, headers.host);
      const problem = guard.check(isOwn || origin === undefined ? shown : { ...shown, origin });
      if (problem) throw new HttpRefusal(403, problem);
      endWhenStalled(response, { clock });
      await listener(request, response);
    },
  };
}
