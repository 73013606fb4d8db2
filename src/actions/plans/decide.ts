import type { Plans } from "../../plan-runner/plans.js";
import type { PlanChange } from "../../plans/machine/events.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import { ActionError } from "../answer.js";
import { lookAtGate } from "./look-at-gate.js";
import { telling } from "./open-plans.js";

/** What a person says to a gate, or to the agreement to a number of runs. */
export type Verdict =
  | { kind: "approve" }
  | { kind: "send-back"; words: string }
  | { kind: "stop" }
  | { kind: "yes" }
  | { kind: "no" };

const WORDS_LIMIT = 10_000;

/**
 * What a decision reads as. Nothing is guessed: other words decide nothing.
 * @throws ActionError that says which words do
 */
export function readVerdict(text: string, kind: "gate" | "agreement"): Verdict {
  const said = text.trim();
  const word = said.toLowerCase().replace(/[.!]$/, "");
  if (kind === "agreement") {
    if (word === "yes" || word === "no") return { kind: word };
    throw new ActionError("Say yes or no to these runs. Nothing was decided.");
  }
  if (word === "approve" || word === "approved") return { kind: "approve" };
  if (word === "stop") return { kind: "stop" };
  const back = /^send[ _-]?back\b[:,]?\s*(.*)$/is.exec(said);
  if (back?.[1]) return { kind: "send-back", words: back[1].slice(0, WORDS_LIMIT) };
  throw new ActionError(
    back
      ? "Say what should change: `send back: <what should change>`. Nothing was decided."
      : "A gate takes `approve`, `send back: <what should change>`, or `stop`. Nothing was decided.",
  );
}

/**
 * The change that a verdict is, bound to what is open in the state that the person was shown.
 * @throws ActionError when nothing of the kind is open
 */
export function toChange(state: PlanState, { step, kind }: WaitingFor, verdict: Verdict): PlanChange {
  const { agreement } = state.steps[step] ?? {};
  if (kind === "agreement" && agreement && (verdict.kind === "yes" || verdict.kind === "no"))
    return {
      type: "fan-out-answered",
      step,
      attempt: agreement.attempt,
      runs: agreement.runs,
      agreed: verdict.kind === "yes",
    };
  const gate = lookAtGate(state, step);
  if (!gate || verdict.kind === "yes" || verdict.kind === "no")
    throw new ActionError(`Step ${step} waits for no such decision. Nothing was decided.`);
  return {
    type: "gate-decided",
    step,
    attempt: gate.opening.attempt,
    commits: gate.opening.commits,
    decision: verdict.kind,
    ...(verdict.kind === "send-back" ? { words: verdict.words } : {}),
  };
}

/** Makes a change. @returns the plan after it, and why it was refused, as sentences */
export async function tellPlanChange(
  planId: string,
  change: PlanChange,
  plans: Plans,
): Promise<{ state: PlanState; refused?: string }> {
  const told = await telling("Nothing was changed.", () => plans.tell(planId, change));
  if (!told) throw new ActionError("The plan is not there any more. Nothing was changed.");
  return told;
}

/** "Approved at gate ok.", once it is written down. */
export function tellDecided({ step }: WaitingFor, verdict: Verdict): string {
  switch (verdict.kind) {
    case "approve":
      return `Approved at gate ${step}.`;
    case "send-back":
      return `Sent back at gate ${step}: ${asSentence(cleanLine(verdict.words, 200))}`;
    case "stop":
      return `Stopped at gate ${step}: the plan is being ended.`;
    case "yes":
      return `Agreed to the runs of step ${step}.`;
    case "no":
      return `None of the runs of step ${step} is started.`;
  }
}
