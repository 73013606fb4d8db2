import { cleanLine } from "../../shared/text.js";
import { ApiError } from "../errors.js";

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

/** A call that was called off. @param sent whether its request may have gone out by then */
export function stopped(call: Attempt, sent = true): ApiError {
  const outcome = sent ? outcomeOf(call) : nothingDone(call);
  return new ApiError("aborted", `Stopped while trying to ${call.doing}. ${outcome}`, {
    mayHaveActed: call.acts === true && sent,
  });
}

/** An answer that no workflows API gives. @param what what came instead */
export function unexpected(call: Attempt, status: number, what: string): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: the address answered HTTP ${status} with ${cleanLine(what)}, so it is not ` +
      `a workflows API. ${outcomeOf(call)} Check that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.`,
    { status, mayHaveActed: call.acts === true },
  );
}

/** An answer of an API that may have told of others' runs. @param address where it is */
export function notApart(call: Attempt, address: string): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: this server keeps its callers apart (HTTP_CALLERS), and the workflows API at ${address} does ` +
      `not: only an engine of this release or a later one does. ${outcomeOf(call)} Whoever runs this server has to set ` +
      "another BASE_URL, or HTTP_CALLERS=shared.",
    { mayHaveActed: call.acts === true },
  );
}

/** An answer that is longer than what is read of it. */
export function tooLarge(call: Attempt, status: number, limitBytes: number): ApiError {
  return new ApiError(
    "unexpected",
    `Could not ${call.doing}: the response (HTTP ${status}) exceeds the size limit of ${limitBytes / 1024} KiB. ` +
      `${outcomeOf(call)} ` +
      (call.acts
        ? "Find out what has become of it before trying again."
        : "Report it to the API's operator."),
    { status, mayHaveActed: call.acts === true },
  );
}

/** What to say of a call that certainly came to nothing. */
export function nothingDone(call: Attempt): string {
  return call.starts ? "Not started; nothing was charged." : "Nothing was done.";
}

/** What to say of a call that may have reached the API. */
export function outcomeOf(call: Attempt): string {
  return call.acts ? "It is not known whether the API has acted on it." : "Nothing was changed.";
}

/** What to do after a call that may have reached the API. */
export function advice(call: Attempt): string {
  return call.acts ? "Find out before trying again." : "Try again in a while.";
}
