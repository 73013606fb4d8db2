import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { DashboardHttp, LentView } from "../../dashboard/index.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import type { WorkflowsServer } from "../server.js";
import type { Caller } from "./callers.js";
import type { NodeDashboard } from "./dashboard-node.js";
import type { Guard } from "./guard.js";
import { HttpRefusal } from "./refusal.js";

/** Below this path all is the dashboard's. */
export const DASHBOARD = "/dashboard";

/** The dashboard of a server over HTTP. */
export interface DashboardRequests {
  /**
   * Serves one request. @param admit who sends it, for what needs a token; as for all other requests
   * @throws HttpRefusal
   */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    guard: Guard,
    admit: () => Promise<Caller>,
  ): Promise<void>;
  /** Ends all sessions of it. */
  close(): Promise<void>;
}

/**
 * The dashboard beside MCP: whoever may call this server gets a link by POST /dashboard/link, which opens it in a browser
 * once, and shows what that caller may see. Loaded with the first request for it.
 */
export function createDashboardRequests(options: {
  server: Pick<WorkflowsServer, "openDashboard">;
  /** The servers of callers that the one above does not serve. */
  ownServers: {
    borrow(
      caller: Caller,
    ): { server: Pick<WorkflowsServer, "openDashboard">; giveBack(): Promise<void> } | undefined;
  };
  dashboardFolder?: string | undefined;
  /** The request is of somebody who may call; gives the seconds until it would be served, where that was too much. */
  admit(socket: Socket, caller: string): number | undefined;
  clock: Clock;
  log: Log;
}): DashboardRequests {
  const { server, ownServers } = options;
  let loading: Promise<NodeDashboard & { http: DashboardHttp }> | undefined;
  let isClosed = false;

  function load() {
    loading ??= import("./dashboard-node.js").then(({ createNodeDashboard }) => createNodeDashboard(options));
    return loading;
  }

  async function lend(caller: Caller): Promise<LentView> {
    const lent = ownServers.borrow(caller);
    if (!lent) return { view: await server.openDashboard(), giveBack: () => {} };
    try {
      return { view: await lent.server.openDashboard(), giveBack: () => void lent.giveBack() };
    } catch (error) {
      await lent.giveBack();
      throw error;
    }
  }

  async function invite(request: IncomingMessage, response: ServerResponse, caller: Caller): Promise<void> {
    const { http } = await load();
    const path = http.invite(caller.name, { ...(await lend(caller)), person: caller.person });
    const scheme = request.headers["x-forwarded-proto"] === "https" ? "https" : "http";
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify({ url: `${scheme}://${request.headers.host}${path}`, path }));
  }

  return {
    async serve(request, response, guard, admit) {
      if (isClosed) throw new HttpRefusal(503, "The server is stopping. Nothing was done.");
      const [path = ""] = (request.url ?? "").split("?", 1);
      if (path !== `${DASHBOARD}/link`) return (await load()).serve(request, response, guard);
      const problem = guard.check(request.headers);
      if (problem) throw new HttpRefusal(403, problem);
      if (request.method !== "POST")
        throw new HttpRefusal(405, "Method not allowed", { headers: { allow: "POST" } });
      await invite(request, response, await admit());
    },
    async close() {
      isClosed = true;
      (await loading)?.http.close();
    },
  };
}
