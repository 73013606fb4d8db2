import { isFinal, openQuestions, type Run, type RunQuestion } from "../../api/types.js";
import type { RunEvent } from "../../runs/run-events.js";
import type { FollowEnd } from "../../runs/run-follower.js";
import { tellStandstill, tellTurn } from "../../runs/tell-run.js";
import { measureTurns } from "../../runs/tell-turns.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { askClaimedQuestion } from "../forms/agent-questions.js";
import { answerFollowEnd } from "./answer-follow-end.js";
import { expectTurns } from "./expect-turns.js";
import { resolveWaitMs } from "./wait-budget.js";

/** For a question whose form was left without an answer: nothing shows it any more. */
const ASK_AGAIN = "ask how it is, to answer";

interface FollowOptions {
  /** Seconds to wait; undefined leaves it to what the client can bear. */
  waitSeconds: number | undefined;
  detailed?: boolean;
  /** What is said before the rest: how the run was started, for instance. */
  preface?: string;
}

/** Follows a run with progress as long as the call may, and answers with its status then. */
export async function followRun(
  seed: Run,
  options: FollowOptions,
  call: Call,
  services: Services,
): Promise<Answer> {
  call.follows({ kind: "run", id: seed.runId });
  const { end, notes } = await followAndAsk(seed, options.waitSeconds, call, services);
  return answerFollowEnd(end, { ...options, notes }, call, services);
}

/**
 * Follows a run and puts the questions of its agent to the person. Ends with `asked` only where the client has no
 * forms.
 * @returns beside the end, sentences about answers of the person that did not count
 */
async function followAndAsk(
  seed: Run,
  waitSeconds: number | undefined,
  call: Call,
  services: Services,
): Promise<{ end: FollowEnd; notes: string[] }> {
  const { runs, clock, watcher, capabilities, claimedQuestions, notices } = services;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, waitSeconds);
  const until = waitMs === undefined ? undefined : clock.elapsed() + waitMs;
  // If another call watches the run already, the next event may be long in coming: begin with what is known.
  const known = watcher.latest(seed.runId);
  const { complete } = expectTurns(known ?? seed, services);
  if (known && (known.turn || known.waitsForSlot) && !isFinal(known.status))
    reportTurn(complete(known), call);
  const notes: string[] = [];
  /** Questions that this call asks no more: the person has answered or closed them, or another call asks them. */
  const settled = new Set<string>();
  /** Those of them that the person has left without an answer. */
  const leftOpen = new Set<string>();
  const isLeftOpen = (run: Run) => leftOpen.has(openQuestions(run)[0]?.questionId ?? "");
  /** Two calls on one run must not ask the person the same thing twice, so the first one claims it. */
  function takesQuestion(question: RunQuestion): boolean {
    if (settled.has(question.questionId)) return false;
    settled.add(question.questionId);
    // Without this endpoint the person's answer could not be given to the agent.
    return capabilities.hasEndpoint("answer") && claimedQuestions.claim(seed.runId, question);
  }
  for (;;) {
    const followed = await runs.follow(seed, {
      waitMs: until === undefined ? undefined : Math.max(0, until - clock.elapsed()),
      signal: call.signal,
      onEvent: (event) => reportEvent(event, call, clock.now(), complete, isLeftOpen(event.run)),
      takesQuestion,
    });
    const end: FollowEnd = { ...followed, run: complete(followed.run) };
    // Whose call is over without a word of the run has not been told.
    if (end.why !== "stopped") notices.saw(end.run);
    if (end.why !== "asked") return { end, notes };
    const { result, note } = await askClaimedQuestion(end.run, end.question, call, services);
    if (note) notes.push(note);
    if (result === "nobody") return { end, notes };
    if (result === "left_open") leftOpen.add(end.question.questionId);
    // The last progress that the person has seen says that a form is open.
    const now = watcher.latest(seed.runId) ?? end.run;
    reportTurn(complete(now), call, isLeftOpen(now));
  }
}

/**
 * Reports the turn of a run, or what it waits for.
 * @param isLeftOpen this call asks the person for no answer any more
 */
function reportTurn(run: Run, call: Call, isLeftOpen = false): void {
  const message = tellTurn(run, isLeftOpen ? ASK_AGAIN : undefined);
  if (message !== undefined) call.progress({ ...measureTurns(run), message });
}

/**
 * Reports what has happened to a run.
 * @param now epoch ms
 * @param complete adds what the API does not tell of the run
 * @param isLeftOpen as of `reportTurn`
 */
function reportEvent(
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
