import type * as z from "zod";
import { follow } from "../shared/abort.js";
import { type Pauses, pauseAfter } from "../shared/backoff.js";
import { sleep } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import type { Answer, Call, HttpOptions, StreamCall } from "./call.js";
import { createCircuit, isDown } from "./circuit.js";
import { API } from "./endpoints.js";
import { ApiError, isPassing } from "./errors.js";
import { createExchange } from "./exchange.js";
import { stopped } from "./explain/attempt.js";
import { heldBack, withOutage } from "./explain/outage.js";
import { hideSecret } from "./hide-secret.js";
import { createLocator } from "./locator.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** How long closing waits for requests that were given up, in ms: they end within moments. */
const CLOSE_MS = 500;
/** Between two tries of one request. */
const PAUSES: Pauses = { firstMs: 250, longestMs: 8_000 };
/** A server that asks for a longer wait than this is reported, not waited for. */
const RETRY_AFTER_CAP_MS = 30_000;

/** Changes nothing, and shows whether the API keeps callers apart. */
const LOOK = {
  method: "GET" as const,
  path: `${API}/runs`,
  query: { page_size: 1 },
  limitBytes: BODY_LIMITS.list,
};

/** How the client's methods reach the API: requests whose answers are checked, until it is closed. */
export interface Requests
  extends Pick<WorkflowsApi, "address" | "hasKey" | "outage" | "clockOffsetMs" | "apiTime" | "close"> {
  /**
   * Sends a request, with a time limit and, for reads, retries, and checks its answer.
   * @throws ApiError, also when the answer has another shape
   */
  request<T>(call: Call, schema: z.ZodType<T>): Promise<T>;
  /** Opens a stream and hands out its text as it comes; resolves when the stream ends. @throws ApiError */
  stream(call: StreamCall, onText: (text: string) => void): Promise<void>;
  /** Takes the key out of a text or of every text of a JSON value. */
  hide<T>(value: T): T;
}

/** Where the API is, how it is asked, and how often. */
export interface ApiClientOptions extends HttpOptions {
  /** Tries of a read after the first. */
  maxRetries: number;
}

/** What stands around single requests: the key, the look for the API, the circuit, the retries, the check, the end. */
export function createRequests(options: ApiClientOptions): Requests {
  const { clock, random, apiKey, maxRetries } = options;
  const hasKey = Boolean(apiKey || options.locate);
  const locator = createLocator(options);
  const exchange = createExchange(options, locator.current);
  const circuit = createCircuit(clock, random);
  const inFlight = new Map<AbortController, Promise<unknown>>();
  /** The API has shown that it keeps callers apart. */
  let isApart = options.caller === undefined;
  let closed = false;
  let offsetMs = 0;
  let apiTime: number | undefined;

  /** Does work that its own signal and closing can stop. */
  async function track<T>(
    { doing, signal }: Pick<Call, "doing" | "signal">,
    begin: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (closed) {
      throw new ApiError("aborted", `Could not ${doing}: this server is stopping. Nothing was sent.`);
    }
    const own = new AbortController();
    const stopFollowing = follow(signal, own);
    const work = begin(own.signal);
    inFlight.set(own, work);
    try {
      return await work;
    } finally {
      inFlight.delete(own);
      stopFollowing();
    }
  }

  function requireKey(call: StreamCall): void {
    if (hasKey) return;
    throw new ApiError(
      "no_key",
      `Could not ${call.doing}: no API key is set. Nothing was sent. ` +
        "Set AUTOMAGIK_WORKFLOWS_API_KEY, or `--engine local` to run on this machine, and start the server again.",
    );
  }

  /** One request; a second one when nothing has listened at an address that another look may correct. */
  async function once(call: Call): Promise<Answer> {
    await locator.find(call);
    try {
      return await ask(call);
    } catch (error) {
      if (!locator.hasMoved(error)) throw error;
      locator.refuseRestart(call);
      await locator.find(call);
      return ask(call);
    }
  }

  /** What acts is sent only to an API that has shown that it keeps callers apart, where they are. */
  async function ask(call: Call): Promise<Answer> {
    if (call.acts && !isApart) {
      const { body: _, headers: __, ...rest } = call;
      await exchange.once({ ...rest, ...LOOK, acts: false });
    }
    const answer = await exchange.once(call);
    isApart ||= call.path.startsWith(API);
    return answer;
  }

  /** One try: not made while the API is known to be down, and counted by the circuit. */
  async function attempt(call: Call): Promise<Answer> {
    locator.refuseRestart(call);
    const before = circuit.outage();
    if (before && call.poller && !circuit.admits()) {
      throw heldBack(
        call,
        { baseUrl: locator.current().baseUrl, problem: locator.problem() },
        before,
        clock.now(),
      );
    }
    try {
      const answer = await circuit.observe(() => once(call));
      if (!call.needsNoKey) options.onKey?.(true);
      return answer;
    } catch (error) {
      const outage = circuit.outage();
      const failure = error as ApiError;
      if (failure.kind === "unauthorised") options.onKey?.(false);
      throw outage && isDown(failure) ? withOutage(failure, locator.problem(), outage, clock.now()) : failure;
    }
  }

  /** As many tries as the call may have, each after a pause. */
  async function send(call: Call): Promise<Answer> {
    requireKey(call);
    // While it is down, others have tried often enough.
    const retries = circuit.outage() ? 0 : (call.retries ?? maxRetries);
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(call);
      } catch (error) {
        const failure = error as ApiError;
        if (call.acts || tries > retries || !isPassing(failure)) throw failure;
        const asked = failure.retryAfterMs ?? 0;
        if (asked > RETRY_AFTER_CAP_MS) throw failure;
        const waited = await sleep(clock, Math.max(asked, pauseAfter(tries, PAUSES, random)), call.signal);
        if (!waited) throw stopped(call);
      }
    }
  }

  async function openStream(call: StreamCall, onText: (text: string) => void): Promise<void> {
    requireKey(call);
    locator.refuseRestart(call);
    await locator.find(call);
    try {
      await exchange.stream(call, onText);
    } catch (error) {
      locator.hasMoved(error);
      throw error;
    }
  }

  function noteClock(clockOffsetMs: number | undefined): void {
    if (clockOffsetMs === undefined) return;
    offsetMs = clockOffsetMs;
    apiTime = Math.max(apiTime ?? 0, clock.now() + offsetMs);
  }

  return {
    get address() {
      return locator.current().baseUrl;
    },
    hasKey,
    outage: circuit.outage,
    clockOffsetMs: () => offsetMs,
    apiTime: () => apiTime,
    hide: (value) => hideSecret(value, apiKey) as typeof value,

    async request(call, schema) {
      const answer = await track(call, (signal) => send({ ...call, signal }));
      noteClock(answer.clockOffsetMs);
      const parsed = schema.safeParse(hideSecret(answer.body, apiKey));
      if (parsed.success) return parsed.data;
      const field = parsed.error.issues[0]?.path.join(".") || "the whole body";
      throw new ApiError(
        "unexpected",
        `Could not ${call.doing}: the workflows API gave an answer without the fields it needs (${field}). ` +
          `${call.acts ? "It is not known whether the API has acted on it." : "Nothing was changed."} ` +
          "Check that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.",
        { mayHaveActed: call.acts === true },
      );
    },

    stream: (call, onText) => track(call, (signal) => openStream({ ...call, signal }, onText)),

    async close() {
      closed = true;
      const left = [...inFlight.values()];
      for (const own of inFlight.keys()) own.abort();
      // An engine that is being started does not stop starting for this.
      await withDeadline(clock, CLOSE_MS, () => Promise.allSettled(left));
    },
  };
}
