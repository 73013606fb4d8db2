import { tellOutage } from "../../api/explain/outage.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../../api/types.js";
import type { RunEvent } from "../../runs/run-events.js";
import { cleanLine } from "../../shared/text.js";
import type { Call } from "../define-action.js";
import { measureTurns, tellTurns } from "../tell-turns.js";

/** How many characters of a question a progress message shows. */
const ASKED_CHARACTERS = 120;

/**
 * "Turn 3/10: Designing database schema", or "Turn 3 of about 12: …" where it is known what is usual, as much of it as is
 * known, or what the agent waits for; undefined when that is nothing.
 */
function tellTurn(run: Run): string | undefined {
  const { status } = run;
  const waiting = isFinal(status) ? undefined : tellAsked(openQuestions(run));
  const currentAction = waiting ?? run.currentAction;
  const turns = tellTurns(run, (turn, maxTurns) => `${turn}/${maxTurns}`);
  if (turns !== undefined) return `Turn ${turns}${currentAction ? `: ${currentAction}` : ""}`;
  return currentAction ?? (status === "running" || status === "unknown" ? undefined : status);
}

/** "Waiting for permission since 12:00:05 UTC: implement wants to run `npm test`" */
function tellAsked([question, ...more]: readonly RunQuestion[]): string | undefined {
  if (!question) return undefined;
  const { kind, text, askedAt } = question;
  const since = askedAt === undefined ? "" : ` since ${new Date(askedAt).toISOString().slice(11, 19)} UTC`;
  const others = more.length > 0 ? ` (and ${more.length} more)` : "";
  return `Waiting for ${kind === "permission" ? "permission" : "an answer"}${since}: ${cleanLine(text, ASKED_CHARACTERS)}${others}`;
}

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
    case "unreachable": {
      const { outage } = event.error;
      call.progress({ message: outage ? tellOutage(outage, now) : "The API does not answer; trying again" });
      return;
    }
    case "stalled":
      call.progress({ message: `Nothing has changed for ${Math.round(event.quietMs / 60_000)} min` });
      return;
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
