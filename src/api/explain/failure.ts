import { wasSent } from "../../shared/http/fetch.js";
import { ApiError } from "../errors.js";
import { type Attempt, advice, nothingDone, outcomeOf, stopped } from "./attempt.js";
import { findCode, findRemedy } from "./remedy.js";

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
  const outcome = sent ? outcomeOf(call) : nothingDone(call);
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

const CHECK_ADDRESS = "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.";
