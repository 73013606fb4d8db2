import type { ApiCapabilities } from "../api/capabilities.js";
import type { WorkflowsApi } from "../api/client.js";
import type { Run } from "../api/types.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";

export interface StreamListener {
  /** The stream is open; `gap` when something before may have been missed. */
  onOpen(gap: boolean): void;
  /** A run has changed, and is so now. */
  onRun(run: Run): void;
  /** The stream has ended, or could not be had. */
  onBreak(): void;
}

/** A stream that breaks sooner than this is not opened again at once: it would break at once again. In ms. */
const STABLE_MS = 5_000;
/** Pauses before a stream is opened again that broke or could not be had, in ms. */
const RECONNECT_MS = [0, 250, 1_000, 5_000, 15_000];

/** Keeps the API's stream of runs open while its description names one, until the signal aborts. */
export async function keepStreamOpen(
  options: {
    api: Pick<WorkflowsApi, "streamRuns">;
    capabilities: Pick<ApiCapabilities, "refresh" | "describesEndpoint" | "onChange">;
    clock: Clock;
    log: Log;
  },
  signal: AbortSignal,
  listener: StreamListener,
): Promise<void> {
  const { api, capabilities, clock, log } = options;
  let lastEventId: string | undefined;
  let failures = 0;

  async function listen(): Promise<void> {
    const resumed = lastEventId !== undefined;
    let openedAt = Number.POSITIVE_INFINITY;
    try {
      await api.streamRuns({
        signal,
        ...(lastEventId === undefined ? {} : { lastEventId }),
        onOpen(isGap, id) {
          openedAt = clock.elapsed();
          const gap = isGap || !resumed;
          // One that breaks before its first event is resumed from where it began.
          if (id !== undefined && gap) lastEventId = id;
          listener.onOpen(gap);
        },
        onRun(id, run) {
          lastEventId = id;
          listener.onRun(run);
        },
      });
    } catch (error) {
      log.debug(`The stream of events broke: ${(error as Error).message}`);
    }
    listener.onBreak();
    if (clock.elapsed() - openedAt >= STABLE_MS) failures = 0;
  }

  while (!signal.aborted) {
    const { isAway } = await capabilities.refresh();
    if (signal.aborted) return;
    if (!isAway && !capabilities.describesEndpoint("events")) {
      await untilDescribedAnew(capabilities, signal);
      continue;
    }
    if (!isAway) await listen();
    await sleep(clock, RECONNECT_MS[Math.min(failures++, RECONNECT_MS.length - 1)] ?? 0, signal);
  }
}

/** The description is read again with each list of workflows. */
function untilDescribedAnew(
  { onChange }: Pick<ApiCapabilities, "onChange">,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const stop = onChange(done);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
