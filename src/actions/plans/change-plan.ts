import type { PlanSight } from "../../plan-runner/runner.js";
import { planStatus } from "../../plans/machine/plan-status.js";
import { isGoing, type PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { answerPlan } from "./answer-plan.js";
import { tellPlanChange } from "./decide.js";
import { type ChangeArguments, editPlan, type Prepared } from "./edit-plan.js";
import { followPlan } from "./follow-plan.js";
import { openPlans, telling } from "./open-plans.js";

const NOTHING = "Nothing was changed.";

/**
 * Pauses, resumes or edits a plan that goes on, skips or does a step again; asks the person where that costs something.
 * What has been done stays.
 */
export async function changePlan(
  sight: PlanSight,
  args: ChangeArguments,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { planId } = sight.state;
  const plans = await openPlans(services);
  const prepared = await prepare(sight, args, call, services);
  if ("outcome" in prepared) return prepared;
  const told = await tellPlanChange(planId, prepared.change, plans);
  const now = (await telling("It was changed.", () => plans.look(planId))) ?? {
    ...sight,
    state: told.state,
  };
  if (told.refused !== undefined)
    return answerPlan(now, { outcome: "failed", first: `${told.refused} ${NOTHING}` }, call, services);
  const first = `${prepared.done}${tellPaused(args, sight.state, told.state)}`;
  if (args.wait_seconds) return followPlan(now, { waitSeconds: args.wait_seconds, first }, call, services);
  return answerPlan(now, { outcome: "ok", first }, call, services);
}

/** What a change of a paused plan leads to: nothing by itself, unless nothing was left to do. */
function tellPaused({ change }: ChangeArguments, before: PlanState, now: PlanState): string {
  if (before.pausedAt === undefined || change === "resume") return "";
  switch (planStatus(now)) {
    case "paused":
      return " The plan is still paused: nothing of it is started until it is resumed.";
    case "completed":
      return " With that nothing of the paused plan is left to do: it has completed.";
    case "failed":
      return " With that nothing of the paused plan is left to do: it has failed.";
    default:
      return "";
  }
}

async function prepare(
  sight: PlanSight,
  args: ChangeArguments,
  call: Call,
  services: Services,
): Promise<Prepared> {
  const { state } = sight;
  switch (args.change) {
    case "pause": {
      const going = Object.values(state.steps).flatMap(({ attempts }) => attempts.filter(isGoing)).length;
      const rest = going > 0 ? ` Runs that go on come to their own end: ${going}.` : "";
      return { change: { type: "paused" }, done: `Paused: nothing new is started.${rest}` };
    }
    case "resume":
      return { change: { type: "resumed" }, done: "It goes on." };
    case "skip": {
      const step = chooseStep(state, args.step);
      return { change: { type: "step-skipped", step }, done: `Step ${step} is skipped.` };
    }
    case "redo":
      return redo(state, args, call);
    case "edit":
      return editPlan(sight, args, call, services);
    default:
      throw new ActionError(
        `Say what to do with the plan, by \`change\`: pause, resume, skip, redo or edit. ${NOTHING}`,
      );
  }
}

async function redo(state: PlanState, args: ChangeArguments, call: Call): Promise<Prepared> {
  const step = chooseStep(state, args.step);
  const words = args.message?.trim();
  const { attempts, round } = state.steps[step] as PlanState["steps"][string];
  const isLost = attempts.some(({ status, abandoned }) => status === "unknown" && !abandoned);
  const ended = await confirmWithPerson(
    {
      action: "plan",
      deed: `Do step ${step} of the plan ${cleanLine(state.plan.name, 60)} again, and everything behind it`,
      detail: [
        "Its runs are paid for again.",
        state.pausedAt === undefined ? "" : "The plan is paused: they are started once it is resumed.",
        isLost
          ? "Nobody knows whether its last run was started: if there is one, the same is paid for twice."
          : "",
        words ? `It is told: ${cleanLine(words, 1_000)}` : "",
      ]
        .filter(Boolean)
        .join("\n"),
      arguments: { plan_id: state.planId, change: "redo", step, ...(words ? { message: words } : {}) },
      confirm: args.confirm,
      untouched: NOTHING,
    },
    call,
  );
  if (ended) return ended;
  return {
    change: {
      type: "step-redone",
      step,
      ...(words ? { words } : {}),
      seen: { round, attempts: attempts.length },
    },
    done: `Step ${step} is done again, and everything behind it.`,
  };
}

/** The step that is named, or the only one that has failed or is blocked. @throws ActionError */
function chooseStep({ plan, steps }: PlanState, wanted: string | undefined): string {
  const ids = plan.steps.map(({ id }) => id);
  if (wanted && ids.includes(wanted)) return wanted;
  const all = `Its steps are ${ids.slice(0, 50).join(", ")}. ${NOTHING}`;
  if (wanted) throw new ActionError(`The plan has no step "${cleanLine(wanted, 100)}". ${all}`);
  const stuck = ids.filter((id) => {
    const { status, byNeed } = steps[id] ?? {};
    return (status === "failed" || status === "blocked") && !byNeed;
  });
  const [only] = stuck;
  if (only !== undefined && stuck.length === 1) return only;
  throw new ActionError(`Name the step by \`step\`. ${all}`);
}
