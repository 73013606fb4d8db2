import { lookIntoDatabase } from "../../store/database.js";
import { toEventWire } from "../http/event-wire.js";
import { toMoment, toStatus } from "../http/run-wire.js";
import { apply } from "../runs/apply.js";
import { type EngineRun, hasEnded } from "../runs/run.js";
import { readEvents, readRuns } from "../runs/run-rows.js";

/** So many of a run's newest events are read. */
const MAX_EVENTS = 5_000;

/** The runs of an engine that is not running, in the words of its API. */
export interface StoredRuns {
  /** As `GET /run/{run_id}/status?debug=true` tells them, newest first. */
  statuses: unknown[];
  /** The events of the run that was asked for, as its stream tells them, oldest first. */
  events: unknown[];
}

/**
 * Reads what an engine has stored in the state folder, while none is running. A run that was going on when the engine
 * went away is told as interrupted, which the next engine writes down. Changes nothing.
 * @param options.now epoch ms
 * @param options.eventsOf the id of a run whose events are wanted
 * @throws StoreError when the database cannot be read
 */
export async function readStoredRuns(
  stateFolder: string,
  options: { now: number; eventsOf?: string },
): Promise<StoredRuns> {
  const { now, eventsOf } = options;
  const none: StoredRuns = { statuses: [], events: [] };
  return lookIntoDatabase(stateFolder, "engine_runs", none, async (database) => {
    const runs = (await readRuns(database)).map(({ run }) => endInterrupted(run, now)).reverse();
    const events =
      eventsOf === undefined
        ? []
        : await readEvents(database, { after: 0, runId: eventsOf, limit: MAX_EVENTS });
    return {
      statuses: runs.map((run) => ({ ...toStatus(run, now, true), request_message: run.request.message })),
      events: events.flatMap((event) => {
        const wire = toEventWire(event);
        return wire ? [{ ...wire, at: toMoment(event.at), run_id: event.runId }] : [];
      }),
    };
  });
}

/** A run that waits for its turn is carried out by the next engine; one that had begun is not. */
function endInterrupted(run: EngineRun, now: number): EngineRun {
  if (run.status === "pending" || hasEnded(run)) return run;
  const error =
    "The engine went away while the run was going on. The conversation is kept, and so is the worktree; the next engine brings what is committed there to the repository.";
  return apply(run, { type: "ended", status: "interrupted", error, at: run.lastActivityAt ?? now });
}
