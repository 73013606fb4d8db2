import type { Plans } from "../../plan-runner/plans.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import type { PlanChange } from "../../plans/machine/events.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { cleanLine } from "../../shared/text.js";
import type { Ask } from "../sessions/terminal-call.js";
import { findPlan, UnknownPlan } from "./find-plan.js";
import { lookAtGate, type OpenGate, renderGate } from "./look-at-gate.js";
import { nameForShell } from "./render-plan.js";

/** What a person says to what waits for them. */
export type Verdict = "approve" | "send-back" | "stop";

export interface DecideOptions {
  plans: Plans;
  /** Without asking. */
  yes: boolean;
  ask: Ask;
  out: (text: string) => void;
  /** What the work at a gate has changed, file by file; "" where that cannot be had. */
  describeSize: (runId: string) => Promise<string>;
}

const NOTHING = "Nothing was decided.";

/**
 * Decides at a gate, or agrees to a fan-out, after showing what it is about. What is decided is bound to what was shown.
 * @param what.step which of several that wait; left out where it is one
 * @returns the exit code: 0 decided, 1 not
 * @throws UnknownPlan, StoreError
 */
export async function decideInTerminal(
  wanted: string,
  what: { verdict: Verdict; step?: string | undefined; words?: string | undefined },
  options: DecideOptions,
): Promise<number> {
  const { plans, out } = options;
  const { state } = await findPlan(wanted, plans);
  const found = chooseWaiting(state, what.step);
  if (typeof found === "string") {
    out(`${found} ${NOTHING}\n`);
    return 1;
  }
  const gate = lookAtGate(state, found.step);
  const change = gate
    ? await decideGate(gate, what, options)
    : await answerFanOut(state, found, what.verdict, options);
  if (!change) return 1;
  const told = await plans.tell(state.planId, change);
  if (!told) throw new UnknownPlan(`The plan is not there any more. ${NOTHING}`);
  if (told.refused !== undefined) {
    out(`${told.refused} ${NOTHING}\n`);
    return 1;
  }
  out(`${tellDecided(change)} ${tellNext(told.state)}\n`);
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

async function decideGate(
  gate: OpenGate,
  { verdict, words }: { verdict: Verdict; words?: string | undefined },
  options: DecideOptions,
): Promise<PlanChange | undefined> {
  const { out } = options;
  out(`${renderGate(gate)}\n\n`);
  for (const { runId } of gate.works.slice(0, 3))
    if (runId !== undefined) out(await options.describeSize(runId));
  if (verdict === "send-back" && !gate.mayGoBack) {
    out(`This gate cannot send back (any more): approve, or stop the plan. ${NOTHING}\n`);
    return undefined;
  }
  const question = { approve: "Approve?", "send-back": "Send it back?", stop: "Stop the plan here?" }[
    verdict
  ];
  // Who says what should change has said that they want it changed.
  if (verdict !== "send-back" && !(await agree(question, options))) return undefined;
  return {
    type: "gate-decided",
    step: gate.step,
    attempt: gate.opening.attempt,
    commits: gate.opening.commits,
    decision: verdict,
    ...(words === undefined ? {} : { words }),
  };
}

async function answerFanOut(
  state: PlanState,
  { step, what }: WaitingFor,
  verdict: Verdict,
  options: DecideOptions,
): Promise<PlanChange | undefined> {
  const { out } = options;
  const agreement = state.steps[step]?.agreement;
  if (!agreement) return undefined;
  out(`${step}: ${cleanLine(what, 1_000)}\n\n`);
  if (verdict === "send-back") {
    out(`A number of runs is agreed to or not, and not sent back: approve or stop. ${NOTHING}\n`);
    return undefined;
  }
  const agreed = verdict === "approve";
  const question = agreed ? `Start ${agreement.runs} runs?` : `Start none of these ${agreement.runs} runs?`;
  if (!(await agree(question, options))) return undefined;
  return { type: "fan-out-answered", step, attempt: agreement.attempt, runs: agreement.runs, agreed };
}

/** Asks, unless that was not wanted; says why nothing is decided. */
async function agree(question: string, { yes, ask, out }: DecideOptions): Promise<boolean> {
  if (yes) return true;
  if (!ask) {
    out(`Nobody can be asked here. ${NOTHING} --yes does it without asking.\n`);
    return false;
  }
  if (await ask(question)) return true;
  out(`${NOTHING}\n`);
  return false;
}

export function tellDecided(change: PlanChange): string {
  if (change.type === "fan-out-answered")
    return change.agreed ? `Agreed to ${change.runs} runs.` : "None of these runs is started.";
  if (change.type !== "gate-decided") return "";
  return { approve: "Approved.", "send-back": "Sent back.", stop: "Stopped: the plan is being ended." }[
    change.decision
  ];
}

function tellNext({ planId, plan }: PlanState): string {
  return `\`automagik-workflows-mcp plan show ${nameForShell(plan.name, planId)} --follow\` shows how it goes on.`;
}
