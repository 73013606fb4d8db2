import { wasSent } from "../shared/http/fetch.js";
import { UNUSABLE_PROXY } from "../shared/http/proxy.js";
import { cleanLine } from "../shared/text.js";
import { ApiError, type Outage } from "./errors.js";
import { parseRefusal, saysNotStarted } from "./wire.js";

/** What the wording of a failure needs to know of a call. */
export interface Attempt {
  /** What is tried, as it reads after "could not": "start workflow architect". */
  doing: string;
  /** Whether the API does something on this call: then a lost answer leaves its fate unknown. */
  acts?: boolean;
  /** Whether it starts something that is paid for. */
  starts?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * An HTTP error, a redirect or an answer without content, worded for a person.
 * @param answer.now our clock, epoch ms, for a `Retry-After` that is a date
 * @param answer.proxy the name of the proxy that it came through
 * @param apiKey the key that was sent: an API that quotes it must not make us show it
 * @param refusedKeyAdvice what to do when the key is refused, as a sentence
 */
export function explainStatus(
  call: Attempt,
  answer: {
    status: number;
    headers: ReadonlyMap<string, string>;
    body: unknown;
    now: number;
    proxy?: string | undefined;
  },
  apiKey: string | undefined,
  refusedKeyAdvice = "Set AUTOMAGIK_WORKFLOWS_API_KEY to a key that this API accepts and start the server again.",
): ApiError {
  const { status, headers, now, proxy } = answer;
  const words = parseRefusal(answer.body);
  const reason = apiKey ? words?.replaceAll(apiKey, "<key>") : words;
  const said = reason ? `: "${reason}"` : "";
  const details = { status, ...(reason ? { reason } : {}) };
  if (status === 407) {
    return new ApiError(
      "refused",
      `Could not ${call.doing}: the proxy ${proxy ?? "before the workflows API"} ${WANTS_USER} (HTTP 407). ` +
        `${noDeed(call)} To give them, ${HOW_TO_AUTHORIZE}`,
      details,
    );
  }
  if (call.acts && saysNotStarted(answer.body)) {
    return new ApiError(
      "refused",
      `Could not ${call.doing}: the workflows API cannot do it now (HTTP ${status}${said}). ${noDeed(call)} ` +
        "Put right what it names and try again.",
      details,
    );
  }
  if (status === 401 || status === 403) {
    return new ApiError(
      "unauthorised",
      `Could not ${call.doing}: the workflows API refused the key (HTTP ${status}${said}). ${noDeed(call)} ` +
        refusedKeyAdvice,
      details,
    );
  }
  if (status === 404) {
    return new ApiError(
      "not_found",
      `Could not ${call.doing}: the workflows API does not know it (HTTP 404${said}). ${noDeed(call)} ` +
        "Check the name or id, and that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.",
      details,
    );
  }
  if (status === 429) {
    const wait = parseRetryAfter(headers, now);
    return new ApiError(
      "rate_limited",
      `Could not ${call.doing}: the workflows API asks for fewer requests (HTTP 429${said}). ${noDeed(call)} ` +
        `Try again ${wait === undefined ? "in a while" : `in ${Math.ceil(wait / 1000)} s`}.`,
      { ...details, ...(wait === undefined ? {} : { retryAfterMs: wait }) },
    );
  }
  // A time-out that the server or a proxy reports says as little as a fault about what was done.
  if (status >= 500 || status === 408 || status === 425 || status === 499) {
    const wait = parseRetryAfter(headers, now);
    return new ApiError(
      "server_fault",
      `Could not ${call.doing}: the workflows API failed (HTTP ${status}${said}). ${fate(call)} ${advice(call)}` +
        (proxy ? ` It may be the proxy ${proxy} that says so.` : ""),
      {
        ...details,
        mayHaveActed: call.acts === true,
        ...(wait === undefined ? {} : { retryAfterMs: wait }),
      },
    );
  }
  if (status >= 400) {
    return new ApiError(
      "refused",
      `Could not ${call.doing}: the workflows API refused it (HTTP ${status}${said}). ${noDeed(call)} ` +
        "Put right what it names and try again.",
      details,
    );
  }
  const target = headers.get("location") ?? "";
  const toTls = /^https:\/\//i.test(target) ? ", to an address with https:// as it seems" : "";
  return unexpected(call, status, `a redirect or an answer without content${toTls}`);
}

/** Where a request has failed, and how. */
export interface FailedAt {
  baseUrl: string;
  /** The time limit, when it was that which ended the request. */
  timeoutMs: number | undefined;
  /** The name of the proxy that it went through. */
  proxy?: string | undefined;
  /** TLS is spoken at the address, which was asked without. */
  speaksTls?: boolean | undefined;
}

/** A request that got no answer, or not all of it. */
export function explainFailure(
  call: Attempt,
  error: unknown,
  { baseUrl, timeoutMs, proxy, speaksTls }: FailedAt,
): ApiError {
  const sent = wasSent(error);
  if (call.signal?.aborted && timeoutMs === undefined) return stopped(call, sent);
  const where = `the workflows API at ${baseUrl}${throughProxy(proxy)}`;
  const outcome = sent ? fate(call) : noDeed(call);
  if (timeoutMs !== undefined) {
    const what = sent ? "did not answer" : "could not be connected to";
    return new ApiError(
      "unreachable",
      `Could not ${call.doing}: ${where} ${what} within ${timeoutMs / 1000} s. ${outcome} ` +
        `${sent ? advice(call) : "Try again in a while."} AUTOMAGIK_WORKFLOWS_REQUEST_TIMEOUT allows it more time.`,
      { mayHaveActed: call.acts === true && sent },
    );
  }
  const code = findCode(error);
  return new ApiError(
    "unreachable",
    `Could not ${call.doing}: ${where} ${sent ? "broke the connection" : "cannot be reached"}` +
      `${code ? ` (${code})` : ""}. ${outcome} ${findRemedy(error, { proxy, speaksTls }) ?? CHECK_ADDRESS}`,
    { mayHaveActed: call.acts === true && sent, neverSent: !sent },
  );
}

/** " through the proxy http://proxy.example:3128" */
export function throughProxy(proxy: string | undefined): string {
  return proxy ? ` through the proxy ${proxy}` : "";
}

/** Nobody whom this machine trusts has signed the certificate. */
const UNTRUSTED = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
];
/** What came was no TLS: most likely HTTP without it. */
const NO_TLS = ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "EPROTO"];

/** What to do about a request that got no answer, where how it failed says more than that nobody answers. */
export function findRemedy(error: unknown, { proxy, speaksTls }: Partial<FailedAt>): string | undefined {
  const code = findCode(error) ?? "";
  const refusal = tunnelStatus(error);
  if (refusal !== undefined) {
    const how = refusal === 407 ? `${WANTS_USER}: ${HOW_TO_AUTHORIZE}` : "does not let it through.";
    return `The proxy answered HTTP ${refusal}: it ${how}`;
  }
  if (UNTRUSTED.includes(code)) {
    return (
      "Its certificate is signed by nobody whom this machine trusts. If it is your own, set NODE_EXTRA_CA_CERTS to a " +
      "file with the certificate that signed it, and start the server again."
    );
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return "Its certificate is not valid at this time: have it renewed, or set the clock right.";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "Its certificate is for another host: set AUTOMAGIK_WORKFLOWS_BASE_URL to the name that it is for.";
  if (NO_TLS.includes(code)) {
    return "What is there speaks plain HTTP: let AUTOMAGIK_WORKFLOWS_BASE_URL begin with http:// instead of https://.";
  }
  if (speaksTls)
    return "What is there speaks HTTPS: let AUTOMAGIK_WORKFLOWS_BASE_URL begin with https:// instead of http://.";
  if (code === UNUSABLE_PROXY) return (error as Error).message;
  return proxy
    ? "Check the address and the proxy, which HTTP_PROXY or HTTPS_PROXY names; hosts in NO_PROXY are reached without it."
    : undefined;
}

const WANTS_USER = "wants a user and password";
const HOW_TO_AUTHORIZE =
  "put them into its address in HTTP_PROXY or HTTPS_PROXY, http://user:password@host:port.";
const CHECK_ADDRESS = "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.";

/** The status with which a proxy has refused a tunnel, as the library that asks for it words it. */
function tunnelStatus(error: unknown, depth = 0): number | undefined {
  if (!(error instanceof Error) || depth > 5) return undefined;
  const [, status] = /^Bad response: (\d{3})$/.exec(error.message) ?? [];
  return status ? Number(status) : tunnelStatus(error.cause, depth + 1);
}

/** A look that was not taken because the API is known to be down. */
export function heldBack(call: Attempt, baseUrl: string, outage: Outage, now: number): ApiError {
  return new ApiError(
    "unreachable",
    `Could not ${call.doing}: the workflows API at ${baseUrl} is not answering. Nothing was sent. ` +
      `${tellOutage(outage, now)} ` +
      "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.",
    // An attempt of somebody else may be under way, so that it is not tried in no time.
    { retryAfterMs: Math.max(MIN_PAUSE_MS, outage.nextTryMs - now), outage },
  );
}

const MIN_PAUSE_MS = 250;

/** The same failure, which also tells of the outage that it is part of. */
export function withOutage(error: ApiError, outage: Outage, now: number): ApiError {
  return Object.assign(error, { message: `${error.message} ${tellOutage(outage, now)}`, outage });
}

/** "The API has not answered since 2026-11-25T12:00:00.000Z, trying again in 4 s." */
export function tellOutage({ sinceMs, nextTryMs }: Outage, now: number): string {
  const seconds = Math.ceil((nextTryMs - now) / 1000);
  const next = seconds > 0 ? `trying again in ${seconds} s` : "trying again now";
  return `The API has not answered since ${new Date(sinceMs).toISOString()}, ${next}.`;
}

/** A call that was called off. @param sent whether its request may have gone out by then */
export function stopped(call: Attempt, sent = true): ApiError {
  const outcome = sent ? fate(call) : noDeed(call);
  return new ApiError("aborted", `Stopped while trying to ${call.doing}. ${outcome}`, {
    mayHaveActed: call.acts === true && sent,
  });
}

/** An answer that no workflows API gives. @param what what came instead */
export function unexpected(call: Attempt, status: number, what: string): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: the address answered HTTP ${status} with ${cleanLine(what)}, which no workflows API ` +
      `does. ${fate(call)} Check that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.`,
    { status, mayHaveActed: call.acts === true },
  );
}

/** An answer that is longer than what is read of it. */
export function tooLarge(call: Attempt, status: number, limitBytes: number): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: the answer (HTTP ${status}) is larger than ${limitBytes / 1024} KiB, more than is read ` +
      `of it. ${fate(call)} ` +
      (call.acts
        ? "Find out what has become of it before trying again."
        : "Ask whoever runs the API why it says so much."),
    { status, mayHaveActed: call.acts === true },
  );
}

/** The system's word for a failure, looked for through causes and the parts of an aggregate. */
export function findCode(error: unknown, depth = 0): string | undefined {
  if (typeof error !== "object" || error === null || depth > 5) return undefined;
  const { code, cause, errors } = error as Record<string, unknown>;
  // Several addresses were tried in vain: each of the parts says what failed, the whole does not.
  if (Array.isArray(errors) && errors.length > 0) return findCode(errors[0], depth + 1);
  return typeof code === "string" && /^[A-Z_0-9]+$/.test(code) ? code : findCode(cause, depth + 1);
}

/** For what certainly came to nothing. */
function noDeed(call: Attempt): string {
  return call.starts ? "Not started; nothing was charged." : "Nothing was done.";
}

function fate(call: Attempt): string {
  return call.acts ? "It is not known whether the API has acted on it." : "Nothing was changed.";
}

function advice(call: Attempt): string {
  return call.acts ? "Find out before trying again." : "Try again in a while.";
}

/** `Retry-After` as seconds or as a date, in ms from now; undefined when it is neither. */
function parseRetryAfter(headers: ReadonlyMap<string, string>, now: number): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  // The date is the server's, so its own clock is the one to count by.
  const since = Date.parse(headers.get("date") ?? "");
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - (Number.isNaN(since) ? now : since));
}
