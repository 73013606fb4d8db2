import type { Services } from "../actions/define-action.js";
import { PLACES } from "../actions/plans/decide.js";
import { isFinal, openQuestions } from "../api/types.js";
import { needsOfPlan } from "../dashboard/needs.js";
import type { NeedView } from "../dashboard/views/needs.js";
import { cleanLine } from "../shared/text.js";

/** How a need stands: `open`, or what has become of it in a sentence. */
export type NeedStands = "open" | { over: string };

const ELSEWHERE = "It was answered in another place, or is not open any more.";

/**
 * Looks whether something still waits for a person, and who has decided it where that is known.
 * @throws what the API and the database throw: then nobody knows
 */
export async function lookAtNeed(
  need: NeedView,
  services: Services,
  signal: AbortSignal,
): Promise<NeedStands> {
  const { plan_id: planId } = need.call?.arguments ?? {};
  if (planId !== undefined || !need.runId) return lookAtPlan(need, services);
  const run = await services.runs.read(need.runId, signal);
  const questionId = need.call?.arguments.question_id;
  if (isFinal(run.status)) return { over: `The run has ended (${run.status}).` };
  return openQuestions(run).some((one) => one.questionId === questionId) ? "open" : { over: ELSEWHERE };
}

async function lookAtPlan(need: NeedView, services: Services): Promise<NeedStands> {
  const plans = await services.plans.open();
  const sight = need.planId === undefined ? undefined : await plans.look(need.planId);
  if (!sight) return { over: "The plan is not there any more." };
  const { state } = sight;
  if (needsOfPlan(state).some(({ id }) => id === need.id)) return "open";
  const wanted = need.call?.arguments.question_id;
  const step = Object.entries(state.steps).find(([id]) => wanted?.split("/").includes(id))?.[1];
  const last = step?.decisions.at(-1);
  if (need.kind === "gate" && last) {
    const who = `${last.by === undefined ? "" : ` by ${cleanLine(last.by, 60)}`}`;
    const where = last.via === undefined ? "" : ` in ${PLACES[last.via]}`;
    return { over: `${DECIDED[last.decision]}${who}${where}.` };
  }
  return { over: ELSEWHERE };
}

const DECIDED = { approve: "Approved", "send-back": "Sent back", stop: "Stopped" } as const;
