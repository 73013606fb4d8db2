import { follow } from "../shared/abort.js";
import { parseBoundedJson } from "../shared/bounded-json.js";
import { CALLER_HEADER } from "../shared/caller-id.js";
import { BODY_LIMITS, readText } from "../shared/http/body-limits.js";
import { createTransport, type Incoming, PoolTimeout } from "../shared/http/fetch.js";
import { createFindProxy, nameProxy } from "../shared/http/proxy.js";
import type { Answer, Call, Connection, HttpOptions, StreamCall } from "./call.js";
import { API } from "./endpoints.js";
import { ApiError } from "./errors.js";
import { notApart, tooLarge, unexpected } from "./explain/attempt.js";
import { explainFailure, type FailedAt } from "./explain/failure.js";
import { explainStatus } from "./explain/status.js";
import { isMixedUp, speaksTls } from "./scheme.js";

/** The share of its time limit within which a request that acts must get a connection, among others that wait. */
const POOL_SHARE = 0.5;
/** A stream that says nothing for so long is dead, in ms: a living one sends a sign of life every 15 s. */
const STREAM_SILENCE_MS = 45_000;

/** Single requests to the API: no retries. Both throw {@link ApiError} and nothing else. */
export interface Exchange {
  /** Sends a request and reads its answer as JSON, within the time limit. */
  once(call: Call): Promise<Answer>;
  /** Opens a stream of server-sent events and hands out its text as it comes; resolves when the stream ends. */
  stream(call: StreamCall, onText: (text: string) => void): Promise<void>;
}

/** @param connection where requests go now */
export function createExchange(options: Omit<HttpOptions, "random">, connection: () => Connection): Exchange {
  const { clock, requestTimeoutMs } = options;
  const asCaller = options.caller === undefined ? {} : { [CALLER_HEADER]: options.caller };
  const findProxy = createFindProxy(options.locate ? {} : (options.env ?? {}));
  const transport = createTransport(findProxy);
  /** HTTP has been spoken with it, so that a broken connection is no sign of anything else. */
  let hasAnswered = false;
  /** Whether it speaks TLS though it was asked without, once that was looked into. */
  let isTls: boolean | undefined;

  /** @throws ApiError for a success that may be another caller's */
  async function refuseOthers(call: StreamCall, { status, headers, body }: Incoming): Promise<void> {
    if (options.caller === undefined || !call.path.startsWith(API) || status > 299) return;
    if (headers.get(CALLER_HEADER) === options.caller) return;
    await readText(body, 0);
    throw notApart(call, connection().baseUrl);
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
    // A body that is too long by its own header is not read; leaving the loop ends the answer.
    const isLong = Number(headers.get("content-length") ?? 0) > BODY_LIMITS.refusal;
    const text = (await readText(body, isLong ? 0 : BODY_LIMITS.refusal)) ?? "";
    // Some servers say so themselves, in no words of the API. An API that quotes them has another status.
    if (status === 400 && isMixedUp(text))
      return explainFailure(call, { sent: false }, { ...failedAt(), speaksTls: true });
    const answer = { status, headers, body: parseJson(text), now: clock.now(), proxy: failedAt().proxy };
    return explainStatus(call, answer, connection().apiKey, options.refusedKeyAdvice);
  }

  /** Where requests go now, for the wording of their failures. */
  function failedAt(timeoutMs?: number): FailedAt {
    const { baseUrl } = connection();
    let proxy: URL | undefined;
    try {
      proxy = findProxy(new URL(baseUrl));
    } catch {
      // The proxy cannot be used: the request has failed with that error already.
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

  return {
    async once(call) {
      const own = new AbortController();
      const stopFollowing = follow(call.signal, own);
      let lateAfterMs: number | undefined;
      let status: number | undefined;
      const limitMs = call.timeoutMs ?? requestTimeoutMs;
      const cancel = clock.after(limitMs, () => {
        lateAfterMs = limitMs;
        own.abort();
      });
      // What acts is not sent at the last moment, when its answer would come too late and its fate be unknown.
      const pool = call.acts ? new AbortController() : undefined;
      const cancelPool = pool ? clock.after(requestTimeoutMs * POOL_SHARE, () => pool.abort()) : () => {};
      try {
        const { method, path, query, body } = call;
        const { baseUrl, apiKey } = connection();
        // What takes long holds no place among those that act: a stream's connection is as fresh, and not counted.
        const how = call.timeoutMs === undefined ? (call.acts ? "act" : "read") : "listen";
        const response = await transport[how](`${baseUrl}${path}`, {
          method,
          headers: { ...call.headers, ...asCaller, accept: "application/json", "x-api-key": apiKey ?? "" },
          ...(query ? { query } : {}),
          ...(body ? { body: JSON.stringify(body) } : {}),
          signal: own.signal,
          connectBy: pool?.signal,
        });
        hasAnswered = true;
        status = response.status;
        await refuseOthers(call, response);
        // Now and not after the body, which may take long.
        const clockOffsetMs = Date.parse(response.headers.get("date") ?? "") - clock.now();
        const answer = await readAnswer(call, response);
        return Number.isNaN(clockOffsetMs) ? { body: answer } : { body: answer, clockOffsetMs };
      } catch (error) {
        if (error instanceof ApiError) throw error;
        if (error instanceof PoolTimeout) lateAfterMs = requestTimeoutMs * POOL_SHARE;
        throw await explain(call, error, lateAfterMs);
      } finally {
        options.onAnswered?.(status);
        cancel();
        cancelPool();
        stopFollowing();
      }
    },

    async stream(call, onText) {
      const silence = new AbortController();
      let cancel = clock.after(requestTimeoutMs, () => silence.abort());
      let status: number | undefined;
      const signal = call.signal ? AbortSignal.any([call.signal, silence.signal]) : silence.signal;
      try {
        const { baseUrl, apiKey } = connection();
        const response = await transport.listen(`${baseUrl}${call.path}`, {
          method: "GET",
          headers: { ...call.headers, ...asCaller, accept: "text/event-stream", "x-api-key": apiKey ?? "" },
          signal,
        });
        status = response.status;
        await refuseOthers(call, response);
        if (status !== 200) throw await refusal(call, response);
        const decoder = new TextDecoder();
        for await (const chunk of response.body) {
          cancel();
          cancel = clock.after(STREAM_SILENCE_MS, () => silence.abort());
          onText(decoder.decode(chunk, { stream: true }));
        }
      } catch (error) {
        if (error instanceof ApiError) throw error;
        throw await explain(call, error, silence.signal.aborted ? requestTimeoutMs : undefined);
      } finally {
        options.onAnswered?.(status);
        cancel();
      }
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}
