import { tellOutage } from "../api/explain/outage.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import { cleanLine } from "../shared/text.js";
import type { RunEvent } from "./run-events.js";
import { tellTurns } from "./tell-turns.js";

/** How many characters of a question are shown. */
const ASKED_CHARACTERS = 120;

/**
 * What a run does at the moment: "Turn 3/10: Designing database schema", or "Turn 3 of about 12: …" where it is known
 * what is usual, as much of it as is known, or what the agent waits for; undefined when that is nothing.
 * @param howToAnswer how the person comes to what is asked, where no form shows it
 */
export function tellTurn(run: Run, howToAnswer?: string): string | undefined {
  const { status } = run;
  const waiting = isFinal(status) ? undefined : tellAsked(openQuestions(run), howToAnswer);
  const currentAction = waiting ?? run.currentAction;
  const turns = tellTurns(run, (turn, maxTurns) => `${turn}/${maxTurns}`);
  if (turns !== undefined) return `Turn ${turns}${currentAction ? `: ${currentAction}` : ""}`;
  return currentAction ?? (status === "running" || status === "unknown" ? undefined : status);
}

/** "Waiting for permission since 12:00:05 UTC: implement wants to run `npm test`" */
function tellAsked(
  [question, ...more]: readonly RunQuestion[],
  howToAnswer: string | undefined,
): string | undefined {
  if (!question) return undefined;
  const { kind, text, askedAt } = question;
  const since = askedAt === undefined ? "" : ` since ${new Date(askedAt).toISOString().slice(11, 19)} UTC`;
  const others = more.length > 0 ? ` (and ${more.length} more)` : "";
  const how = howToAnswer === undefined ? "" : ` (${howToAnswer})`;
  return `Waiting for ${kind === "permission" ? "permission" : "an answer"}${since}${how}: ${cleanLine(text, ASKED_CHARACTERS)}${others}`;
}

/**
 * The same for an event that keeps a run from being seen, or says that it stands still; undefined for any other.
 * @param now epoch ms
 */
export function tellStandstill(event: RunEvent, now: number): string | undefined {
  if (event.type === "unreachable") {
    const { outage } = event.error;
    return outage ? tellOutage(outage, now) : "The API does not answer; trying again";
  }
  if (event.type === "stalled") return `Nothing has changed for ${Math.round(event.quietMs / 60_000)} min`;
  return undefined;
}
