import { isFinal, type Run } from "../../api/types.js";
import type { RunEvent } from "../../runs/run-events.js";
import { tellStandstill, tellTurn } from "../../runs/tell-run.js";
import { measureTurns } from "../../runs/tell-turns.js";
import type { Call } from "../define-action.js";

/** For a question whose form was left without an answer: nothing shows it any more. */
const ASK_AGAIN = "ask how it is, to answer";

/**
 * Reports the turn of a run, or what it waits for.
 * @param isLeftOpen this call asks the person for no answer any more
 */
export function reportTurn(run: Run, call: Call, isLeftOpen = false): void {
  const message = tellTurn(run, isLeftOpen ? ASK_AGAIN : undefined);
  if (message !== undefined) call.progress({ ...measureTurns(run), message });
}

/**
 * Reports what has happened to a run.
 * @param now epoch ms
 * @param complete adds what the API does not tell of the run
 * @param isLeftOpen as of `reportTurn`
 */
export function reportEvent(
  event: RunEvent,
  call: Call,
  now: number,
  complete: (run: Run) => Run,
  isLeftOpen = false,
): void {
  const run = complete(event.run);
  switch (event.type) {
    case "unreachable":
    case "stalled": {
      const message = tellStandstill(event, now);
      if (message !== undefined) call.progress({ message });
      return;
    }
    case "turn":
      reportTurn(run, call, isLeftOpen);
      return;
    case "action":
    case "status":
    // A question may have been answered.
    case "activity":
    case "question":
      // The answer tells the end, so there is no progress for a run that is over, except turns that were missed.
      if (!isFinal(run.status)) reportTurn(run, call, isLeftOpen);
  }
}
