import { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type QueueCounters, type Run } from "../api/types.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { mergeRun } from "../runs/merge-run.js";
import { activeRun, isOver } from "../sessions/sessions.js";
import type { Session } from "../sessions/types.js";
import { sleep } from "../shared/clock.js";
import { tellConversationEnd } from "../shared/conversation-end.js";
import { ActionError, type Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameRun } from "./describe-run.js";
import { askOpenQuestions } from "./forms/agent-questions.js";
import { tellQueue, toQueueAnswer } from "./message-queue.js";
import { beginAnew } from "./next-steps.js";
import {
  findPlanOf,
  type ResolvedTarget,
  resolveTarget,
  TARGET_ABOUT,
  unknownTarget,
} from "./resolve-target.js";

const FEEDBACK_PARAMETERS = [
  "message",
  "message_type",
  "run_id",
  "session_name",
  "session_id",
  "plan_id",
  "step",
  "wait_seconds",
] as const;

/** The default time to look for proof of delivery, in s: an agent reads messages between two turns. */
const DELIVERY_WAIT_S = 5;
/** The first pause between two looks at the queue, in ms. */
const DELIVERY_LOOK_MS = 400;
/** How much longer each pause gets, up to the slowest polling. */
const SLOWING = 1.5;

/** Puts a message before the agent of a run that is going on, and tells whether it was taken up. */
export const feedbackAction = defineAction({
  name: "feedback",
  toolName: "send_feedback",
  title: "Send feedback to a running workflow",
  summary: "give a message to a run that is going on.",
  description:
    "Queues a message for the agent of a run that is going on, and tells whether the agent has taken it up " +
    "within a short wait. Nothing is sent to a run that has ended.",
  searchHint: "tell message correct steer running workflow agent automagik",
  parameters: FEEDBACK_PARAMETERS,
  required: ["message"],
  about: {
    message: "What the agent should read.",
    ...TARGET_ABOUT,
    plan_id: "Id of a plan: the message goes to its step that is going on.",
    step: "Of a plan: which step, when several are going on.",
    wait_seconds: "How long to look whether the agent takes it up (default 5); 0 answers at once.",
  },
  aliases: { feedback: "message" },
  endpoint: "add_message",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  answerParts: ["queue"],

  async handle(
    args: Arguments<(typeof FEEDBACK_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const message = args.message?.trim();
    if (!message)
      throw new ActionError("`message` is empty: say what the agent should read. Nothing was sent.");
    const plan = await findPlanOf(args, services);
    const named = plan ? { run_id: await findRunOf(plan, args.step) } : args;
    const target = await resolveTarget(named, "active", call, services);
    // By a run id nothing is looked up before: the API itself refuses what is over.
    if (isOver(target.run)) return tellOver(target, message);
    let queued: QueueCounters;
    try {
      queued = await services.api.addMessage(target.run.runId, args.message_type ?? "user", message);
    } catch (error) {
      return explainRefusal(error, target, message, services);
    }
    const waitSeconds = args.wait_seconds ?? DELIVERY_WAIT_S;
    const notes = waitSeconds > 0 ? await offerAgain(target.run.runId, call, services) : [];
    const answer = await watchDelivery(target.run, queued, waitSeconds, call, services);
    return { ...answer, summary: [answer.summary, ...notes].join(" ") };
  },
});

/** @throws ActionError when not exactly one run of the plan, or of the step, is going on */
async function findRunOf({ state }: PlanSight, step: string | undefined): Promise<string> {
  const { runOfStep } = await import("./plans/run-of-step.js");
  return runOfStep(state, step);
}

/** An agent that waits for an answer reads no messages, so its open questions are put to the person again. */
async function offerAgain(runId: string, call: Call, services: Services): Promise<string[]> {
  const seen = services.watcher.latest(runId);
  if (!seen || openQuestions(seen).length === 0) return [];
  const run = await readAgain(seen, services);
  return run ? (await askOpenQuestions(run, call, services)).notes : [];
}

async function watchDelivery(
  run: Run,
  queued: QueueCounters,
  waitSeconds: number,
  call: Call,
  { api, clock, watcher, settings }: Services,
): Promise<Answer> {
  // Messages are taken up in order: ours was when as many are consumed as had been added with it.
  const wanted = queued.added;
  const until = clock.elapsed() + waitSeconds * 1000;
  let queue = queued;
  const isWatchedToItsEnd = () => isFinal(watcher.latest(run.runId)?.status ?? "");
  // A long wait must also notice the end of a run that somebody else has started.
  const watch = waitSeconds > DELIVERY_WAIT_S ? watcher.watch(run, () => {}) : undefined;
  const slowest = Math.max(DELIVERY_LOOK_MS, settings.pollingIntervalS * 1000);
  try {
    for (let pause = DELIVERY_LOOK_MS; queue.consumed < wanted && clock.elapsed() < until; ) {
      // When the time is over there is still one look.
      if (!(await sleep(clock, Math.min(pause, until - clock.elapsed()), call.signal))) break;
      const over = isWatchedToItsEnd();
      queue =
        (await api.getQueue(run.runId, { retries: 0, signal: call.signal }).catch(() => undefined)) ?? queue;
      if (over) break;
      pause = Math.min(pause * SLOWING, slowest);
    }
  } finally {
    watch?.stop();
  }
  if (wanted > 0 && queue.consumed >= wanted) {
    return {
      outcome: "ok",
      summary: `Delivered: the agent of ${nameRun(run)} has taken up the message.`,
      queue: toQueueAnswer(queue),
    };
  }
  return {
    outcome: "ok",
    summary:
      `Accepted, not delivered so far: the message is in the queue of ${nameRun(run)} (${tellQueue(queue)}) ` +
      (isWatchedToItsEnd()
        ? "The run has ended meanwhile, so its agent will not read it."
        : settings.engine === "local"
          ? "The agent reads it when its current step is done."
          : "Some servers never hand queued messages to the agent."),
    queue: toQueueAnswer(queue),
    next: {
      action: "message_queue",
      arguments: { run_id: run.runId },
      reason: "See later whether the agent has taken it up; sending it again would queue it twice.",
    },
  };
}

function tellOver({ run, session }: ResolvedTarget, message: string): Answer {
  const over = `Nothing was sent: the ${nameRun(run)} is ${run.status}, so no agent can read it.`;
  const end = tellConversationEnd(run);
  if (end) {
    return {
      outcome: "failed",
      summary: `${over} The session cannot be continued either: ${end}.`,
      next: beginAnew(run),
    };
  }
  const name = session?.name ?? run.sessionName;
  const conversation = name ? { continue_session: name } : run.sessionId ? { session_id: run.sessionId } : {};
  return {
    outcome: "failed",
    summary:
      over +
      (name || run.sessionId
        ? ""
        : " It has no known conversation to continue: start a new run with the message."),
    ...(name || run.sessionId
      ? {
          next: {
            action: "run",
            arguments: {
              ...(run.workflowName ? { workflow_name: run.workflowName } : {}),
              ...conversation,
              message,
            },
            reason: "Continues the session with the message as a new, paid run; ask the person first.",
          },
        }
      : {}),
  };
}

/** What became of a message that the API did not take; by now there is time to find out more about the run. */
async function explainRefusal(
  error: unknown,
  target: ResolvedTarget,
  message: string,
  services: Services,
): Promise<Answer> {
  if (!(error instanceof ApiError)) throw error;
  const { runId } = target.run;
  if (error.kind === "refused") {
    const run = await readAgain(target.run, services);
    if (!run || !isFinal(run.status)) throw error;
    const [session] = target.session ? [target.session] : await findSessions(runId, services);
    return tellOver(session ? { run, session } : { run }, message);
  }
  if (error.kind === "not_found") {
    const [session] = await findSessions(runId, services);
    const running = session && activeRun(session);
    if (!running || running.runId === runId) throw unknownTarget(runId, services);
    throw new ActionError(
      `There is no run "${runId}", but there is a session of that name. Nothing was sent.`,
      {
        action: "feedback",
        arguments: { run_id: running.runId, message },
        reason: "The session's run that is going on.",
      },
    );
  }
  if (error.mayHaveActed) {
    return {
      outcome: "unknown",
      summary: `It is unknown whether the message was queued. ${error.message} It was not sent again.`,
      next: {
        action: "message_queue",
        arguments: { run_id: runId },
        reason: "The counters tell whether a message has arrived.",
      },
    };
  }
  throw error;
}

/** The run as it stands now; undefined when it cannot be read. */
async function readAgain(seed: Run, { api, sessions }: Services): Promise<Run | undefined> {
  const seen = await api.getRun(seed.runId, { retries: 0 }).catch(() => undefined);
  return seen && mergeRun(await sessions.recall(seed), seen);
}

function findSessions(runId: string, { sessions }: Services): Promise<Session[]> {
  return sessions.find({ runId }).catch(() => []);
}
