import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { hasEnded } from "../../plans/machine/state.js";
import type { Answer, Outcome } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { resolveWaitMs } from "../follow/wait-budget.js";
import { answerPlan } from "./answer-plan.js";
import { lineOf, statusOf } from "./describe-plan-answer.js";
import { telling } from "./open-plans.js";
import { needsNow } from "./plan-needs.js";

interface FollowOptions {
  /** Seconds to wait; undefined leaves it to what the client can bear. */
  waitSeconds: number | undefined;
  /** What is said before the rest. */
  first?: string;
  detail?: (sight: PlanSight) => string;
}

/**
 * Follows a plan with progress as long as the call may, and answers how it stands then. It ends earlier when the plan is
 * over, or needs a person who cannot be asked here.
 */
export async function followPlan(
  start: PlanSight,
  options: FollowOptions,
  call: Call,
  services: Services,
): Promise<Answer> {
  const plans = await services.plans.open();
  const { clock } = services;
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, options.waitSeconds);
  const until = waitMs === undefined ? undefined : clock.elapsed() + waitMs;
  const sight = await watch(start, plans, until, call, services);
  return answerPlan(
    sight,
    {
      ...(call.signal.aborted ? { notes: [tellStopped(call)] } : {}),
      ...(options.first ? { first: options.first } : {}),
      ...(options.detail ? { detail: options.detail(sight) } : {}),
    },
    call,
    services,
  );
}

function tellStopped(call: Call): string {
  return `${call.isStopping() ? "This server is stopping" : "The call was ended"}; the plan goes on by itself.`;
}

/** Looks at the plan until it needs something, is over, or the time is; tells its progress. */
async function watch(
  start: PlanSight,
  plans: Plans,
  until: number | undefined,
  call: Call,
  { clock }: Services,
): Promise<PlanSight> {
  let sight = start;
  const enough = new AbortController();
  const stop = () => enough.abort();
  const cancel = until === undefined ? () => {} : clock.after(Math.max(0, until - clock.elapsed()), stop);
  const signal = AbortSignal.any([enough.signal, call.signal]);
  try {
    await telling("It goes on by itself.", () =>
      plans.follow(start.state.planId, signal, (seen) => {
        sight = seen;
        reportPlan(seen, call);
        if (standsStill(seen) || needsNow(seen.state).length > 0) stop();
      }),
    );
    return sight;
  } finally {
    cancel();
    stop();
  }
}

/** True when nothing more happens before a person does something. */
export function standsStill(sight: PlanSight): boolean {
  const status: Outcome | string = statusOf(sight);
  return status !== "running" && !(status === "blocked" && sight.troubles.length > 0);
}

/** "design ✓ · ok ✓ · build 2/3: Turn 7/50: … · $1.84 of $20.00", of so many steps as the plan has. */
export function reportPlan(sight: PlanSight, call: Call): void {
  const { state } = sight;
  const done = state.plan.steps.filter(({ id }) => {
    const step = state.steps[id];
    return step !== undefined && hasEnded(step);
  });
  const message = lineOf(sight) || `${state.plan.name}: nothing has begun yet`;
  call.progress({ progress: done.length, total: state.plan.steps.length, message });
}
