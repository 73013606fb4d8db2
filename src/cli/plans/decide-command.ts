import type { Call } from "../../actions/define-action.js";
import {
  tellDecided,
  tellMeanwhile,
  tellPlanChange,
  toChange,
  type Verdict,
} from "../../actions/plans/decide.js";
import { describeGate, lookAtGate } from "../../actions/plans/look-at-gate.js";
import type { Plans } from "../../plan-runner/plans.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import type { OpenServices } from "../sessions/open-services.js";
import type { Ask } from "../sessions/terminal-call.js";
import { findPlan } from "./find-plan.js";
import { nameForShell } from "./render-plan.js";

export interface DecideOptions {
  plans: Plans;
  /** Without asking. */
  yes: boolean;
  ask: Ask;
  call: Call;
  out: (text: string) => void;
}

/** What the person says: `approve` also agrees to a fan-out, and `stop` does not. */
export type Said = { kind: "approve" } | { kind: "stop" } | { kind: "send-back"; words: string };

const NOTHING = "Nothing was decided.";

/**
 * Decides at a gate, or agrees to a fan-out, after showing what it is about. What is decided is bound to what was shown.
 * @param step which of several that wait; left out where it is one
 * @returns the exit code: 0 decided, 1 not
 * @throws UnknownPlan, ActionError, StoreError
 */
export async function decideInTerminal(
  wanted: string,
  said: Said,
  step: string | undefined,
  { services }: Pick<OpenServices, "services">,
  options: DecideOptions,
): Promise<number> {
  const { plans, call, out } = options;
  const { state } = await findPlan(wanted, plans);
  const refuse = (text: string) => {
    out(`${text} ${NOTHING}\n`);
    return 1;
  };
  const need = chooseWaiting(state, step);
  if (typeof need === "string") return refuse(need);
  const verdict = toVerdict(said, need);
  if (!verdict) return refuse("A number of runs is agreed to or not, and not sent back: approve or stop.");
  const gate = lookAtGate(state, need.step);
  const about = gate ? await describeGate(state, gate, call, services) : "";
  out(`${need.step}: ${gate?.question ?? cleanLine(need.what, 1_000)}\n${about ? `\n${about}\n` : ""}\n`);
  if (verdict.kind === "send-back" && !gate?.mayGoBack)
    return refuse("This gate cannot send back (any more): approve, or stop the plan.");
  if (!(await agree(verdict, options))) return 1;
  const told = await tellPlanChange(state.planId, toChange(state, need, verdict, call), plans);
  if (told.refused !== undefined) {
    out(`${tellMeanwhile(told.state, state, need, told.refused)} Your answer was not used.\n`);
    return 1;
  }
  const show = `\`automagik-workflows-mcp plan show ${nameForShell(state.plan.name, state.planId)} --follow\``;
  out(`${tellDecided(need, verdict)} ${show} shows how it goes on.\n`);
  return 0;
}

/** The gate or fan-out that is meant, or what to say instead. */
function chooseWaiting(state: PlanState, step: string | undefined): WaitingFor | string {
  const { waitingFor, status } = describePlan(state);
  const open = waitingFor.filter(({ kind }) => kind === "gate" || kind === "agreement");
  const names = open.map((one) => one.step).join(", ");
  if (step !== undefined) {
    const found = open.find((one) => one.step === step);
    if (found) return found;
    if (!state.plan.steps.some(({ id }) => id === step))
      return `The plan has no step "${cleanLine(step, 100)}"; its steps are ${state.plan.steps.map(({ id }) => id).join(", ")}.`;
    return `Step ${step} waits for no decision.${names ? ` These do: ${names}.` : ""}`;
  }
  if (open.length > 1) return `Several wait for a decision: ${names}. Name the step behind the plan.`;
  return open[0] ?? `The plan is ${status} and waits for no decision.`;
}

function toVerdict(said: Said, { kind }: WaitingFor): Verdict | undefined {
  if (kind === "gate") return said;
  if (said.kind === "send-back") return undefined;
  return { kind: said.kind === "approve" ? "yes" : "no" };
}

/** Asks, unless that was not wanted; says why nothing is decided. */
async function agree({ kind }: Verdict, { yes, ask, out }: DecideOptions): Promise<boolean> {
  // Who says what should change has said that they want it changed.
  if (yes || kind === "send-back") return true;
  if (!ask) {
    out(`Nobody can be asked here. ${NOTHING} --yes does it without asking.\n`);
    return false;
  }
  const questions = {
    approve: "Approve?",
    stop: "Stop the plan here?",
    yes: "Start these runs?",
    no: "Start none of these runs?",
  };
  if (await ask(questions[kind])) return true;
  out(`${NOTHING}\n`);
  return false;
}
