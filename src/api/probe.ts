import * as z from "zod";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { createTransport } from "../shared/http/fetch.js";
import { createFindProxy, nameProxy, type ProxyEnvironment } from "../shared/http/proxy.js";
import { cleanLine } from "../shared/text.js";
import type { StreamCall } from "./call.js";
import { API, ENDPOINTS as OWN } from "./endpoints.js";
import { ApiError } from "./errors.js";
import { findCode, findRemedy } from "./explain/remedy.js";
import { createRequests } from "./requests.js";
import { speaksTls } from "./scheme.js";

/** Endpoints that a workflows API may offer, each tried by a GET. */
const ENDPOINTS = {
  manage: { path: API + OWN.manage.path },
  workflows: { path: API + OWN.workflows.path },
  health: { path: API + OWN.health.path },
  runs: { path: API + OWN.runs.path, query: { page: 1, page_size: 1 } },
  events: { path: API + OWN.events.path },
} as const;

/** The name of an endpoint that can be tried. */
export type EndpointName = keyof typeof ENDPOINTS;

/** What a try came to: it answers, it is not there, or why nothing can be said for it. */
export type EndpointFinding =
  | { kind: "answers" }
  | { kind: "absent"; status: number }
  | { kind: "failed"; error: ApiError };

/** `proxy`: the name of that which the request went through. `todo`: what to do about the failure. */
export type Reach = { proxy: string | undefined } & (
  | { ok: true; status: number }
  | { ok: false; code: string; todo: string | undefined }
);

/** Finds out what an address offers. Nothing but GETs is ever sent, each once, and neither method throws. */
export interface Probe {
  /** Whether anything answers there, whatever it says; without the key. `code`: the system's word for why not. */
  reach(): Promise<Reach>;
  endpoint(name: EndpointName): Promise<EndpointFinding>;
}

/** The first characters of a stream of server-sent events (HTML Standard, 9.2.5). */
const EVENT_STREAM = /^\ufeff?(?:\s*$|:|(?:event|data|id|retry)(?::|\r|\n))/;

export interface ProbeOptions {
  baseUrl: string;
  apiKey: string | undefined;
  /** Where proxies are named. */
  env?: ProxyEnvironment | undefined;
  /** How long one try may take, in ms. */
  requestTimeoutMs: number;
  clock: Clock;
}

export function createProbe(options: ProbeOptions): Probe {
  const { baseUrl, clock, requestTimeoutMs } = options;
  const requests = createRequests({ ...options, maxRetries: 0, random: () => 0 });

  /** A stream is there when it begins; what comes then is not waited for. */
  async function openStream(call: StreamCall): Promise<void> {
    const seen = new AbortController();
    let begin: string | undefined;
    try {
      await requests.stream({ ...call, signal: seen.signal }, (text) => {
        begin ??= text;
        seen.abort();
      });
    } catch (error) {
      if (begin === undefined) throw error;
    }
    if (!EVENT_STREAM.test(begin ?? "")) {
      throw new ApiError("unexpected", `Could not ${call.doing}: the response is not a stream of events.`);
    }
  }

  return {
    async reach() {
      let proxy: string | undefined;
      try {
        const findProxy = createFindProxy(options.env ?? {});
        const found = findProxy(new URL(baseUrl));
        proxy = found && nameProxy(found);
        const { read } = createTransport(findProxy);
        const answer = await withDeadline(clock, requestTimeoutMs, (signal) =>
          read(`${baseUrl}/health`, { method: "GET", headers: {}, signal }),
        );
        if (!answer) return { ok: false, code: "no answer", todo: undefined, proxy };
        return { ok: true, status: answer.status, proxy };
      } catch (error) {
        const isTls = !proxy && (await speaksTls(baseUrl, error));
        const todo = findRemedy(error, { proxy, speaksTls: isTls });
        return { ok: false, code: tellCause(error), todo, proxy };
      }
    },

    async endpoint(name) {
      const call = {
        method: "GET" as const,
        limitBytes: BODY_LIMITS.list,
        ...ENDPOINTS[name],
        doing: `look at ${name}`,
      };
      try {
        await (name === "events" ? openStream(call) : requests.request(call, z.unknown()));
        return { kind: "answers" };
      } catch (error) {
        const failure = error as ApiError;
        const { status } = failure;
        return status === 404 || status === 405
          ? { kind: "absent", status }
          : { kind: "failed", error: failure };
      }
    },
  };
}

/** The system's word for a failure; without one, what its last cause says. */
function tellCause(error: unknown): string {
  const code = findCode(error);
  if (code) return code;
  let last = error;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  return last instanceof Error ? cleanLine(last.message, 80) : "unknown error";
}
