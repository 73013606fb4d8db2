import { follow } from "../../src/shared/abort.js";
import type { SteadyTime } from "./steady-time.js";

/** A connection that nobody uses may stay open for so long after the server has closed, in real ms. */
const IDLE_SOCKET_MS = 5_500;

/** What is wrong with the connections some seconds after a server has closed. */
export async function connectionsAreGone(
  api: { connections(): string[] },
  time: SteadyTime,
): Promise<string[]> {
  const until = time.now() + IDLE_SOCKET_MS;
  while (api.connections().length > 0 && time.now() < until) await pause(100);
  return api.connections().map((asked) => `a connection is left after closing: ${asked}`);
}

/** A request that was given up may still be seen for so long, in real ms. */
const BUSY_SOCKET_MS = 1_000;

/** Which requests the API still answers a moment after a server has closed. */
export async function requestsAreGone(api: { busy(): string[] }, time: SteadyTime): Promise<string[]> {
  const until = time.now() + BUSY_SOCKET_MS;
  while (api.busy().length > 0 && time.now() < until) await pause(20);
  return api.busy().map((request) => `a request is left after closing: ${request}`);
}

/** Whether the work is over within the time, by the steady time. */
export async function isOverWithin(work: Promise<unknown>, ms: number, time: SteadyTime): Promise<boolean> {
  const over = new AbortController();
  const done = work.then(() => {
    over.abort();
    return true;
  });
  return Promise.race([done, steadyPause(time, ms, over.signal).then(() => over.signal.aborted)]);
}

/** Waits so long by the steady time, or until the signal ends, in ms. */
export async function steadyPause(time: SteadyTime, ms: number, signal?: AbortSignal): Promise<void> {
  const until = time.now() + ms;
  for (let left = ms; left > 0 && !signal?.aborted; left = until - time.now())
    await pause(Math.min(left, 20));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Longer than any work that is given up by the steady time, in real ms: what a library is told where it wants a limit. */
export const UNLIMITED_MS = 24 * 3_600_000;

/**
 * Gives the work up after so long, by the steady time: a machine that stands still is no fault of the work's.
 * @param signal gives it up as well
 */
export async function withPatience<T>(
  time: SteadyTime,
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const until = time.now() + ms;
  let timer: NodeJS.Timeout | undefined;
  function look(): void {
    const left = until - time.now();
    if (left <= 0) late.abort(new Error(`Request timed out after ${Math.round(ms)} ms.`));
    else timer = setTimeout(look, left);
  }
  look();
  // Not by `AbortSignal.any`: the SDK's client leaves a listener on what it gets, which would keep the client for ever.
  const stopFollowing = follow(signal, late);
  try {
    return await work(late.signal);
  } finally {
    stopFollowing();
    clearTimeout(timer);
  }
}
