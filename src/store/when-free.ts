import { setTimeout as delay } from "node:timers/promises";
import { type Pauses, pauseAfter } from "../shared/backoff.js";
import { StoreError } from "./store-error.js";

/** Between two tries. */
const PAUSES: Pauses = { firstMs: 1, longestMs: 25 };

/** Whether it has failed only because another process had what it needs. */
export function isBusy(error: unknown): boolean {
  return error instanceof StoreError && error.kind === "busy";
}

/**
 * Does the step, again and again while another process holds a lock that it needs.
 * @param giveUpAt by `performance.now()`
 * @throws what the step throws; StoreError (`busy`) when the lock was not given in time
 */
export async function whenFree<T>(step: () => T | Promise<T>, giveUpAt: number): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await step();
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAt) throw error;
    }
    // Random, so that two busy processes do not march in step.
    await delay(Math.random() * pauseAfter(tries, PAUSES));
  }
}
