import type { ApiError } from "../api/errors.js";
import { tellOutage } from "../api/explain/outage.js";
import { isFinal, openQuestions, type Run, type RunQuestion } from "../api/types.js";
import type { RunEvent } from "../runs/run-events.js";
import { type FollowEnd, outcomeOf, refusedResume } from "../runs/runs.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import { cleanLine } from "../shared/text.js";
import type { Answer, NextStep } from "./answer.js";
import { answerStep, bringTaken, tellQuestion, tellWaiting } from "./ask-for-agent.js";
import type { Call, Services } from "./define-action.js";
import { describeRun, nameRun, tellEnd, tellPosition } from "./describe-run.js";
import { resolveWaitMs } from "./wait-budget.js";

interface FollowOptions {
  /** Seconds to wait; undefined leaves it to what the client can bear. */
  waitSeconds: number | undefined;
  detailed?: boolean;
  /** What is said before the news of the run: how it was started, for instance. */
  preface?: string;
}

/** Follows a run with progress as long as the call may, and tells how it stands then. */
export async function followRun(
  seed: Run,
  options: FollowOptions,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { runs, clock } = services;
  const { end, notes } = await followAndAsk(seed, options.waitSeconds, call, services);
  // What was just named in the preface is not named again.
  const it = options.preface ? "It" : `The ${nameRun(end.run)}`;
  const say = (text: string) => [options.preface, text, ...notes].filter(Boolean).join(" ");
  const describe = (run: Run) =>
    describeRun(run, { now: clock.now(), ...(options.detailed ? { detailed: true } : {}) });
  switch (end.why) {
    case "asked":
      return {
        outcome: "input_required",
        summary: say(
          `${it} waits for an answer: ${tellQuestion(end.question)}. Nobody could be asked by a form; ask the person.`,
        ),
        run: describe(end.run),
        ...answerStep(end.run),
      };
    case "finished": {
      const run = await runs.explain(end.run);
      return {
        outcome: outcomeOf(run),
        // That it was started, which comes before other news, is not so.
        summary: run.neverStarted
          ? [tellEnd(run), ...notes, afterNoStart(run)].join(" ")
          : say(tellEnd(run, it)),
        run: describe(run),
        ...nextAfterEnd(run),
      };
    }
    case "stalled":
      return {
        outcome: "stalled",
        summary: say(tellStall(end.run, end.quietMs, services, it)),
        run: describe(end.run),
        next: watchAgain(end.run, "Look again later; kill it when it stays like this."),
      };
    case "lost": {
      const never = end.run.status === "unknown";
      return {
        outcome: "unknown",
        summary: say(
          never
            ? `The API does not know the ${nameRun(end.run)}. ${end.error.message}`
            : `The API no longer knows the ${nameRun(end.run)}: ${end.error.message} How it ended is not known.`,
        ),
        run: describe(end.run),
        next: {
          action: "list_sessions",
          arguments: { active_only: false },
          reason: "See which runs the API knows.",
        },
      };
    }
    case "unreachable":
      return {
        outcome: outcomeOf(end.run),
        summary: say(tellSilence(end.run, end.error, undefined, it)),
        run: describe(end.run),
        next: watchAgain(end.run, "Ask again when the API is back."),
      };
    case "stopped":
      return {
        outcome: outcomeOf(end.run),
        summary: say(
          `${call.isStopping() ? "This server is stopping" : "The call was ended"}; the run continues as ` +
            `${end.run.runId} (${nameRun(end.run)}).`,
        ),
        run: describe(end.run),
        next: watchAgain(end.run, "Pick the run up again."),
      };
    case "waited": {
      const position = tellPosition(end.run);
      return {
        outcome: outcomeOf(end.run),
        summary: say(
          end.error
            ? tellSilence(end.run, end.error, end.errorSince, it)
            : end.run.status === "unknown"
              ? `The API has not told yet how the ${nameRun(end.run)} stands.`
              : `${it} is ${end.run.status}${position ? `: ${position}` : ""}.${tellWaiting(end.run)}`,
        ),
        run: describe(end.run),
        next: watchAgain(end.run, "Follow the run further; it goes on by itself."),
        ...answerStep(end.run),
      };
    }
  }
}

/**
 * That a run stands still, what was last seen of it, and what to try.
 * @param it what the sentence is about, capitalised
 */
export function tellStall(run: Run, quietMs: number, services: Services, it = `The ${nameRun(run)}`): string {
  const minutes = Math.round(quietMs / 6_000) / 10;
  const seen = tellPosition(run) || "no turn at all";
  const alive =
    run.lastActivityAt === undefined ? "" : `, last active at ${new Date(run.lastActivityAt).toISOString()}`;
  const advice =
    (run.turn ?? 0) === 0 && services.settings.inputFormat === "stream-json"
      ? " If this is the public Automagik server, it never gets further with stream-json: kill the run and set AUTOMAGIK_WORKFLOWS_INPUT_FORMAT=text."
      : "";
  return `${it} is ${run.status}, but nothing has changed for ${minutes} minutes (last seen: ${seen}${alive}). It was not stopped.${advice}`;
}

/** What is known of a run when the API does not answer: how it stood when it last did. */
function tellSilence(run: Run, error: ApiError, since: number | undefined, it: string): string {
  const stood =
    run.status === "unknown"
      ? `Nothing is known of the ${nameRun(run)}`
      : `${it} was ${run.status} when the API last answered`;
  // An outage that is known for what it is, is told by the message.
  if (error.outage) return `${stood}. ${error.message} The run may go on without us.`;
  const from = since === undefined ? "" : ` since ${new Date(since).toISOString()}`;
  return `${stood}; it has not answered${from}: ${error.message} The run may go on without us.`;
}

/**
 * Follows a run and brings what its agent asks to the person on the way. Ends with `asked` only where the client has
 * no forms.
 * @returns beside the end, what is to be said of answers that did not count
 */
async function followAndAsk(
  seed: Run,
  waitSeconds: number | undefined,
  call: Call,
  services: Services,
): Promise<{ end: FollowEnd; notes: string[] }> {
  const { runs, clock, feed, offer, questionsInHand } = services;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, waitSeconds);
  const until = waitMs === undefined ? undefined : clock.now() + waitMs;
  // Where another call watches already, the next event may be long in coming.
  const known = feed.latest(seed.runId);
  if (known?.turn && !isFinal(known.status)) reportTurn(known, call);
  const notes: string[] = [];
  /** Left open by the person in this call, answered, or another call's: not to be brought up here. */
  const settled = new Set<string>();
  /** Two calls on one run must not ask the person the same thing twice, so the first one takes it. */
  function takesQuestion(question: RunQuestion): boolean {
    if (settled.has(question.questionId)) return false;
    settled.add(question.questionId);
    // Nor is the person asked for what could not be given to the agent.
    return offer.has("answer") && questionsInHand.take(seed.runId, question);
  }
  for (;;) {
    const end = await runs.follow(seed, {
      // Within the wait in any case, even when the clock was set back.
      waitMs:
        until === undefined || waitMs === undefined
          ? undefined
          : Math.min(waitMs, Math.max(0, until - clock.now())),
      signal: call.signal,
      onEvent: (event) => reportEvent(event, call, clock.now()),
      takesQuestion,
    });
    if (end.why !== "asked") return { end, notes };
    const { brought, note } = await bringTaken(end.run, end.question, call, services);
    if (note) notes.push(note);
    if (brought === "nobody") return { end, notes };
    // The form's own signs of life are the last that the person has seen of the call.
    reportTurn(feed.latest(seed.runId) ?? end.run, call);
  }
}

/** The action that picks a run up again with progress. */
export function watchAgain(run: Run, reason: string): NextStep {
  return { action: "status", arguments: { run_id: run.runId, wait_seconds: 45 }, reason };
}

function afterNoStart({ resumes }: Run): string {
  const state = resumes ? "the session is as it was" : "the session's name is free";
  return `Put right what it names and start again; ${state}.`;
}

/** What to offer when a run is over; nothing for one that went well and needs nothing. */
export function nextAfterEnd(run: Run): { next?: NextStep } {
  if (refusedResume(run)) {
    return {
      next: {
        action: "list_sessions",
        arguments: { active_only: false },
        reason: "See which session can be continued. A new conversation is a new paid run: ask first.",
      },
    };
  }
  if (run.status === "failed" && run.errorCode) return { next: afterKnownFailure(run) };
  if (run.status === "failed" && !run.neverStarted) {
    return {
      next: {
        action: "status",
        arguments: { run_id: run.runId, detailed: true },
        reason: "See everything the API tells of the failure. Starting again is a new paid run: ask first.",
      },
    };
  }
  return {};
}

/** A conversation that is full or gone is not continued by anything; everything else goes on once it is put right. */
function afterKnownFailure(run: Run): NextStep {
  const { workflowName, sessionName, sessionId } = run;
  const workflow = workflowName ? { workflow_name: workflowName } : {};
  if (tellConversationEnd(run) || !(sessionName || sessionId)) return beginAnew(run);
  return {
    action: "run",
    arguments: {
      ...workflow,
      ...(sessionName ? { continue_session: sessionName } : { session_id: sessionId }),
      message: "Go on where you stopped.",
    },
    reason:
      "Goes on with the conversation when what the error names is put right. It is a new paid run: ask first.",
  };
}

/** In place of a conversation that nothing can continue: another one, in the same place. */
export function beginAnew({ workflowName, repositoryUrl, gitBranch }: Run): NextStep {
  return {
    action: "run",
    arguments: {
      ...(workflowName ? { workflow_name: workflowName } : {}),
      continue_session: "",
      ...(repositoryUrl ? { repository_url: repositoryUrl } : {}),
      ...(gitBranch ? { git_branch: gitBranch } : {}),
    },
    reason:
      "Begins a new conversation with a message that says what is left to do; this one cannot be continued. " +
      "It is a new paid run: ask first.",
  };
}

/** So many characters of what is asked stand in a progress message. */
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

function reportTurn(run: Run, call: Call): void {
  const message = tellTurn(run);
  if (message === undefined) return;
  const total = run.maxTurns;
  call.progress({ progress: run.turn ?? 0, message, ...(total === undefined ? {} : { total }) });
}

function reportEvent(event: RunEvent, call: Call, now: number): void {
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
    // What was asked may be answered.
    case "activity":
    case "question":
      // The end is told by the answer; of a run that is over only turns that went by unseen are news.
      if (!isFinal(event.run.status)) reportTurn(event.run, call);
  }
}
