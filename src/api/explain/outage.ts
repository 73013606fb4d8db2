import { ApiError, type Outage } from "../errors.js";
import type { Attempt } from "./attempt.js";

/** A poll that was not sent because the API is known to be down. */
export function heldBack(call: Attempt, baseUrl: string, outage: Outage, now: number): ApiError {
  return new ApiError(
    "unreachable",
    `Could not ${call.doing}: the workflows API at ${baseUrl} is not answering. Nothing was sent. ` +
      `${tellOutage(outage, now)} ` +
      "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.",
    // Another call may be trying already, so never at once.
    { retryAfterMs: Math.max(MIN_PAUSE_MS, outage.nextTryMs - now), outage },
  );
}

const MIN_PAUSE_MS = 250;

/** The same failure, which also tells of the outage that it is part of. */
export function withOutage(error: ApiError, outage: Outage, now: number): ApiError {
  return Object.assign(error, { message: `${error.message} ${tellOutage(outage, now)}`, outage });
}

/** "The API has not answered since 2026-11-25T12:00:00.000Z, trying again in 4 s." */
export function tellOutage({ sinceMs, nextTryMs }: Outage, now: number): string {
  const seconds = Math.ceil((nextTryMs - now) / 1000);
  const next = seconds > 0 ? `trying again in ${seconds} s` : "trying again now";
  return `The API has not answered since ${new Date(sinceMs).toISOString()}, ${next}.`;
}
