import { ApiError, type Outage } from "../errors.js";
import type { Attempt } from "./attempt.js";

/**
 * A poll that was not sent because the API is known to be down.
 * @param problem why there is none, where one was looked for
 */
export function heldBack(
  call: Attempt,
  { baseUrl, problem }: { baseUrl: string; problem: string | undefined },
  outage: Outage,
  now: number,
): ApiError {
  // Another call may be trying already, so never at once.
  const when = { retryAfterMs: Math.max(MIN_PAUSE_MS, outage.nextTryMs - now), outage };
  if (problem !== undefined)
    return new ApiError(
      "unreachable",
      `Could not ${call.doing}: ${problem} Nothing was sent. It is tried again ${tellNext(outage, now)}.`,
      when,
    );
  return new ApiError(
    "unreachable",
    `Could not ${call.doing}: the workflows API at ${baseUrl} is not answering. Nothing was sent. ` +
      `${tellOutage(outage, now)} ` +
      "Check that the API is running and that AUTOMAGIK_WORKFLOWS_BASE_URL is its address.",
    when,
  );
}

const MIN_PAUSE_MS = 250;

/**
 * The same failure, which also tells of the outage that it is part of.
 * @param problem why there is no API that could have been silent; the failure has told it
 */
export function withOutage(
  error: ApiError,
  problem: string | undefined,
  outage: Outage,
  now: number,
): ApiError {
  if (problem !== undefined) return Object.assign(error, { outage });
  return Object.assign(error, { message: `${error.message} ${tellOutage(outage, now)}`, outage });
}

/** "The API has not answered since 2026-11-25T12:00:00.000Z, trying again in 4 s." */
export function tellOutage(outage: Outage, now: number): string {
  return `The API has not answered since ${new Date(outage.sinceMs).toISOString()}, trying again ${tellNext(outage, now)}.`;
}

function tellNext({ nextTryMs }: Outage, now: number): string {
  const seconds = Math.ceil((nextTryMs - now) / 1000);
  return seconds > 0 ? `in ${seconds} s` : "now";
}
