import { follow } from "../shared/abort.js";
import { parseBoundedJson } from "../shared/bounded-json.js";
import { type Clock, sleep } from "../shared/clock.js";
import { BODY_LIMITS, readText } from "../shared/http/body-limits.js";
import { createTransport, type Incoming, TurnMissed } from "../shared/http/fetch.js";
import { createFindProxy, nameProxy, type ProxyEnvironment } from "../shared/http/proxy.js";
import { backoffMs } from "./backoff.js";
import { createCircuit, isDown } from "./circuit.js";
import { ApiError, isPassing, type Outage } from "./errors.js";
import {
  type Attempt,
  explainFailure,
  explainStatus,
  type FailedAt,
  heldBack,
  stopped,
  tooLarge,
  unexpected,
  withOutage,
} from "./explain.js";
import { isMixedUp, speaksTls } from "./scheme.js";

/** The share of its time within which a request that acts must have its turn among others. */
const TURN_SHARE = 0.5;

/** One call as the client's methods describe it. */
export interface Call extends Attempt {
  method: "GET" | "POST";
  /** Below the base address, beginning with a slash. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: Record<string, unknown>;
  /** Up to which size the answer is read, in bytes. */
  limitBytes: number;
  /** Longer answers have their long texts cut instead of being refused. */
  cutsTexts?: boolean;
  /** Nobody waits for it: no reason to start an API again that somebody has stopped. */
  background?: boolean;
  /** One look of many, which comes back by itself: not taken while the API is known to be down. */
  poller?: boolean;
  /** Tries after the first; 0 for calls that act and for pollers that come back by themselves. */
  retries?: number;
}

export interface StreamCall extends Omit<Call, "limitBytes" | "cutsTexts" | "body"> {
  headers?: Record<string, string>;
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
  /** What to do when the API refuses the key, as a sentence; by default to set the variable. */
  refusedKeyAdvice?: string | undefined;
  /** Where proxies are named. An API that is found by looking is on this machine, and is reached without. */
  env?: ProxyEnvironment | undefined;
  requestTimeoutMs: number;
  clock: Clock;
  /** 0…1, for jitter. */
  random: () => number;
}

/** A server that asks for more patience than this is reported instead of waited for. */
const RETRY_AFTER_CAP_MS = 30_000;

/** The one way out of the house. Both throw {@link ApiError} and nothing else. */
export interface Http {
  /** Where the API is, as far as it is known. */
  address(): string;
  /** Since when the API has not answered, while it is down. */
  outage(): Outage | undefined;
  /** Sends a request and reads its answer as JSON, with a time limit and, for reads, retries. */
  send(call: Call): Promise<Answer>;
  /** Opens a stream of server-sent events and hands out its text as it comes; resolves when the stream ends. */
  stream(call: StreamCall, onText: (text: string) => void): Promise<void>;
}

/** A stream that says nothing for so long is dead, in ms: a living one sends a sign of life every 15 s. */
const STREAM_SILENCE_MS = 45_000;

/** Every request, its time limit, its retries and the wording of its failure. */
export function createHttp(options: HttpOptions): Http {
  const { clock } = options;
  const findProxy = createFindProxy(options.locate ? {} : (options.env ?? {}));
  const transport = createTransport(findProxy);
  const circuit = createCircuit(clock, options.random);
  let connection: Connection = options;
  let locating: Promise<void> | undefined;
  let located = options.locate === undefined;
  let everLocated = false;
  /** HTTP has been spoken with it, so that a broken connection is no sign of anything else. */
  let hasAnswered = false;
  /** Whether it speaks TLS though it was asked without, once that was looked into. */
  let isTls: boolean | undefined;

  /** An API of this machine that somebody has stopped is not started for the sake of the background. */
  function letRest(call: StreamCall): void {
    if (located || !call.background || !everLocated) return;
    throw new ApiError(
      "unreachable",
      `Could not ${call.doing}: the API is not there any more. Nothing was done.`,
    );
  }

  /** Makes sure that there is an address to send to; requests at the same time share one look. */
  async function connect(call: StreamCall): Promise<void> {
    if (located || !options.locate) return;
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
      letRest(call);
      await connect(call);
      return exchange(call);
    }
  }

  async function exchange(call: Call): Promise<Answer> {
    const own = new AbortController();
    const stopFollowing = follow(call.signal, own);
    const { requestTimeoutMs } = options;
    let lateAfterMs: number | undefined;
    const cancel = clock.after(requestTimeoutMs, () => {
      lateAfterMs = requestTimeoutMs;
      own.abort();
    });
    // What acts is not sent at the last moment, when its answer would come too late and its fate be unknown.
    const turn = call.acts ? new AbortController() : undefined;
    const cancelTurn = turn ? clock.after(requestTimeoutMs * TURN_SHARE, () => turn.abort()) : () => {};
    try {
      const { method, path, query, body } = call;
      const response = await transport[call.acts ? "act" : "read"](`${connection.baseUrl}${path}`, {
        method,
        headers: { accept: "application/json", "x-api-key": connection.apiKey ?? "" },
        ...(query ? { query } : {}),
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: own.signal,
        turnBy: turn?.signal,
      });
      hasAnswered = true;
      // Now and not after the body, which may take long.
      const clockOffsetMs = Date.parse(response.headers.get("date") ?? "") - clock.now();
      const answer = await readAnswer(call, response);
      return Number.isNaN(clockOffsetMs) ? { body: answer } : { body: answer, clockOffsetMs };
    } catch (error) {
      if (error instanceof ApiError) throw error;
      if (error instanceof TurnMissed) lateAfterMs = requestTimeoutMs * TURN_SHARE;
      throw await explain(call, error, lateAfterMs);
    } finally {
      cancel();
      cancelTurn();
      stopFollowing();
    }
  }

  async function readAnswer(call: Call, response: Incoming): Promise<unknown> {
    const { status } = response;
    if (status < 200 || status > 299) throw await refusal(call, response);
    const text = await readText(response.body, call.limitBytes, call.cutsTexts);
    if (text === undefined) throw tooLarge(call, status, call.limitBytes);
    const body = parseJson(text);
    if (body === undefined) throw unexpected(call, status, "something that is not JSON");
    return body;
  }

  async function refusal(call: StreamCall, { status, headers, body }: Incoming): Promise<ApiError> {
    // What announces itself as too long is not waited for; leaving the loop ends the answer.
    const isLong = Number(headers.get("content-length") ?? 0) > BODY_LIMITS.refusal;
    const text = (await readText(body, isLong ? 0 : BODY_LIMITS.refusal)) ?? "";
    // Some servers say so themselves, in no words of the API. An API that quotes them has another status.
    if (status === 400 && isMixedUp(text))
      return explainFailure(call, { sent: false }, { ...failedAt(), speaksTls: true });
    const answer = { status, headers, body: parseJson(text), now: clock.now(), proxy: failedAt().proxy };
    return explainStatus(call, answer, connection.apiKey, options.refusedKeyAdvice);
  }

  /** Where requests go now, for the wording of their failures. */
  function failedAt(timeoutMs?: number): FailedAt {
    const { baseUrl } = connection;
    let proxy: URL | undefined;
    try {
      proxy = findProxy(new URL(baseUrl));
    } catch {
      // That it cannot be used is what the request has failed by.
    }
    return { baseUrl, timeoutMs, proxy: proxy && nameProxy(proxy) };
  }

  async function explain(call: StreamCall, error: unknown, timeoutMs: number | undefined): Promise<ApiError> {
    const at = failedAt(timeoutMs);
    const isStopped = call.signal?.aborted || timeoutMs !== undefined;
    const isDoubtful = !isStopped && !at.proxy && !hasAnswered;
    if (isDoubtful) isTls ??= await speaksTls(at.baseUrl, error);
    return explainFailure(call, error, { ...at, speaksTls: isDoubtful && isTls });
  }

  function requireKey(call: StreamCall): void {
    if (options.apiKey || options.locate) return;
    throw new ApiError(
      "no_key",
      `Could not ${call.doing}: no API key is set. Nothing was sent. ` +
        "Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.",
    );
  }

  async function stream(call: StreamCall, onText: (text: string) => void): Promise<void> {
    requireKey(call);
    letRest(call);
    await connect(call);
    const silence = new AbortController();
    let cancel = clock.after(options.requestTimeoutMs, () => silence.abort());
    const signal = call.signal ? AbortSignal.any([call.signal, silence.signal]) : silence.signal;
    try {
      const response = await transport.listen(`${connection.baseUrl}${call.path}`, {
        method: "GET",
        headers: { ...call.headers, accept: "text/event-stream", "x-api-key": connection.apiKey ?? "" },
        signal,
      });
      if (response.status !== 200) throw await refusal(call, response);
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        cancel();
        cancel = clock.after(STREAM_SILENCE_MS, () => silence.abort());
        onText(decoder.decode(chunk, { stream: true }));
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const failure = await explain(
        call,
        error,
        silence.signal.aborted ? options.requestTimeoutMs : undefined,
      );
      hasMoved(failure);
      throw failure;
    } finally {
      cancel();
    }
  }

  /** One request, and what the circuit has to say to it. */
  async function attempt(call: Call): Promise<Answer> {
    letRest(call);
    const before = circuit.outage();
    if (before && call.poller && !circuit.admits()) {
      throw heldBack(call, connection.baseUrl, before, clock.now());
    }
    try {
      return await circuit.observe(() => once(call));
    } catch (error) {
      const outage = circuit.outage();
      const failure = error as ApiError;
      throw outage && isDown(failure) ? withOutage(failure, outage, clock.now()) : failure;
    }
  }

  async function send(call: Call): Promise<Answer> {
    requireKey(call);
    // An API that is plainly down has been tried often enough by others.
    const retries = circuit.outage() ? 0 : (call.retries ?? 0);
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(call);
      } catch (error) {
        const failure = error as ApiError;
        if (call.acts || tries > retries || !isPassing(failure)) throw failure;
        const asked = failure.retryAfterMs ?? 0;
        if (asked > RETRY_AFTER_CAP_MS) throw failure;
        const waited = await sleep(clock, Math.max(asked, backoffMs(tries, options.random)), call.signal);
        if (!waited) throw stopped(call);
      }
    }
  }

  return { address: () => connection.baseUrl, outage: circuit.outage, send, stream };
}

function parseJson(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}
