import { setTimeout as delay } from "node:timers/promises";
import type Pg from "pg";

/** The pauses between two tries to connect, in ms: doubling between these. */
const [FIRST_PAUSE_MS, LAST_PAUSE_MS] = [50, 2_000];
/** A connection that nobody uses may end unnoticed: so often it is asked for a sign of life, in ms. */
const PROBE_MS = 15_000;

/**
 * Told what others have notified. `undefined`: the connection was made, for the first time or again, and what was
 * notified before may have been missed.
 */
export type OnNotice = (payload: string | undefined) => void;

/**
 * Listens to a channel of a PostgreSQL database, on a connection of its own that is made anew whenever it is lost, and
 * holds no process open. Notices may be lost meanwhile: they tell sooner what a look would tell as well.
 * @param connect gives a client that is not connected yet
 * @param channel lower-case letters and underscores
 * @param onNotice must not throw
 * @returns ends it; nothing is told afterwards
 */
export function keepListening(
  connect: () => Pg.Client,
  channel: string,
  onNotice: OnNotice,
  probeMs = PROBE_MS,
): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;

  /** Until the connection is lost. @returns whether there was one */
  async function listenOnce(): Promise<boolean> {
    const client = connect();
    const lost = new AbortController();
    const over = AbortSignal.any([signal, lost.signal]);
    let isConnected = false;
    client.on("error", () => lost.abort()).on("end", () => lost.abort());
    client.on("notification", ({ payload = "" }) => over.aborted || onNotice(payload));
    try {
      await client.connect();
      (client as Pg.Client & { unref(): void }).unref();
      await client.query(`listen ${channel}`);
      isConnected = true;
      if (!over.aborted) onNotice(undefined);
      for (;;) {
        await delay(probeMs, undefined, { ref: false, signal: over });
        await client.query("select 1");
      }
    } catch {
      // Its other end may be gone: nobody waits for that.
      client.end().catch(() => {});
      return isConnected;
    }
  }

  async function listen(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      pauseMs = (await listenOnce()) ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LAST_PAUSE_MS);
      await delay(pauseMs, undefined, { ref: false, signal }).catch(() => {});
    }
  }

  void listen();
  return () => stopped.abort();
}
