import { tellOutage } from "../../api/explain/outage.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../../api/types.js";
import type { RunEvent } from "../../runs/run-events.js";
import { cleanLine } from "../../shared/text.js";
import type { Call } from "../define-action.js";

/** How many characters of a question a progress message shows. */
const ASKED_CHARACTERS = 120;

/**
 * "Turn 3/10: Designing database schema", as much of it as is known, or what the agent waits for; undefined when that
 * is nothing.
 */
function tellTurn(run: Run): string | undefined {
  const { turn, maxTurns, status } = run;
  const waiting = isFinal(status) ? undefined : tellAsked(openQuestions(run));
  const currentAction = waiting ?? run.currentAction;
  if (turn) {
    return `Turn ${turn}${maxTurns === undefined ? "" : `/${maxTurns}`}${currentAction ? `: ${currentAction}` : ""}`;
  }
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

/** Reports the turn of a run, or what its agent waits for. */
export function reportTurn(run: Run, call: Call): void {
  const message = tellTurn(run);
  if (message === undefined) return;
  const total = run.maxTurns;
  call.progress({ progress: run.turn ?? 0, message, ...(total === undefined ? {} : { total }) });
}

/** Reports what has happened to a run. @param now epoch ms */
export function reportEvent(event: RunEvent, call: Call, now: number): void {
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
      reportTurn(event.run, call);
      return;
    case "action":
    case "status":
    // A question may have been answered.
    case "activity":
    case "question":
      // The answer tells the end, so there is no progress for a run that is over, except turns that were missed.
      if (!isFinal(event.run.status)) reportTurn(event.run, call);
  }
}
