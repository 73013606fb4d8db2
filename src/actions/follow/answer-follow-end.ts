import { ApiError } from "../../api/errors.js";
import type { Run } from "../../api/types.js";
import { mergeRun } from "../../runs/merge-run.js";
import { outcomeOf } from "../../runs/run-facts.js";
import type { FollowEnd } from "../../runs/run-follower.js";
import { tellLastAnswer } from "../../runs/tell-answered.js";
import { sleep } from "../../shared/clock.js";
import { asSentence } from "../../shared/text.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { describeRun, nameRun, tellEnd, tellPosition } from "../describe-run.js";
import { tellWork } from "../describe-work.js";
import { answerStep, tellQuestion, tellWaiting } from "../forms/agent-questions.js";
import { nextAfterEnd, watchAgain } from "../next-steps.js";

/** So long it is waited for what an interrupted run has committed, in ms: the next engine ends the run first. */
const WORK_MS = 5_000;
/** And looked for it so often, in ms. */
const LOOK_MS = 250;

interface Told {
  detailed?: boolean;
  /** What is said first. */
  preface?: string;
  /** What is said last, in sentences. */
  notes: readonly string[];
}

/** The answer of a call that has followed a run, depending on why it stopped following. */
export async function answerFollowEnd(
  end: FollowEnd,
  { preface, notes, detailed = false }: Told,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { runs, clock } = services;
  // What was just named in the preface is not named again.
  const it = preface ? "It" : `The ${nameRun(end.run)}`;
  const say = (text: string) => [preface, text, ...notes].filter(Boolean).join(" ");
  const describe = (run: Run) => describeRun(run, { now: clock.now(), detailed });
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
      const run = await withWork(await runs.explain(end.run), call, services);
      return {
        outcome: outcomeOf(run),
        // The preface says that it was started, which is not true of this run.
        summary: run.neverStarted
          ? [tellEnd(run), ...notes, afterNoStart(run)].join(" ")
          : say(
              [tellEnd(run, it), tellLastAnswer(run), tellWork(run) || tellSought(run)]
                .filter(Boolean)
                .join(" "),
            ),
        run: describe(run),
        ...nextAfterEnd(run),
      };
    }
    case "stalled":
      return {
        outcome: "stalled",
        summary: say(tellStall(end.run, end.quietMs, services, it)),
        run: describe(end.run),
        next: watchAgain(end.run, "Look again later; kill it if it stays like this."),
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
              ? `The API has not given the status of the ${nameRun(end.run)} yet.`
              : [
                  `${asSentence(`${it} is ${end.run.status}${position ? `: ${position}` : ""}`)}${tellWaiting(end.run)}`,
                  tellLastAnswer(end.run),
                ]
                  .filter(Boolean)
                  .join(" "),
        ),
        run: describe(end.run),
        next: watchAgain(end.run, "Follow the run further; it goes on by itself."),
        ...answerStep(end.run),
      };
    }
  }
}

/** An interrupted run with its work, as soon as that is where it belongs; as it is where that takes long. */
async function withWork(run: Run, call: Call, { runs, clock }: Services): Promise<Run> {
  const until = clock.elapsed() + WORK_MS;
  while (isSought(run) && clock.elapsed() < until && (await sleep(clock, LOOK_MS, call.signal))) {
    try {
      const now = await runs.read(run.runId, call.signal);
      if (now.work) return mergeRun(run, now);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return run;
}

/** Whether what it has committed may still be on its way. */
function isSought({ errorCode, work, goesOn, repositoryUrl }: Run): boolean {
  return errorCode === "interrupted" && !work && !goesOn && repositoryUrl !== undefined;
}

function tellSought(run: Run): string {
  return isSought(run)
    ? "What it has committed is brought to its branch, and the rest is in its worktree: its status tells where."
    : "";
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
  // The message of an outage already says since when the API has not answered.
  if (error.outage) return `${stood}. ${error.message} The run may still be going on.`;
  const from = since === undefined ? "" : ` since ${new Date(since).toISOString()}`;
  return `${stood}; it has not answered${from}: ${error.message} The run may still be going on.`;
}

function afterNoStart({ resumes }: Run): string {
  const state = resumes ? "the session is as it was" : "the session's name is free";
  return `Correct what it names and start again; ${state}.`;
}
