import type { Plans } from "../../plan-runner/plans.js";
import type { PlanChange } from "../../plans/machine/events.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import type { PlanState } from "../../plans/machine/state.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import { whoAndWhere } from "../../shared/whose.js";
import { ActionError } from "../answer.js";
import { whoseCall } from "../define-action.js";
import { questionIdOf } from "./describe-plan-answer.js";
import { lookAtGate } from "./look-at-gate.js";
import { telling } from "./open-plans.js";
import { needsNow } from "./plan-needs.js";

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
export function toChange(
  state: PlanState,
  { step, kind }: WaitingFor,
  verdict: Verdict,
  call: Parameters<typeof whoseCall>[0],
): PlanChange {
  const { agreement } = state.steps[step] ?? {};
  const whose = whoseCall(call);
  if (kind === "agreement" && agreement && (verdict.kind === "yes" || verdict.kind === "no"))
    return {
      type: "fan-out-answered",
      step,
      attempt: agreement.attempt,
      runs: agreement.runs,
      agreed: verdict.kind === "yes",
      ...whose,
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
    ...whose,
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

/**
 * Why what was shown does not wait for a decision any more: "Gate ok was decided meanwhile in a terminal: approved."
 * @param shown the plan as it was when the person was asked
 * @param otherwise what is said where nobody has decided it
 */
export function tellMeanwhile(
  now: PlanState,
  shown: PlanState,
  need: WaitingFor,
  otherwise = `${nameNeed(need)} is not what it was when it was shown: the work, or the plan, has changed since.`,
): string {
  const { step } = need;
  const [before, after] = [shown.steps[step], now.steps[step]];
  if (need.kind === "agreement") {
    const { attempt, runs, agreed, ...whose } = after?.agreement ?? {};
    const isSame = attempt === before?.agreement?.attempt && runs === before?.agreement?.runs;
    if (isSame && agreed !== undefined)
      return `${nameNeed(need)} was decided meanwhile${whoAndWhere(whose)}: ${agreed ? "agreed to" : "turned down"}.`;
  }
  const decided = after?.decisions.findLast(
    ({ attempt, commits }) =>
      attempt === before?.open?.attempt && commits.join() === [...before.open.commits].sort().join(),
  );
  if (decided) {
    const words = decided.words ? `: ${asSentence(cleanLine(decided.words, 200))}` : ".";
    return `${nameNeed(need)} was decided meanwhile${whoAndWhere(decided)}: ${DECIDED[decided.decision]}${words}`;
  }
  return now.killAskedAt === undefined ? otherwise : "The plan was ended meanwhile.";
}

/** True while the plan still needs what was shown, as it was shown. */
export function isOpenStill(now: PlanState, shown: PlanState, need: WaitingFor): boolean {
  const wanted = questionIdOf(shown, need);
  return needsNow(now).some((one) => questionIdOf(now, one) === wanted);
}

const DECIDED = { approve: "approved", "send-back": "sent back", stop: "stopped" } as const;

/** "Gate ok", at the beginning of a sentence. */
export function nameNeed({ kind, step }: WaitingFor): string {
  return kind === "gate" ? `Gate ${step}` : `The agreement to the runs of step ${step}`;
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
