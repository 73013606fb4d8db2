import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import { hasEnded, type PlanState } from "../../plans/machine/state.js";
import type { Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { resolveWaitMs } from "../follow/wait-budget.js";
import { answerPlan } from "./answer-plan.js";
import { askForPlan } from "./ask-person.js";
import { lineOf, questionIdOf, statusOf } from "./describe-plan-answer.js";
import { followUntil } from "./follow-until.js";
import { openPlans } from "./open-plans.js";
import { needsNow } from "./plan-needs.js";

/** How long a call that is to be answered at once waits for a plan to take up an answer, in ms. */
const TAKEN_MS = 5_000;
const GOES_ON = "It goes on by itself.";

interface FollowOptions {
  /** Seconds to wait; undefined leaves it to what the client can bear. */
  waitSeconds: number | undefined;
  /** What is said before the rest. */
  first?: string;
  detailed?: boolean;
}

/** What was asked in a call: each is asked once; what was decided is waited for. */
interface AskedInCall {
  asked: Set<string>;
  decided: Set<string>;
  notes: string[];
}

/**
 * Follows a plan with progress as long as the call may, puts to the person what it needs, and answers how it stands
 * then. It ends earlier when the plan is over, stands still, or needs a person who cannot be asked here.
 */
export async function followPlan(
  start: PlanSight,
  options: FollowOptions,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { clock } = services;
  call.follows({ kind: "plan", id: start.state.planId, name: start.state.plan.name });
  const plans = await openPlans(services);
  const waitMs = resolveWaitMs(call.wantsProgress, call.clientName, options.waitSeconds);
  const until = waitMs === undefined ? undefined : clock.elapsed() + waitMs;
  const so = { asked: new Set<string>(), decided: new Set<string>(), notes: [] as string[] };
  let sight = start;
  do sight = await watch(sight, so, plans, until, call, services);
  while (await askNext(sight, so, plans, call, services));
  const notes = call.signal.aborted ? [...so.notes, tellStopped(call)] : so.notes;
  const { first, detailed } = options;
  return answerPlan(
    sight,
    { notes, ...(first ? { first } : {}), ...(detailed ? { detailed } : {}) },
    call,
    services,
  );
}

/** Puts to the person what the plan needs now, each once, without following it. */
export async function askAllOf(
  start: PlanSight,
  call: Call,
  services: Services,
): Promise<{ sight: PlanSight; notes: string[] }> {
  const plans = await openPlans(services);
  const so = { asked: new Set<string>(), decided: new Set<string>(), notes: [] as string[] };
  let sight = start;
  while (await askNext(sight, so, plans, call, services))
    sight = (await lookOnceTaken(start.state.planId, so, plans, call, services)) ?? sight;
  return { sight, notes: so.notes };
}

/** The plan as soon as it has taken up what was decided: an agent's answer gets there by way of its run. */
async function lookOnceTaken(
  planId: string,
  { decided }: AskedInCall,
  plans: Plans,
  call: Call,
  { clock }: Services,
): Promise<PlanSight | undefined> {
  let last: PlanSight | undefined;
  await followUntil(
    planId,
    (seen) => {
      last = seen;
      return !needsNow(seen.state).some((need) => decided.has(idOf(seen.state, need)));
    },
    { plans, clock, ms: TAKEN_MS, call, left: GOES_ON },
  );
  return last;
}

function tellStopped(call: Call): string {
  return `${call.isStopping() ? "This server is stopping" : "The call was ended"}; the plan goes on by itself.`;
}

/** Asks for the first thing that was not asked yet. @returns false when there is none, or nobody to be asked */
async function askNext(
  sight: PlanSight,
  so: AskedInCall,
  plans: Plans,
  call: Call,
  services: Services,
): Promise<boolean> {
  const { state } = sight;
  const need = needsNow(state).find((one) => !so.asked.has(idOf(state, one)));
  if (!need || !call.forms.supported || call.signal.aborted) return false;
  so.asked.add(idOf(state, need));
  const { result, note } = await askForPlan(sight, need, plans, call, services);
  if (note) so.notes.push(note);
  if (result === "decided") so.decided.add(idOf(state, need));
  return result !== "nobody";
}

/** Names what is asked, so that the next one of the same step is another one. */
function idOf(state: PlanState, need: WaitingFor): string {
  return questionIdOf(state, need) ?? `${need.key} ${need.what}`;
}

/** Looks at the plan until it needs something new, does nothing more, or the time is over; tells its progress. */
async function watch(
  start: PlanSight,
  so: AskedInCall,
  plans: Plans,
  until: number | undefined,
  call: Call,
  { clock }: Services,
): Promise<PlanSight> {
  let sight = start;
  await followUntil(
    start.state.planId,
    (seen) => {
      sight = seen;
      reportPlan(seen, call);
      const needs = needsNow(seen.state).map((need) => idOf(seen.state, need));
      const isTakenUp = needs.length > 0 && needs.every((id) => so.decided.has(id));
      return needs.some((id) => !so.asked.has(id)) || (standsStill(seen) && !isTakenUp);
    },
    {
      ms: until === undefined ? undefined : Math.max(0, until - clock.elapsed()),
      ...{ plans, clock, call, left: GOES_ON },
    },
  );
  return sight;
}

/** True when nothing more happens before a person does something. */
function standsStill(sight: PlanSight): boolean {
  const status = statusOf(sight);
  return status !== "running" && !(status === "blocked" && sight.troubles.length > 0);
}

/** "design ✓ · ok ✓ · build 2/3: Turn 7/50: … · $1.84 of $20.00", of so many steps as the plan has. */
function reportPlan(sight: PlanSight, call: Call): void {
  const { state } = sight;
  const done = state.plan.steps.filter(({ id }) => {
    const step = state.steps[id];
    return step !== undefined && hasEnded(step);
  });
  const message = lineOf(sight) || `${state.plan.name}: nothing has begun yet`;
  call.progress({ progress: done.length, total: state.plan.steps.length, message });
}
