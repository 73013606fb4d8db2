import { ApiError } from "../errors.js";
import { parseRefusal, saysNotStarted, saysStaleKey } from "../wire/refusal.js";
import { type Attempt, advice, nothingDone, outcomeOf, unexpected } from "./attempt.js";
import { HOW_TO_AUTHORIZE, WANTS_USER } from "./proxy.js";

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
        `${nothingDone(call)} To give them, ${HOW_TO_AUTHORIZE}`,
      details,
    );
  }
  if (call.acts && saysNotStarted(answer.body)) {
    return new ApiError(
      "refused",
      `Could not ${call.doing}: the workflows API cannot do it now (HTTP ${status}${said}). ${nothingDone(call)} ` +
        "Put right what it names and try again.",
      { ...details, staleKey: saysStaleKey(answer.body) },
    );
  }
  if (status === 401 || status === 403) {
    return new ApiError(
      "unauthorised",
      `Could not ${call.doing}: the workflows API refused the key (HTTP ${status}${said}). ${nothingDone(call)} ` +
        refusedKeyAdvice,
      details,
    );
  }
  if (status === 404) {
    return new ApiError(
      "not_found",
      `Could not ${call.doing}: the workflows API does not know it (HTTP 404${said}). ${nothingDone(call)} ` +
        "Check the name or id, and that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.",
      details,
    );
  }
  if (status === 429) {
    const wait = parseRetryAfter(headers, now);
    return new ApiError(
      "rate_limited",
      `Could not ${call.doing}: the workflows API asks for fewer requests (HTTP 429${said}). ${nothingDone(call)} ` +
        `Try again ${wait === undefined ? "in a while" : `in ${Math.ceil(wait / 1000)} s`}.`,
      { ...details, ...(wait === undefined ? {} : { retryAfterMs: wait }) },
    );
  }
  // A time-out that the server or a proxy reports says as little as a fault about what was done.
  if (status >= 500 || status === 408 || status === 425 || status === 499) {
    const wait = parseRetryAfter(headers, now);
    return new ApiError(
      "server_fault",
      `Could not ${call.doing}: the workflows API failed (HTTP ${status}${said}). ${outcomeOf(call)} ${advice(call)}` +
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
      `Could not ${call.doing}: the workflows API refused it (HTTP ${status}${said}). ${nothingDone(call)} ` +
        "Put right what it names and try again.",
      details,
    );
  }
  const target = headers.get("location") ?? "";
  const toTls = /^https:\/\//i.test(target) ? ", apparently to an https:// address" : "";
  return unexpected(call, status, `a redirect or an answer without content${toTls}`);
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
