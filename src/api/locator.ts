import { asSentence } from "../shared/text.js";
import type { Connection, HttpOptions, StreamCall } from "./call.js";
import { ApiError } from "./errors.js";
import { nothingDone } from "./explain/attempt.js";

/** Knows where the API is: at a fixed address, or where a look finds it. */
export interface Locator {
  /** Where the API is, as far as it is known. */
  current(): Connection;
  /** Makes sure that there is an address to send to; calls at the same time share one look. @throws ApiError */
  find(call: StreamCall): Promise<void>;
  /** Why the last look found none; undefined where it found one. */
  problem(): string | undefined;
  /** Refuses a background call that would start an API again which somebody has stopped. @throws ApiError */
  refuseRestart(call: StreamCall): void;
  /**
   * True when a request failed because nothing listens any more at an address that was found by looking. The request
   * never left, so that after another look it may be sent again.
   */
  hasMoved(error: unknown): boolean;
}

/** See {@link Locator}. Without `locate` the address is the one of the options for good. */
export function createLocator(options: Pick<HttpOptions, "baseUrl" | "apiKey" | "locate">): Locator {
  const { locate } = options;
  let connection: Connection = options;
  let locating: Promise<void> | undefined;
  let located = locate === undefined;
  let everLocated = false;
  let problem: string | undefined;

  return {
    current: () => connection,
    problem: () => problem,

    async find(call) {
      if (located || !locate) return;
      locating ??= locate()
        .then((found) => {
          connection = found;
          located = true;
          everLocated = true;
          problem = undefined;
        })
        .finally(() => {
          locating = undefined;
        });
      try {
        await locating;
      } catch (error) {
        problem = asSentence((error as Error).message);
        throw new ApiError("unreachable", `Could not ${call.doing}: ${problem} ${nothingDone(call)}`);
      }
    },

    refuseRestart(call) {
      if (located || !call.background || !everLocated) return;
      throw new ApiError(
        "unreachable",
        `Could not ${call.doing}: the API is no longer running. Nothing was done.`,
      );
    },

    hasMoved(error) {
      if (!locate || !(error instanceof ApiError) || !error.neverSent) return false;
      located = false;
      return true;
    },
  };
}
