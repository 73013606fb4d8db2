import type { PlanSight } from "../../plan-runner/runner.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { answerPlan } from "./answer-plan.js";
import { whileNeeded } from "./ask-person.js";
import { readVerdict, tellDecided, tellMeanwhile, tellPlanChange, toChange, type Verdict } from "./decide.js";
import { questionIdOf } from "./describe-plan-answer.js";
import { describeGate, lookAtGate } from "./look-at-gate.js";
import { openPlans, telling } from "./open-plans.js";
import { nameOfNeed, needsNow } from "./plan-needs.js";
import { watchPlan } from "./tell-plan.js";

interface AnswerArguments {
  answer: string;
  step?: string | undefined;
  question_id?: string | undefined;
  confirm?: boolean | undefined;
}

const NOTHING = "Nothing was decided.";

/**
 * Decides at a gate or about the runs of a fan-out, in the person's words and after they agreed. What an agent asks in a
 * step is answered at its run.
 * @returns the answer, or the run whose question is meant
 * @throws ActionError when nothing of the kind is open, or it is not clear what is meant
 */
export async function answerInPlan(
  args: AnswerArguments,
  sight: PlanSight,
  call: Call,
  services: Services,
): Promise<Answer | { runId: string }> {
  const { state } = sight;
  const need = chooseNeed(state, args);
  if (need.kind === "question") {
    if (need.runId) return { runId: need.runId };
    throw new ActionError(`Nobody knows which run of step ${need.step} asks. ${NOTHING}`);
  }
  const verdict = readVerdict(args.answer, need.kind === "gate" ? "gate" : "agreement");
  const gate = lookAtGate(state, need.step);
  if (verdict.kind === "send-back" && !gate?.mayGoBack)
    throw new ActionError(
      `Gate ${need.step} cannot send back${gate ? "" : " any more"}: approve, or stop the plan. ${NOTHING}`,
    );
  const id = questionIdOf(state, need) ?? "";
  // A form shows what is decided on; without one the words may be about an earlier opening.
  if (!call.forms.supported && args.question_id !== id) return askForId(sight, id, args, call, services);
  const plans = await openPlans(services);
  const about = gate ? await describeGate(state, gate, call, services) : cleanLine(need.what, 500);
  const { answer: ended, meanwhile } = await whileNeeded(state, need, plans, call, (signal) =>
    confirmWithPerson(
      {
        action: "answer",
        deed: `${tellDeed(verdict, need)} (plan ${cleanLine(state.plan.name, 60)})`,
        detail: [gate?.question, about].filter(Boolean).join("\n"),
        arguments: { plan_id: state.planId, question_id: id, answer: args.answer },
        confirm: args.confirm,
        untouched: `${NOTHING} The plan waits as before.`,
      },
      call,
      signal,
    ),
  );
  if (meanwhile !== undefined)
    return {
      outcome: "cancelled",
      summary: `${meanwhile} This call changed nothing.`,
      next: watchPlan(state.planId, "See how it stands."),
    };
  if (ended) return ended;
  const told = await tellPlanChange(state.planId, toChange(state, need, verdict, call), plans);
  const now = await telling("It was decided; the plan cannot be read.", () => plans.look(state.planId));
  const first =
    told.refused === undefined
      ? tellDecided(need, verdict)
      : `${tellMeanwhile(told.state, state, need, told.refused)} This answer was not used.`;
  const outcome = told.refused === undefined ? "ok" : "failed";
  return answerPlan(now ?? { ...sight, state: told.state }, { outcome, first }, call, services);
}

/** What is meant: by its id, by its step, or the only thing that there is. */
function chooseNeed(state: PlanState, { step, question_id }: AnswerArguments): WaitingFor {
  const needs = needsNow(state);
  const name = cleanLine(state.plan.name, 60);
  const isMeant = (one: WaitingFor) => one.step === step || nameOfNeed(state, one) === step;
  const see = watchPlan(state.planId, "See what is open.");
  const open = needs
    .map((one) => questionIdOf(state, one) ?? `${nameOfNeed(state, one)} (its agent asks)`)
    .join(", ");
  if (needs.length === 0) throw new ActionError(`The plan ${name} waits for no answer. ${NOTHING}`, see);
  if (question_id) {
    const found = needs.find((one) => questionIdOf(state, one) === question_id);
    if (found) return found;
    // An agent's own question has the id that its run gives it.
    const asking = needs.filter((one) => one.kind === "question" && (!step || isMeant(one)));
    const [only] = asking;
    if (only && asking.length === 1 && !question_id.includes("/")) return only;
    throw new ActionError(
      `What ${cleanLine(question_id, 100)} was about is decided, or has changed since. Open now: ${open}. ${NOTHING} Look at it and decide anew.`,
      see,
    );
  }
  const fitting = step ? needs.filter(isMeant) : needs;
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  throw new ActionError(
    fitting.length === 0
      ? `Step ${cleanLine(step ?? "", 100)} waits for no answer. Open: ${open}. ${NOTHING}`
      : `Several things wait for an answer; say which by question_id or step: ${open}. ${NOTHING}`,
    see,
  );
}

async function askForId(
  sight: PlanSight,
  id: string,
  { answer }: AnswerArguments,
  call: Call,
  services: Services,
): Promise<Answer> {
  const shown = await answerPlan(
    sight,
    {
      outcome: "input_required",
      first: `${NOTHING} A decision counts for what the person has seen: show them what follows, then call again with question_id ${id}.`,
    },
    call,
    services,
  );
  return {
    ...shown,
    next: {
      action: "answer",
      arguments: { plan_id: sight.state.planId, question_id: id, answer, confirm: true },
      reason: "Only after the person has seen it and said so.",
    },
  };
}

function tellDeed(verdict: Verdict, { step }: WaitingFor): string {
  switch (verdict.kind) {
    case "approve":
      return `Approve at gate ${step}`;
    case "send-back":
      return `Send back at gate ${step}: ${cleanLine(verdict.words, 300)}`;
    case "stop":
      return `Stop the plan at gate ${step}`;
    case "yes":
      return `Start the runs of step ${step}`;
    case "no":
      return `Start none of the runs of step ${step}`;
  }
}
