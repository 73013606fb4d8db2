import type * as z from "zod";
import { parseBoundedJson } from "../../shared/bounded-json.js";
import type { Clock } from "../../shared/clock.js";
import type { FindProxy } from "../../shared/http/proxy.js";
import { NotNow, Refused, Unknown } from "../delivery-error.js";
import { createVendorHttp, pauseOf, type VendorAnswer } from "../vendor-http.js";

/** GitHub has answered, and said no. */
export class GithubRefused extends Refused {
  constructor(
    reason: string,
    /** Of HTTP; 401 where there is no token. */
    readonly status: number,
    /** What GitHub says of the fields of a request, in its own words: untrusted, and not to be shown as they are. */
    readonly details: readonly string[] = [],
  ) {
    super(reason);
  }
}

/** One call, below the address of the API. */
export interface GithubCall {
  method: "GET" | "POST" | "PATCH";
  path: string;
  query?: Readonly<Record<string, string | number>>;
  body?: unknown;
  /** A POST that only asks, as those of GraphQL. */
  asks?: true;
  signal?: AbortSignal | undefined;
}

/** Where the token comes from. */
export interface TokenSource {
  /** Undefined where there is none. Never throws. */
  read(): Promise<string | undefined>;
  /** GitHub does not take it: the next look asks again where it comes from. */
  forget(): void;
}

export interface GithubOptions {
  /** The address of the API, without a slash at its end: `https://api.github.com`. */
  apiUrl: string;
  token: TokenSource;
  clock: Clock;
  findProxy?: FindProxy | undefined;
}

/** Calls of GitHub's API. All of them throw Refused, NotNow and Unknown, and nothing else. */
export interface CallGithub {
  /** Asks for JSON. @throws GithubRefused also for an answer that cannot be read */
  json<T extends z.ZodType>(call: GithubCall, schema: T): Promise<z.output<T>>;
  /** Asks for a text, also where GitHub redirects to it. @throws GithubRefused, NotNow */
  text(call: GithubCall): Promise<string>;
}

/** Each call gets so long, in ms: a delivery makes some of them within half a minute. */
const LIMIT_MS = 10_000;
/** What is read of an answer, in bytes: a hundred comments of the longest kind are 6.5 MB, logs may be longer. */
const BODY_BYTES = 8 * 1024 * 1024;
const TEXT_BYTES = 32 * 1024 * 1024;
/** Where GitHub asks to wait and does not say how long, it is a minute. In ms. */
const PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
const VERSION = "2022-11-28";
/** Read here: what GitHub means by them is in headers and body. */
const REFUSALS = [301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 422, 429];

export function createCallGithub({ apiUrl, token, clock, findProxy }: GithubOptions): CallGithub {
  const http = createVendorHttp({ service: "GitHub", clock, findProxy, limitMs: LIMIT_MS });

  async function send(call: GithubCall, limitBytes: number): Promise<VendorAnswer> {
    const { method, path, query, body, signal } = call;
    const key = await token.read();
    if (!key) throw new GithubRefused("no token is set for GitHub", 401);
    const answer = await http({
      method,
      url: addressOf(apiUrl, path),
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${key}`,
        "x-github-api-version": VERSION,
      },
      ...(query ? { query: { ...query } } : {}),
      ...(body === undefined ? {} : { body }),
      isRead: !doesAct(call),
      accept: REFUSALS,
      limitBytes,
      signal: signal ?? new AbortController().signal,
    });
    if (answer.status === 401) token.forget();
    return answer;
  }

  return {
    async json(call, schema) {
      const answer = await send(call, BODY_BYTES);
      if (answer.status > 299) throw refusal(answer, clock.now());
      const parsed = schema.safeParse(parse(answer.text));
      if (parsed.success) return parsed.data;
      if (doesAct(call)) throw new Unknown("GitHub's answer cannot be read");
      throw new GithubRefused("GitHub's answer cannot be read", answer.status);
    },

    async text(call) {
      const answer = await send(call, TEXT_BYTES);
      if (answer.status < 300) return answer.text;
      if (answer.status !== 302) throw refusal(answer, clock.now());
      const url = answer.headers.get("location") ?? "";
      // Storage elsewhere, which has its own permission in the address and does not get the token. Never in the clear.
      const isSafe =
        URL.canParse(url) && (url.startsWith("https:") || new URL(url).origin === new URL(apiUrl).origin);
      if (!isSafe) throw new GithubRefused("GitHub redirects to an address that is not taken", 302);
      const signal = call.signal ?? new AbortController().signal;
      return (await http({ method: "GET", url, limitBytes: TEXT_BYTES, signal })).text;
    },
  };
}

/** On a server of one's own the path of GraphQL is beside that of the rest: `/api/graphql`, `/api/v3`. */
function addressOf(apiUrl: string, path: string): string {
  return path === "/graphql" ? `${apiUrl.replace(/\/v3$/, "")}${path}` : `${apiUrl}${path}`;
}

function doesAct({ method, asks }: GithubCall): boolean {
  return method !== "GET" && !asks;
}

function parse(text: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch {
    return undefined;
  }
}

function refusal(answer: VendorAnswer, now: number): Error {
  const waitMs = askedToWait(answer, now);
  if (waitMs !== undefined) return new NotNow("GitHub asks to wait: too many requests", waitMs);
  const { status, text } = answer;
  return new GithubRefused(tellRefusal(status), status, detailsOf(text));
}

/** How long GitHub asks to wait before anything else, in ms; undefined for any other refusal. */
function askedToWait({ status, headers, text }: VendorAnswer, now: number): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const asked = pauseOf(headers, now);
  if (asked !== undefined) return asked;
  const resetS = Number(headers.get("x-ratelimit-reset") ?? Number.NaN);
  if (headers.get("x-ratelimit-remaining") === "0" && Number.isFinite(resetS))
    return Math.min(LONGEST_PAUSE_MS, Math.max(1_000, resetS * 1000 - now));
  return status === 429 || /secondary rate limit|abuse detection/i.test(text) ? PAUSE_MS : undefined;
}

function tellRefusal(status: number): string {
  switch (status) {
    case 301:
    case 307:
    case 308:
      return "it has moved at GitHub: the repository was renamed, or the issue transferred; name where it is now";
    case 401:
      return "GitHub does not take the token";
    case 403:
      return "the token may not do this at GitHub";
    case 404:
      return "there is no such thing at GitHub, or the token may not see it";
    case 410:
      return "it is gone at GitHub, or turned off for the repository";
    default:
      return `GitHub has refused it (HTTP ${status})`;
  }
}

/** What a refusal says of the request's fields: `PullRequest custom A pull request already exists for …`. */
function detailsOf(text: string): string[] {
  const { message, errors } = (parse(text) ?? {}) as { message?: unknown; errors?: unknown };
  const told = (Array.isArray(errors) ? errors : []).slice(0, 10).map((one) =>
    typeof one === "string"
      ? one
      : ["resource", "field", "code", "message"]
          .map((key) => (one as Record<string, unknown> | null)?.[key])
          .filter((part) => typeof part === "string")
          .join(" "),
  );
  return [...told, ...(typeof message === "string" ? [message] : [])].map((line) => line.slice(0, 300));
}
