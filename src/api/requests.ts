import type * as z from "zod";
import { follow } from "../shared/abort.js";
import { withDeadline } from "../shared/deadline.js";
import type { Answer, Call, HttpOptions, StreamCall } from "./call.js";
import { ApiError } from "./errors.js";
import { hideSecret } from "./hide-secret.js";
import { createHttp } from "./http.js";
import type { WorkflowsApi } from "./workflows-api.js";

/** How long closing waits for requests that were given up, in ms: they end within moments. */
const CLOSE_MS = 500;

/** How the client's methods reach the API: requests whose answers are checked, until it is closed. */
export interface Requests
  extends Pick<WorkflowsApi, "address" | "hasKey" | "outage" | "clockOffsetMs" | "apiTime" | "close"> {
  /** Sends a request and checks its answer. @throws ApiError, also when the answer has another shape */
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

/** See {@link Requests}. */
export function createRequests(options: ApiClientOptions): Requests {
  const http = createHttp(options);
  const inFlight = new Map<AbortController, Promise<unknown>>();
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

  function noteClock(clockOffsetMs: number | undefined): void {
    if (clockOffsetMs === undefined) return;
    offsetMs = clockOffsetMs;
    apiTime = Math.max(apiTime ?? 0, options.clock.now() + offsetMs);
  }

  return {
    get address() {
      return http.address();
    },
    hasKey: Boolean(options.apiKey || options.locate),
    outage: http.outage,
    clockOffsetMs: () => offsetMs,
    apiTime: () => apiTime,
    hide: (value) => hideSecret(value, options.apiKey) as typeof value,

    async request(call, schema) {
      const answer: Answer = await track(call, (signal) =>
        http.send({ retries: options.maxRetries, ...call, signal }),
      );
      noteClock(answer.clockOffsetMs);
      const parsed = schema.safeParse(hideSecret(answer.body, options.apiKey));
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

    stream: (call, onText) => track(call, (signal) => http.stream({ ...call, signal }, onText)),

    async close() {
      closed = true;
      const left = [...inFlight.values()];
      for (const own of inFlight.keys()) own.abort();
      // An engine that is being started does not stop starting for this.
      await withDeadline(options.clock, CLOSE_MS, () => Promise.allSettled(left));
    },
  };
}
