import type { Clock } from "../shared/clock.js";
import { stopAtDeadline } from "../shared/deadline.js";
import { readText } from "../shared/http/body-limits.js";
import { createTransport, type Outgoing, type Transport, wasSent } from "../shared/http/fetch.js";
import type { FindProxy } from "../shared/http/proxy.js";
import { NotNow, Refused, Unknown } from "./delivery-error.js";

/** One request to another service. */
export interface VendorRequest {
  method: Outgoing["method"];
  /** May hold secrets: it is never shown. */
  url: string;
  /** Names in lower case. */
  headers?: Record<string, string>;
  query?: Outgoing["query"];
  /** Sent as JSON, or as it is when it is a text. */
  body?: unknown;
  /** It changes nothing, also when it is a POST: then an answer that is lost is no question. GET unless told. */
  isRead?: boolean;
  /** Statuses of 400 and above that the caller reads itself. */
  accept?: readonly number[];
  /** Of the answer's body, in bytes; a MiB unless told. */
  limitBytes?: number;
  signal: AbortSignal;
}

export interface VendorAnswer {
  status: number;
  /** By names in lower case. */
  headers: ReadonlyMap<string, string>;
  text: string;
  /** The body as JSON; undefined when it is none. */
  json(): unknown;
}

/**
 * Sends one request, once. Redirects are not followed.
 * @throws Refused: the service said no (4xx, or a redirect); NotNow: nothing came of it; Unknown: it was sent and its fate
 * is not known. Their texts name the service and the status, and nothing of address, key or body.
 */
export type VendorHttp = (request: VendorRequest) => Promise<VendorAnswer>;

/** One request with its answer takes no longer, in ms. */
const LIMIT_MS = 15_000;
const LIMIT_BYTES = 1024 * 1024;
/** What a service asks for is not waited for longer, in ms. */
const LONGEST_PAUSE_MS = 60 * 60 * 1000;

/**
 * @param options.service as a person calls it: "Slack"
 * @param options.findProxy the proxy for an address; none when left out
 */
export function createVendorHttp(options: {
  service: string;
  clock: Clock;
  findProxy?: FindProxy | undefined;
  limitMs?: number;
}): VendorHttp {
  const { service, clock, limitMs = LIMIT_MS } = options;
  let transport: Transport | undefined;

  return async (request) => {
    transport ??= createTransport(options.findProxy);
    const { isRead = request.method === "GET", accept = [] } = request;
    const send = isRead ? transport.read : transport.act;
    // Its signal ends a body that nobody has read to its end, too.
    const answer = await stopAtDeadline(
      clock,
      limitMs,
      (signal) => exchange(send, request, signal),
      request.signal,
    ).catch((error) => {
      throw fail(service, error, isRead);
    });
    if (answer.status < 300 || accept.includes(answer.status)) return answer;
    throw judge(service, answer, isRead, clock.now());
  };
}

async function exchange(
  send: Transport["act"],
  { method, url, headers = {}, query, body, limitBytes = LIMIT_BYTES }: VendorRequest,
  signal: AbortSignal,
): Promise<VendorAnswer> {
  const isText = typeof body === "string";
  const incoming = await send(url, {
    method,
    headers: body === undefined || isText ? headers : { "content-type": "application/json", ...headers },
    ...(query ? { query } : {}),
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    signal,
  });
  const text = await readText(incoming.body, limitBytes);
  if (text === undefined) throw new Error("its answer is too long");
  return { status: incoming.status, headers: incoming.headers, text, json: () => parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function judge(service: string, { status, headers }: VendorAnswer, isRead: boolean, now: number): Error {
  const afterMs = pauseOf(headers, now);
  if (status === 429) return new NotNow(`${service} takes no more requests for now (HTTP 429)`, afterMs);
  if (status < 500) return new Refused(`${service} refused it (HTTP ${status})`);
  const what = `${service} failed (HTTP ${status})`;
  // 503 says that the request was not taken on.
  if (isRead || status === 503) return new NotNow(what, afterMs);
  return new Unknown(what);
}

/** What the service asks to wait, in ms; undefined when it does not say. */
export function pauseOf(headers: ReadonlyMap<string, string>, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS);
}

function fail(service: string, error: unknown, isRead: boolean): Error {
  if (!wasSent(error)) return new NotNow(`${service} could not be reached`);
  const what = `${service} gave no answer`;
  return isRead ? new NotNow(what) : new Unknown(what);
}
