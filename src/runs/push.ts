import type { Offer } from "../api/capabilities.js";
import type { WorkflowsApi } from "../api/client.js";
import type { Run } from "../api/types.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";

/** News of runs as the API sends them, where it offers that. */
export interface Push {
  /** True while the stream stands: then every change arrives by itself and nothing has to be asked. */
  live(): boolean;
  /** Every picture of a run that arrives. */
  onRun(listener: (run: Run) => void): () => void;
  /** The stream stands again, or has broken; `gap` when something in between may have been missed. */
  onChange(listener: (state: { live: boolean; gap: boolean }) => void): () => void;
  /** Looks whether the API offers a stream, and keeps it open until closed. */
  start(): void;
  close(): void;
}

/** A stream that breaks sooner than this has not stood, in ms: opened again at once, it would break at once again. */
const STOOD_MS = 5_000;
/** Pauses before a stream is opened again that broke or could not be had, in ms: at once first, then slower. */
const RECONNECT_MS = [0, 250, 1_000, 5_000, 15_000];
/** An API without a stream is asked again after this long, in ms, or when its description has changed. */
const ASK_AGAIN_MS = 10 * 60_000;

export function createPush(options: {
  api: Pick<WorkflowsApi, "streamRuns">;
  offer: Pick<Offer, "refresh" | "describes" | "onChange">;
  clock: Clock;
  log: Log;
}): Push {
  const { api, offer, clock, log } = options;
  const closing = new AbortController();
  const runListeners = new Set<(run: Run) => void>();
  const stateListeners = new Set<(state: { live: boolean; gap: boolean }) => void>();
  let live = false;
  let lastEventId: string | undefined;

  function change(next: boolean, gap: boolean): void {
    if (live === next && !gap) return;
    live = next;
    for (const listener of [...stateListeners]) listener({ live, gap });
  }

  /** Listens until the stream ends or breaks. @returns how long it stood, in ms */
  async function listen(): Promise<number> {
    const resumed = lastEventId !== undefined;
    let openedAt: number | undefined;
    try {
      await api.streamRuns({
        signal: closing.signal,
        ...(lastEventId === undefined ? {} : { lastEventId }),
        onOpen(gap, id) {
          openedAt = clock.now();
          // Where it begins: one that breaks before its first event resumes from there.
          if (id !== undefined && (gap || !resumed)) lastEventId = id;
          // Opened for the first time, everything before is unknown; resumed, only what the API says is missing.
          change(true, gap || !resumed);
        },
        onRun(id, run) {
          lastEventId = id;
          for (const listener of [...runListeners]) listener(run);
        },
      });
    } catch (error) {
      log.debug(`The stream of events broke: ${(error as Error).message}`);
    }
    change(false, false);
    return openedAt === undefined ? 0 : clock.now() - openedAt;
  }

  async function untilDescribed(): Promise<void> {
    const described = new AbortController();
    const stop = offer.onChange(() => {
      if (offer.describes("events")) described.abort();
    });
    await sleep(clock, ASK_AGAIN_MS, AbortSignal.any([closing.signal, described.signal]));
    stop();
  }

  async function keepOpen(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      const { isAway } = await offer.refresh();
      if (closing.signal.aborted) return;
      const offered = !isAway && offer.describes("events");
      if (!isAway && !offered) {
        await untilDescribed();
        continue;
      }
      if (offered && (await listen()) >= STOOD_MS) failures = 0;
      const pause = RECONNECT_MS[Math.min(failures++, RECONNECT_MS.length - 1)] ?? 0;
      await sleep(clock, pause, closing.signal);
    }
  }

  return {
    live: () => live,
    onRun(listener) {
      runListeners.add(listener);
      return () => runListeners.delete(listener);
    },
    onChange(listener) {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    start() {
      void keepOpen();
    },
    close() {
      closing.abort();
      runListeners.clear();
      stateListeners.clear();
    },
  };
}
