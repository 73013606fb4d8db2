import { isFinal, type Run } from "../../api/types.js";
import type { RunEvent } from "../../runs/run-events.js";
import { tellStandstill, tellTurn } from "../../runs/tell-run.js";
import { measureTurns } from "../../runs/tell-turns.js";
import type { Call } from "../define-action.js";

/** Reports the turn of a run, or what it waits for. */
export function reportTurn(run: Run, call: Call): void {
  const message = tellTurn(run);
  if (message !== undefined) call.progress({ ...measureTurns(run), message });
}

/**
 * Reports what has happened to a run.
 * @param now epoch ms
 * @param complete adds what the API does not tell of the run
 */
export function reportEvent(event: RunEvent, call: Call, now: number, complete: (run: Run) => Run): void {
  const run = complete(event.run);
  switch (event.type) {
    case "unreachable":
    case "stalled": {
      const message = tellStandstill(event, now);
      if (message !== undefined) call.progress({ message });
      return;
    }
    case "turn":
      reportTurn(run, call);
      return;
    case "action":
    case "status":
    // A question may have been answered.
    case "activity":
    case "question":
      // The answer tells the end, so there is no progress for a run that is over, except turns that were missed.
      if (!isFinal(run.status)) reportTurn(run, call);
  }
}
