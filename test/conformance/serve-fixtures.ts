import { serveHttp } from "../../src/server/fastmcp/serve-http.js";
import { systemClock } from "../../src/shared/clock.js";
import type { Log } from "../../src/shared/log.js";
import { createFixtureServer } from "./fixture-server.js";

/** Sessions at once: the suite leaves those open in which something has failed. */
export const ROOMY = 500;

/** Serves the suite's fixtures for both protocols on a free port of this machine. @param log takes what the framework says too */
export async function serveFixtures(log: Log & { log: Log["info"] }) {
  const served = await serveHttp({
    server: createFixtureServer(log),
    era: "auto",
    createServerForKey: () => {
      throw new Error("The fixtures need no key.");
    },
    clock: systemClock,
    log,
    host: "127.0.0.1",
    port: 0,
    allowedHosts: [],
    allowedOrigins: [],
    tokens: [],
    takesKeys: false,
    sse: false,
    requestsPerMinute: 6_000,
    maxSessions: ROOMY,
    maxCalls: 16,
    bodyLimitBytes: 1024 * 1024,
    idleMs: 60_000,
  });
  return { url: served.url, close: () => served.close(0) };
}
