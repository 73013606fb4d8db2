import type { WorkflowsApi } from "../api/client.js";
import type { Run, StartRequest } from "../api/types.js";
import { setBounded } from "../shared/bounded-map.js";
import { type Clock, sleep } from "../shared/clock.js";
import { cleanLine, visibleName } from "../shared/text.js";
import type { RunWatcher } from "./run-watcher.js";

/** Pauses before the looks into the list after a lost answer, in ms: the API may take a moment to show the run. */
export const LOOKUP_PAUSES_MS = [0, 1_000, 3_000];
/** How far the API's clock may disagree with ours after its Date header (whole seconds) was taken into account. */
export const CLOCK_TOLERANCE_MS = 2_000;
/** Runs are remembered up to this number: only those of the last minutes can be taken for a new start. */
const RUNS_KNOWN = 2_000;

/** A start under way: its number among those of this process, and when it was sent, by our clock and the API's. */
interface SentStart {
  number: number;
  sentAt: number;
  apiTime: number | undefined;
}

/** Finds the runs of starts whose answers were lost, in the API's list. */
export interface LostStarts {
  /** To be called when a start is sent, and not later: the runs that are known by then are not its own. */
  begin(): SentStart;
  /** The run is known to be of a certain start, so no other start takes it for its own. */
  settle(runId: string): void;
  /** The runs in the API's list that the start can have made. @throws ApiError */
  candidates(request: StartRequest, start: SentStart): Promise<Run[]>;
  /**
   * Looks for the one run that the start has made, three times within four seconds. Never throws.
   * @param isContested another start may have made the same run, so none is taken
   * @returns the run, or why there is none: the list shows nothing, too much, or cannot be read
   */
  find(
    request: StartRequest,
    start: SentStart,
    isContested: boolean,
  ): Promise<Run | "empty" | "ambiguous" | "unreachable">;
}

/** @param options.stopped aborts when the server stops: then nothing is looked for any more */
export function createLostStarts(options: {
  api: Pick<WorkflowsApi, "listRuns" | "clockOffsetMs" | "apiTime">;
  watcher: Pick<RunWatcher, "onEvent">;
  clock: Clock;
  stopped: AbortSignal | undefined;
}): LostStarts {
  const { api, watcher, clock, stopped } = options;
  /** How many starts had been sent when each run became known here; -1 for those whose own start is settled. */
  const known = new Map<string, number>();
  let sent = 0;
  watcher.onEvent(({ run }) => {
    if (!known.has(run.runId)) setBounded(known, run.runId, sent, RUNS_KNOWN);
  });

  async function candidates(request: StartRequest, start: SentStart): Promise<Run[]> {
    // The looks are the retries: more of them would outlast the patience of clients.
    const { runs } = await api.listRuns({ workflowName: request.workflowName, retries: 0 });
    // By its own clock the API can have started it only after what it had answered before, which holds even when our
    // clock was set meanwhile.
    const since = Math.max(start.sentAt + api.clockOffsetMs(), start.apiTime ?? 0) - CLOCK_TOLERANCE_MS;
    return runs.filter(
      (run) =>
        resembles(run, request) &&
        run.startedAt !== undefined &&
        run.startedAt >= since &&
        (known.get(run.runId) ?? Number.POSITIVE_INFINITY) >= start.number,
    );
  }

  return {
    begin: () => ({ number: ++sent, sentAt: clock.now(), apiTime: api.apiTime() }),
    settle: (runId) => setBounded(known, runId, -1, RUNS_KNOWN),
    candidates,
    async find(request, start, isContested) {
      let list: "empty" | "ambiguous" | "unreachable" = "unreachable";
      for (const pause of LOOKUP_PAUSES_MS) {
        if (!(await sleep(clock, pause, stopped))) break;
        try {
          const runs = await candidates(request, start);
          const [found] = runs;
          if (found && runs.length === 1 && !isContested) return found;
          list = found ? "ambiguous" : "empty";
        } catch {
          // The list is as unreachable as the start was; the next look may fare better.
        }
      }
      return list;
    },
  };
}

/** Whether the list's entry can be the run that was asked for, as far as the list tells. */
export function resembles(run: Run, request: StartRequest): boolean {
  const { sessionName, sessionId, message } = request;
  const named =
    sessionName === undefined
      ? // The public server makes up a name that ends with the run's id; others keep a resumed session's own.
        run.sessionName === undefined ||
        run.sessionName.endsWith(run.runId) ||
        (sessionId !== undefined && run.sessionId === sessionId)
      : visibleName(run.sessionName ?? "") === visibleName(sessionName);
  const sameMessage = cleanLine(message, Number.POSITIVE_INFINITY).startsWith(run.messageStart ?? "");
  return run.workflowName === request.workflowName && named && sameMessage;
}
