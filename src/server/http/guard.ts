import type { IncomingHttpHeaders } from "node:http";

/** The names under which a machine reaches itself; any other name in a Host header may be a rebound one. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
/** Addresses that stand for all of a machine's own: nobody calls a server by them. */
const ANY = ["0.0.0.0", "::", "[::]"];

/** Checks where a request comes from. */
export interface Guard {
  /** Why the request must be refused with 403, or undefined. */
  check(headers: IncomingHttpHeaders): string | undefined;
  /** The headers that let a page of a listed origin read the answer; none for everybody else. */
  corsHeaders(headers: IncomingHttpHeaders): Record<string, string>;
}

/**
 * Refuses what a page in a browser could send without being asked to: a Host that is none of ours (DNS rebinding, see
 * "Security Warning" of the protocol's Streamable HTTP transport) and an Origin that is neither listed nor the address
 * itself that is called, on loopback: that one is no other site's, and the conformance suite wants it served.
 * A picture or a link has no Origin; where a browser says that such a request comes from another site, it is refused
 * too: nothing could be read by it, but the person's share of requests and sessions would be used up.
 * @param options.host what the server listens on; counts as one of its names
 * @param options.allowedHosts names beside loopback, each with or without a port; without one any port will do
 * @param options.allowedOrigins whole origins, "https://example.org"
 */
export function createGuard(options: {
  host: string;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
}): Guard {
  const own = ANY.includes(options.host)
    ? []
    : [options.host.includes(":") ? `[${options.host}]` : options.host];
  const hosts = new Set([...LOOPBACK, ...own, ...options.allowedHosts].map((host) => host.toLowerCase()));
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()));
  const isListed = (origin: string | undefined) => origin !== undefined && origins.has(origin.toLowerCase());
  return {
    check({ host = "", origin, "sec-fetch-site": site }) {
      const name = host.toLowerCase();
      if (!hosts.has(name) && !hosts.has(name.replace(/:\d+$/, ""))) return "Host not allowed";
      const isOwn =
        origin?.toLowerCase() === `http://${name}` && LOOPBACK.includes(name.replace(/:\d+$/, ""));
      if (origin !== undefined && !isOwn && !isListed(origin)) return "Origin not allowed";
      if (origin === undefined && (site === "cross-site" || site === "same-site"))
        return "Origin not allowed";
      return undefined;
    },
    corsHeaders({ origin }) {
      if (origin === undefined || !isListed(origin)) return {};
      return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers":
          "accept, authorization, content-type, last-event-id, mcp-protocol-version, mcp-session-id, x-workflows-api-key",
        "access-control-expose-headers": "mcp-session-id, retry-after, www-authenticate",
        vary: "Origin",
      };
    },
  };
}
