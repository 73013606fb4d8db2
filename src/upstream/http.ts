import { ofetch } from "ofetch";
import { type Clock, sleep } from "../clock.js";
import { ApiError, isPassing } from "./errors.js";
import { cleanLine } from "./text.js";
import { parseRefusal } from "./wire.js";

/** One call as the client's methods describe it. */
export interface Call {
  method: "GET" | "POST";
  /** Below the base address, beginning with a slash. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: Record<string, unknown>;
  /** What is tried, as it reads after "could not": "start workflow architect". */
  doing: string;
  /** Whether the API does something on this call: then a lost answer leaves its fate unknown. */
  acts?: boolean;
  signal?: AbortSignal | undefined;
  /** Nobody waits for it: no reason to start an API again that somebody has stopped. */
  background?: boolean;
  /** Tries after the first; 0 for calls that act and for pollers that come back by themselves. */
  retries?: number;
}

export interface Answer {
  body: unknown;
  /** How far the server's clock is ahead of ours by its Date header, in ms. Whole seconds, so up to 1 s too low. */
  clockOffsetMs?: number;
}

/** Where the API is and the key that it takes. */
export interface Connection {
  baseUrl: string;
  apiKey: string | undefined;
}

export interface HttpOptions extends Connection {
  /**
   * Finds an API whose address is only known by looking, and starts it where it is not there. Asked before the first
   * request, and again when nothing listens at the address any more.
   * @throws an Error worded for a person
   */
  locate?: (() => Promise<Connection>) | undefined;
  requestTimeoutMs: number;
  clock: Clock;
  /** 0…1, for jitter. */
  random: () => number;
}

/** An answer is read up to this size. The longest honest ones are results and pages of a hundred runs. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;
/** The first pause of the back-off; each later one doubles, up to the cap. */
const BACKOFF_MS = 250;
const BACKOFF_CAP_MS = 8_000;
/** A server that asks for more patience than this is reported instead of waited for. */
const RETRY_AFTER_CAP_MS = 30_000;

/** The pause before try number `attempt` (from 1), in ms: doubling, with full jitter above its half. */
export function backoffMs(attempt: number, random: () => number, capMs = BACKOFF_CAP_MS): number {
  const full = Math.min(capMs, BACKOFF_MS * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random();
}

/** The one way out of the house. Both throw {@link ApiError} and nothing else. */
export interface Http {
  /** Where the API is, as far as it is known. */
  address(): string;
  /** Sends a request and reads its answer as JSON, with a time limit and, for reads, retries. */
  send(call: Call): Promise<Answer>;
  /** Opens a stream of server-sent events and hands out its text as it comes; resolves when the stream ends. */
  stream(call: Call & { headers?: Record<string, string> }, onText: (text: string) => void): Promise<void>;
}

/** A stream that says nothing for so long is dead, in ms: a living one sends a sign of life every 15 s. */
const STREAM_SILENCE_MS = 45_000;

/** Every request, its time limit, its retries and the wording of its failure. */
export function createHttp(options: HttpOptions): Http {
  const { clock } = options;
  let connection: Connection = options;
  let locating: Promise<void> | undefined;
  let located = options.locate === undefined;
  let everLocated = false;

  /** Makes sure that there is an address to send to; requests at the same time share one look. */
  async function connect(call: Call): Promise<void> {
    if (located || !options.locate) return;
    if (call.background && everLocated) {
      throw new ApiError(
        "unreachable",
        `Could not ${call.doing}: the API is not there any more. Nothing was done.`,
      );
    }
    locating ??= options
      .locate()
      .then((found) => {
        connection = found;
        located = true;
        everLocated = true;
      })
      .finally(() => {
        locating = undefined;
      });
    try {
      await locating;
    } catch (error) {
      throw new ApiError("unreachable", `Could not ${call.doing}: ${(error as Error).message}`);
    }
  }

  /** Nothing listens at an address that was found by looking: the request never left, so another look is safe. */
  function hasMoved(error: unknown): boolean {
    if (!options.locate || !(error instanceof ApiError) || !error.neverSent) return false;
    located = false;
    return true;
  }

  async function once(call: Call): Promise<Answer> {
    await connect(call);
    try {
      return await exchange(call);
    } catch (error) {
      if (!hasMoved(error)) throw error;
      await connect(call);
      return exchange(call);
    }
  }

  async function exchange(call: Call): Promise<Answer> {
    const limit = new AbortController();
    const cancel = clock.after(options.requestTimeoutMs, () => limit.abort());
    // Our own signal instead of ofetch's timeout: that one ends with the headers and ignores a caller's signal.
    const signal = call.signal ? AbortSignal.any([call.signal, limit.signal]) : limit.signal;
    try {
      const response = await ofetch.raw(`${connection.baseUrl}${call.path}`, {
        method: call.method,
        headers: { accept: "application/json", "x-api-key": connection.apiKey ?? "" },
        ...(call.query ? { query: call.query } : {}),
        ...(call.body ? { body: call.body } : {}),
        // A redirect would carry the key to another address, or turn a POST into a second one.
        redirect: "manual",
        responseType: "stream",
        ignoreResponseError: true,
        retry: false,
        signal,
      });
      // Now and not after the body, which may take long.
      const clockOffsetMs = Date.parse(response.headers.get("date") ?? "") - clock.now();
      const text = await readText(response._data as ReadableStream<Uint8Array> | undefined);
      const body = readAnswer(call, response, text);
      return Number.isNaN(clockOffsetMs) ? { body } : { body, clockOffsetMs };
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw explainFailure(call, error, limit.signal.aborted);
    } finally {
      cancel();
    }
  }

  function readAnswer(call: Call, response: Response, text: string | undefined): unknown {
    const { status, headers } = response;
    if (text === undefined) {
      throw unexpected(call, status, `more than ${BODY_LIMIT_BYTES} bytes`);
    }
    const body = parseJson(text);
    if (status < 200 || status > 299) throw explainStatus(call, status, headers, body);
    if (body === undefined) throw unexpected(call, status, "something that is not JSON");
    return body;
  }

  function explainStatus(call: Call, status: number, headers: Headers, body: unknown): ApiError {
    // An API that quotes the key it refuses must not make us show it.
    const words = parseRefusal(body);
    const { apiKey } = connection;
    const reason = apiKey ? words?.replaceAll(apiKey, "<key>") : words;
    const said = reason ? `: "${reason}"` : "";
    const details = { status, ...(reason ? { reason } : {}) };
    if (status === 401 || status === 403) {
      return new ApiError(
        "unauthorised",
        `Could not ${call.doing}: the workflows API refused the key (HTTP ${status}${said}). Nothing was done. ` +
          "Set AUTOMAGIK_WORKFLOWS_API_KEY to a key that this API accepts and start the server again.",
        details,
      );
    }
    if (status === 404) {
      return new ApiError(
        "not_found",
        `Could not ${call.doing}: the workflows API does not know it (HTTP 404${said}). Nothing was done. ` +
          "Check the name or id, and that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.",
        details,
      );
    }
    if (status === 429) {
      const wait = parseRetryAfter(headers, clock.now());
      return new ApiError(
        "rate_limited",
        `Could not ${call.doing}: the workflows API asks for fewer requests (HTTP 429${said}). Nothing was done. ` +
          `Try again ${wait === undefined ? "in a while" : `in ${Math.ceil(wait / 1000)} s`}.`,
        { ...details, ...(wait === undefined ? {} : { retryAfterMs: wait }) },
      );
    }
    // A time-out that the server or a proxy reports says as little as a fault about what was done.
    if (status >= 500 || status === 408 || status === 425 || status === 499) {
      const wait = parseRetryAfter(headers, clock.now());
      return new ApiError(
        "server_fault",
        `Could not ${call.doing}: the workflows API failed (HTTP ${status}${said}). ${fate(call)} ${advice(call)}`,
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
        `Could not ${call.doing}: the workflows API refused it (HTTP ${status}${said}). Nothing was done. ` +
          "Put right what it names and try again.",
        details,
      );
    }
    return unexpected(call, status, "a redirect or an answer without content");
  }

  function explainFailure(call: Call, error: unknown, timedOut: boolean): ApiError {
    if (call.signal?.aborted && !timedOut) return stopped(call);
    const { code, beforeSending: never } = findCause(error);
    const where = `the workflows API at ${connection.baseUrl}`;
    if (timedOut) {
      return new ApiError(
        "unreachable",
        `Could not ${call.doing}: ${where} did not answer within ${options.requestTimeoutMs / 1000} s. ${fate(call)} ` +
          `${advice(call)} AUTOMAGIK_WORKFLOWS_REQUEST_TIMEOUT allows it more time.`,
        { mayHaveActed: call.acts === true },
      );
    }
    return new ApiError(
      "unreachable",
      `Could not ${call.doing}: ${where} ${never ? "cannot be reached" : "broke the connection"}` +
        `${code ? ` (${code})` : ""}. ${never ? "Nothing was done." : fate(call)} ` +
        "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.",
      { mayHaveActed: call.acts === true && !never, neverSent: never },
    );
  }

  function requireKey(call: Call): void {
    if (options.apiKey || options.locate) return;
    throw new ApiError(
      "no_key",
      `Could not ${call.doing}: no API key is set. Nothing was sent. ` +
        "Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.",
    );
  }

  async function stream(
    call: Call & { headers?: Record<string, string> },
    onText: (text: string) => void,
  ): Promise<void> {
    requireKey(call);
    await connect(call);
    const silence = new AbortController();
    let cancel = clock.after(options.requestTimeoutMs, () => silence.abort());
    const signal = call.signal ? AbortSignal.any([call.signal, silence.signal]) : silence.signal;
    try {
      const response = await ofetch.raw(`${connection.baseUrl}${call.path}`, {
        headers: { ...call.headers, accept: "text/event-stream", "x-api-key": connection.apiKey ?? "" },
        redirect: "manual",
        responseType: "stream",
        ignoreResponseError: true,
        retry: false,
        signal,
      });
      const body = response._data as ReadableStream<Uint8Array> | undefined;
      if (response.status !== 200) {
        const text = await readText(body);
        throw explainStatus(call, response.status, response.headers, parseJson(text ?? ""));
      }
      const decoder = new TextDecoder();
      for await (const chunk of (body ?? []) as unknown as AsyncIterable<Uint8Array>) {
        cancel();
        cancel = clock.after(STREAM_SILENCE_MS, () => silence.abort());
        onText(decoder.decode(chunk, { stream: true }));
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const failure = explainFailure(call, error, silence.signal.aborted);
      hasMoved(failure);
      throw failure;
    } finally {
      cancel();
    }
  }

  async function send(call: Call): Promise<Answer> {
    requireKey(call);
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(call);
      } catch (error) {
        const failure = error as ApiError;
        if (call.acts || attempt > (call.retries ?? 0) || !isPassing(failure)) throw failure;
        const asked = failure.retryAfterMs ?? 0;
        if (asked > RETRY_AFTER_CAP_MS) throw failure;
        const waited = await sleep(clock, Math.max(asked, backoffMs(attempt, options.random)), call.signal);
        if (!waited) throw stopped(call);
      }
    }
  }

  return { address: () => connection.baseUrl, send, stream };
}

/** Codes that only a failure before the connection stood can have: the request never left. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
]);

interface Cause {
  code?: string;
  /** The failure came before anything of the request was sent. */
  beforeSending: boolean;
}

/** The error's code, looked for through causes and the parts of an aggregate. */
function findCause(error: unknown, depth = 0): Cause {
  if (typeof error !== "object" || error === null || depth > 5) return { beforeSending: false };
  const { code, syscall, cause, errors } = error as Record<string, unknown>;
  // Several addresses were tried in vain: each of the parts says what failed, the whole does not.
  if (Array.isArray(errors) && errors.length > 0) return findCause(errors[0], depth + 1);
  if (typeof code !== "string" || !/^[A-Z_0-9]+$/.test(code)) return findCause(cause, depth + 1);
  // EHOSTUNREACH, ENETUNREACH and ETIMEDOUT come while connecting, and on connections that have carried a request.
  return { code, beforeSending: NEVER_SENT.has(code) || syscall === "connect" || syscall === "getaddrinfo" };
}

function fate(call: Call): string {
  return call.acts ? "It is not known whether the API has acted on it." : "Nothing was changed.";
}

function advice(call: Call): string {
  return call.acts ? "Find out before trying again." : "Try again in a while.";
}

function stopped(call: Call): ApiError {
  return new ApiError("aborted", `Stopped while trying to ${call.doing}. ${fate(call)}`, {
    mayHaveActed: call.acts === true,
  });
}

function unexpected(call: Call, status: number, what: string): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: the address answered HTTP ${status} with ${cleanLine(what)}, which no workflows API ` +
      `does. ${fate(call)} Check that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.`,
    { status, mayHaveActed: call.acts === true },
  );
}

async function readText(stream: ReadableStream<Uint8Array> | undefined): Promise<string | undefined> {
  if (!stream) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > BODY_LIMIT_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `Retry-After` as seconds or as a date, in ms from now; undefined when it is neither. */
function parseRetryAfter(headers: Headers, now: number): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  // The date is the server's, so its own clock is the one to count by.
  const since = Date.parse(headers.get("date") ?? "");
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - (Number.isNaN(since) ? now : since));
}
