import type { Log } from "../shared/log.js";

/** How long the API has not answered, as far as requests have shown. Times are epoch ms by our clock. */
export interface Outage {
  /** When the first request in a row failed. */
  sinceMs: number;
  /** When pollers are let through again. */
  nextTryMs: number;
}

/** What went wrong between us and the API. */
export type ApiErrorKind =
  | "no_key"
  | "unreachable"
  | "unauthorised"
  | "not_found"
  | "refused"
  | "rate_limited"
  | "server_fault"
  | "unexpected"
  | "aborted";

/**
 * A call to the workflows API that brought no usable answer. The message is worded for a person: what was tried,
 * what the API said, what was and was not done, what to do now. It never carries a key, a header or a stack.
 */
export class ApiError extends Error {
  override name = "ApiError";
  readonly kind: ApiErrorKind;
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The API's own words, cleaned and cut. */
  readonly reason: string | undefined;
  /** How long the API asked to wait, in ms. */
  readonly retryAfterMs: number | undefined;
  /** False when the API has certainly not acted; true when it may have (connection lost, time-out, 5xx). */
  readonly mayHaveActed: boolean;
  /** True when the request certainly never left: nobody listens at the address. */
  readonly neverSent: boolean;
  /** True when a start was refused because keys begin with something else now. */
  readonly staleKey: boolean;
  /** The outage that the message tells of. */
  readonly outage: Outage | undefined;

  constructor(
    kind: ApiErrorKind,
    message: string,
    details: {
      status?: number;
      reason?: string;
      retryAfterMs?: number;
      mayHaveActed?: boolean;
      neverSent?: boolean;
      staleKey?: boolean;
      outage?: Outage;
    } = {},
  ) {
    super(message);
    this.kind = kind;
    this.status = details.status;
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
    this.mayHaveActed = details.mayHaveActed ?? false;
    this.neverSent = details.neverSent ?? false;
    this.staleKey = details.staleKey ?? false;
    this.outage = details.outage;
  }
}

/**
 * What was thrown on the way to the API, as an ApiError. Anything else is a defect of ours: its text may hold
 * anything, so it goes to the log only.
 */
export function toApiError(thrown: unknown, log: Log): ApiError {
  if (thrown instanceof ApiError) return thrown;
  log.error(`A request failed: ${(thrown as Error).message}`);
  return new ApiError("unexpected", "Internal error in this server. The request is sent again.");
}

/** True when trying the same read again later may help. */
export function isPassing(error: ApiError): boolean {
  return error.kind === "unreachable" || error.kind === "rate_limited" || error.kind === "server_fault";
}
