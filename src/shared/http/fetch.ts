import type http from "node:http";
import type https from "node:https";
import { createRequire } from "node:module";
import type { Duplex } from "node:stream";
import { createFetch } from "ofetch";
import { VERSION } from "../version.js";
import { decodeBody } from "./decode.js";
import { authorizeAtProxy, type FindProxy, nameProxy } from "./proxy.js";

/** By require: from version 22 on, an import of Node's client reads all that it exports, and so loads the fetch. */
const load = createRequire(import.meta.url);

/** One request as it goes out. */
export interface Outgoing {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** In lower case. */
  headers: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  /** JSON. */
  body?: string;
  signal: AbortSignal;
  /** Gives the request up if it still waits for a connection then. */
  connectBy?: AbortSignal | undefined;
}

/** An answer whose body has not been read yet. Whoever gets one reads it, or leaves the loop over it, or aborts. */
export interface Incoming {
  status: number;
  /** By names in lower case; one that comes several times is left out. */
  headers: ReadonlyMap<string, string>;
  body: AsyncIterable<Uint8Array>;
}

/** The request was given up while it still waited for a connection, so it has not gone out. */
export class PoolTimeout extends Error {}

/** @throws what went wrong, of which {@link wasSent} can tell */
export type Fetch = (url: string, outgoing: Outgoing) => Promise<Incoming>;

export interface Transport {
  /** For what may be repeated: on a connection that is kept, and once more when a kept one turns out to be gone. */
  read: Fetch;
  /**
   * For what must happen once: on a connection of its own. The other end may close a kept one at any time, and a
   * request that crosses with that has an unknown fate.
   */
  act: Fetch;
  /** For a stream that stays open for hours: it takes no connection from the others. */
  listen: Fetch;
}

/** Reads in flight at once, and calls that act likewise; more wait for a connection within their time limit. */
const MAX_IN_FLIGHT = 16;
/** A kept connection is closed after this idle time, in ms: the servers in question close theirs after 5 s. */
const IDLE_MS = 4_000;

/**
 * HTTP by Node's own client below ofetch. The global fetch would load for a fifth of the start-up time, and repeats
 * a POST that is answered with 421 by itself. Redirects are never followed.
 * @param findProxy the proxy for an address; none when left out
 */
export function createTransport(findProxy: FindProxy = () => undefined): Transport {
  const fresh = createSend({ keepAlive: false, maxSockets: MAX_IN_FLIGHT }, findProxy);
  const kept = createSend({ keepAlive: true, maxSockets: MAX_IN_FLIGHT, timeout: IDLE_MS }, findProxy, fresh);
  return { read: wrap(kept), act: wrap(fresh), listen: wrap(createSend({ keepAlive: false }, findProxy)) };
}

/** Codes of failures that come before a connection stands, beside those of system calls that say so themselves. */
const NEVER_SENT = new Set([
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
]);

/** False when the request has certainly not gone out: no connection came about, or none was free. */
export function wasSent(error: unknown, depth = 0): boolean {
  if (typeof error !== "object" || error === null || depth > 5) return true;
  const { sent, code, syscall, cause, errors } = error as Record<string, unknown>;
  if (sent === false) return false;
  // Several addresses were tried in vain: each of the parts says what failed, the whole does not.
  if (Array.isArray(errors) && errors.length > 0) return wasSent(errors[0], depth + 1);
  if (typeof code !== "string") return wasSent(cause, depth + 1);
  // EHOSTUNREACH, ENETUNREACH and ETIMEDOUT come while connecting, and on connections that have carried a request.
  return !(syscall === "connect" || syscall === "getaddrinfo" || NEVER_SENT.has(code));
}

type Send = (url: string, outgoing: Outgoing & { headers: Map<string, string> }) => Promise<Incoming>;

/** How a request goes out: by which module and agent, to where if not to its own address, and what is added to it. */
interface Route {
  scheme: typeof http | typeof https;
  agent: http.Agent;
  via?: URL;
  options?: { path: string };
  headers?: Record<string, string>;
}

/** A proxy that is asked for a tunnel and says nothing is given up after this time, in ms. */
const TUNNEL_MS = 30_000;

/** @param again what sends a request once more that was put on a kept connection which was gone */
function createSend(options: http.AgentOptions, findProxy: FindProxy, again?: Send): Send {
  /** Sockets that have not connected yet. */
  const connecting = new WeakSet<object>();
  const client: typeof http = load("node:http");
  const plain = watchSockets(new client.Agent(options), "connect", connecting);
  let secure: https.Agent | undefined;

  const tunnels = new Map<string, http.Agent>();

  /** What sends to addresses of a scheme. TLS is only loaded where it is spoken. */
  function choose(protocol: string): Route {
    if (protocol !== "https:") return { scheme: client, agent: plain };
    const scheme: typeof https = load("node:https");
    secure ??= watchSockets(new scheme.Agent(options), "secureConnect", connecting);
    return { scheme, agent: secure };
  }

  /** Plain requests are handed to the proxy whole, as all of them take it; others go through a tunnel. */
  async function chooseProxied(target: URL, proxy: URL): Promise<Route> {
    if (target.protocol !== "https:") {
      return {
        ...choose(proxy.protocol),
        via: new URL(nameProxy(proxy)),
        options: { path: target.href },
        headers: { host: target.host, ...authorizeAtProxy(proxy) },
      };
    }
    const { HttpsProxyAgent } = await import("./proxy-agent.js");
    const tunnel = tunnels.get(proxy.href) ?? new HttpsProxyAgent({ ...options, proxy, timeout: TUNNEL_MS });
    tunnels.set(proxy.href, tunnel);
    return { scheme: load("node:https"), agent: tunnel };
  }

  /** A tunnel is there before anything of the request has gone through it. */
  function watchTunnel(socket: Duplex & { secureConnecting?: boolean }): void {
    if (!socket.secureConnecting) return;
    connecting.add(socket);
    socket.once("secureConnect", () => connecting.delete(socket));
  }

  return async (url, outgoing) => {
    const target = new URL(url);
    const proxy = findProxy(target);
    const route = proxy ? await chooseProxied(target, proxy) : choose(target.protocol);
    const { scheme, agent } = route;
    return new Promise((resolve, reject) => {
      const { method, headers, body, signal, connectBy } = outgoing;
      let answered = false;
      let socket: object | undefined;
      const fail = (error: unknown) => {
        const sent = socket !== undefined && !connecting.has(socket);
        reject(sent ? error : Object.assign(error as Error, { sent }));
      };
      try {
        signal.throwIfAborted();
        // Looked up at each request, because tests replace it.
        const request = scheme.request(route.via ?? target, {
          ...route.options,
          method,
          headers: {
            ...Object.fromEntries(headers),
            ...route.headers,
            ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
          },
          agent,
          signal,
        });
        const giveUp = () => request.destroy(new PoolTimeout("No connection was free in time."));
        connectBy?.addEventListener("abort", giveUp, { once: true });
        request.once("socket", (given) => {
          socket = given;
          watchTunnel(given);
          connectBy?.removeEventListener("abort", giveUp);
        });
        request.once("response", (response) => {
          answered = true;
          resolve({
            status: response.statusCode ?? 0,
            headers: new PlainHeaders(response.headers),
            body: decodeBody(response),
          });
        });
        // After an answer nobody listens to this any more, and its body fails instead.
        request.on("error", (error) => {
          const stale = request.reusedSocket && !answered && !signal.aborted;
          if (again && stale) again(url, outgoing).then(resolve, reject);
          else fail(error);
        });
        request.end(body);
      } catch (error) {
        fail(error);
      }
    });
  };
}

/** Keeps the agent's new sockets in the set until the given event. */
function watchSockets<A extends http.Agent>(agent: A, connected: string, connecting: WeakSet<object>): A {
  const watched = agent as unknown as { createConnection(...args: unknown[]): Duplex };
  const create = watched.createConnection;
  watched.createConnection = (...args) => {
    const socket = create.apply(agent, args);
    connecting.add(socket);
    socket.once(connected, () => connecting.delete(socket));
    return socket;
  };
  return agent;
}

/** What ofetch needs of Headers. Node's own are part of its fetch, and even to name them loads it. */
class PlainHeaders extends Map<string, string> {
  constructor(headers: http.IncomingHttpHeaders = {}) {
    super();
    for (const [name, value] of Object.entries(headers)) if (typeof value === "string") this.set(name, value);
  }
}

function wrap(send: Send): Fetch {
  const { raw } = createFetch({
    fetch: send as unknown as typeof fetch,
    Headers: PlainHeaders as unknown as typeof Headers,
    AbortController,
  });
  return (url, { query, body, headers, ...rest }) =>
    raw(url, {
      ...rest,
      headers: { "user-agent": `automagik-workflows-mcp/${VERSION}`, ...headers },
      ...(query ? { query } : {}),
      ...(body === undefined ? {} : { body }),
      responseType: "stream",
      ignoreResponseError: true,
      retry: false,
    }) as unknown as Promise<Incoming>;
}
