import { ApiError } from "../api/errors.js";
import { isFinal } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { outcomeOf } from "../runs/run-facts.js";
import { tellLastAnswer } from "../runs/tell-answered.js";
import { costOfSession } from "../sessions/session-cost.js";
import { asSentence } from "../shared/text.js";
import { formatUsd } from "../shared/usd.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeRun, nameRun, tellEnd, tellPosition } from "./describe-run.js";
import { tellWork } from "./describe-work.js";
import { withDiff } from "./diff.js";
import { tellStall } from "./follow/answer-follow-end.js";
import { expectTurns } from "./follow/expect-turns.js";
import { followRun } from "./follow/follow-run.js";
import { answerStep, askOpenQuestions, tellWaiting } from "./forms/agent-questions.js";
import { listSessions } from "./list-sessions.js";
import { tellQueue, toQueueAnswer } from "./message-queue.js";
import { nextAfterEnd, watchAgain } from "./next-steps.js";
import { findPlanOf, namesTarget, resolveTarget, TARGET_ABOUT } from "./resolve-target.js";

const STATUS_PARAMETERS = [
  "run_id",
  "session_name",
  "session_id",
  "plan_id",
  "wait_seconds",
  "detailed",
] as const;

const NOT_ASKED = { asked: false, notes: [] };

/** Tells the status of a run and, when asked to wait, follows it with progress, whoever started it. */
export const statusAction = defineAction({
  name: "status",
  toolName: "get_session_status",
  title: "Look at a run",
  summary:
    "the status of a run, by run_id, session_name or session_id; wait_seconds follows it with progress.",
  description:
    "Tells the status of a run, by run id, session name or session id, whoever started it. With wait_seconds it " +
    "follows the run with progress. Without any name it lists what is going on.",
  searchHint: "workflow run progress status follow watch wait result cost automagik",
  parameters: STATUS_PARAMETERS,
  about: {
    ...TARGET_ABOUT,
    plan_id: "Id of a plan; its name as session_name does as well.",
    wait_seconds: "Follow the run this long, with progress; left out, its status is told at once.",
    detailed: "Tell everything known, with the queue of messages.",
  },
  endpoint: "status",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["run", "diff", "queue", "sessions", "plan"],

  async handle(
    args: Arguments<(typeof STATUS_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const plan = await findPlanOf(args, services);
    if (plan) {
      const { lookAtPlan } = await import("./plans/plan-status.js");
      return lookAtPlan(plan, args, call, services);
    }
    if (!namesTarget(args)) return listSessions({ active_only: true }, call, services);
    const { runs, api, clock, sessions } = services;
    const target = await resolveTarget(args, "newest", call, services);
    const seed = await sessions.recall(target.run);
    const detailed = args.detailed === true;
    if (args.wait_seconds) {
      const answer = await followRun(seed, { waitSeconds: args.wait_seconds, detailed }, call, services);
      const told = await withSessionCost(answer, services);
      return detailed && told.run ? withQueue(told, told.run.run_id, api, call) : told;
    }
    const expectation = expectTurns(seed, services);
    const read = async () => mergeRun(seed, await runs.read(seed.runId, call.signal));
    let run = await read();
    // With 0 the call is to be answered at once; else what the person has closed before is offered again.
    const { asked, notes } =
      args.wait_seconds === 0 ? NOT_ASKED : await askOpenQuestions(run, call, services);
    if (asked) run = await read();
    await sessions.seen(run);
    services.notices.saw(run);
    if (!isFinal(run.status)) {
      await expectation.ready();
      run = expectation.complete(run);
    }
    const position = tellPosition(run);
    const quietMs = isFinal(run.status) ? undefined : services.watcher.stalledFor(run);
    const goesOn =
      quietMs === undefined
        ? `${asSentence(`The ${nameRun(run)} is ${run.status}${position ? `: ${position}` : ""}`)}${tellWaiting(run)}`
        : tellStall(run, quietMs, services);
    const own: Answer = {
      outcome: quietMs === undefined ? outcomeOf(run) : "stalled",
      summary: [isFinal(run.status) ? tellEnd(run) : goesOn, tellLastAnswer(run), tellWork(run), ...notes]
        .filter(Boolean)
        .join(" "),
      run: describeRun(run, { now: clock.now(), detailed }),
      ...(isFinal(run.status)
        ? nextAfterEnd(run)
        : { next: watchAgain(run, "Follow the run with progress."), ...answerStep(run) }),
    };
    const answer = await withSessionCost(own, services);
    // A failed run is explained best by what has just been told.
    if (detailed && run.status === "failed" && !run.errorCode) delete answer.next;
    return detailed ? withDiff(await withQueue(answer, run.runId, api, call), run, call, services) : answer;
  },
});

/** Adds what all runs of the session have cost, where there are several; by what is known without asking the API. */
async function withSessionCost(answer: Answer, { sessions }: Services): Promise<Answer> {
  const { run } = answer;
  if (!run?.session_name) return answer;
  const namesakes = await sessions.named(run.session_name);
  const session = namesakes.find(({ runs }) => runs.some(({ runId }) => runId === run.run_id));
  const cost = session && session.runs.length > 1 ? costOfSession(session) : undefined;
  if (!session || !cost) return answer;
  return {
    ...answer,
    summary: `${answer.summary} The ${session.runs.length} runs of its session have cost ${cost.atLeast ? "at least " : ""}${formatUsd(cost.usd)}.`,
    run: {
      ...run,
      session_cost_usd: cost.usd,
      ...(cost.atLeast ? { session_cost_at_least: true } : {}),
    },
  };
}

/** Adds the counters of the queue; without them the answer stays as it is. */
async function withQueue(answer: Answer, runId: string, api: Services["api"], call: Call): Promise<Answer> {
  try {
    const queue = await api.getQueue(runId, { signal: call.signal });
    if (!queue) return answer;
    return { ...answer, queue: toQueueAnswer(queue), summary: `${answer.summary} ${tellQueue(queue)}` };
  } catch (error) {
    if (error instanceof ApiError) return answer;
    throw error;
  }
}
