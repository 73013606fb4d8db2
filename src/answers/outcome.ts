import type { Services } from "../actions/define-action.js";
import { answererOf, isFinal } from "../api/types.js";
import { needsOfPlan, needsOfRun } from "../dashboard/needs.js";
import type { NeedView } from "../dashboard/views/needs.js";
import { type DecidedVia, whoAndWhere } from "../shared/whose.js";

/** What has become of a need in a sentence, and where it was decided, where that is known. */
export interface Over {
  over: string;
  via?: DecidedVia | undefined;
}

const ELSEWHERE = "It was answered in another place, or is not open any more.";

/**
 * Looks whether something still waits for a person, and who has decided it where that is known.
 * @throws what the API and the database throw: then nobody knows
 */
export async function lookAtNeed(
  need: NeedView,
  services: Services,
  signal: AbortSignal,
): Promise<"open" | Over> {
  const { plan_id: planId } = need.call?.arguments ?? {};
  if (planId !== undefined || !need.runId) return lookAtPlan(need, services);
  const run = await services.runs.read(need.runId, signal);
  if (needsOfRun(run).some((one) => isSame(one, need))) return "open";
  const whose = answererOf(run, need.call?.arguments.question_id);
  if (whose) return { over: `Answered${whoAndWhere(whose)}.`, via: whose.via };
  return { over: isFinal(run.status) ? `The run has ended (${run.status}).` : ELSEWHERE };
}

/** What was shown is what is asked now: some servers use the id of a question again. */
function isSame(one: NeedView, { id, kind, title, detail }: NeedView): boolean {
  return one.id === id && one.kind === kind && one.title === title && one.detail === detail;
}

async function lookAtPlan(need: NeedView, services: Services): Promise<"open" | Over> {
  const plans = await services.plans.open();
  const sight = need.planId === undefined ? undefined : await plans.look(need.planId);
  if (!sight) return { over: "The plan is not there any more." };
  const { state } = sight;
  if (needsOfPlan(state).some(({ id }) => id === need.id)) return "open";
  const wanted = need.call?.arguments.question_id;
  const step = Object.entries(state.steps).find(([id]) => wanted?.split("/").includes(id))?.[1];
  const last = step?.decisions.at(-1);
  if (need.kind === "gate" && last)
    return { over: `${DECIDED[last.decision]}${whoAndWhere(last)}.`, via: last.via };
  const { agreement } = step ?? {};
  if (need.kind === "agreement" && agreement?.agreed !== undefined)
    return {
      over: `${agreement.agreed ? "Agreed to" : "Turned down"}${whoAndWhere(agreement)}.`,
      via: agreement.via,
    };
  return { over: ELSEWHERE };
}

const DECIDED = { approve: "Approved", "send-back": "Sent back", stop: "Stopped" } as const;
