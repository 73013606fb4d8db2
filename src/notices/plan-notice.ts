import { asSentence, cleanLine } from "../shared/text.js";
import { formatUsd } from "../shared/usd.js";
import { askFor, NAME_CHARACTERS, type Notice, TEXT_CHARACTERS, TITLE_CHARACTERS } from "./notice.js";

/** What is known of a plan. Texts are untrusted: they come from plans, agents and APIs. */
export interface PlanFacts {
  planId: string;
  name: string;
  status: string;
  /** Where it stands, on one line. */
  line: string;
  runs: number;
  costUsd?: number | undefined;
}

/** What of a plan needs a person. */
export interface PlanNeed {
  step: string;
  /** What is decided, or what is wrong, as a sentence. */
  what: string;
  kind: "gate" | "agreement" | "lost" | "blocked";
}

/** The notice of something that a plan needs a person for. @param at epoch ms */
export function noticeOfPlanNeed(facts: PlanFacts, need: PlanNeed, id: string, at: number): Notice {
  const name = cleanLine(facts.name, NAME_CHARACTERS);
  const what = cleanLine(need.what, TEXT_CHARACTERS);
  const head = need.kind === "blocked" ? `${name} is blocked` : `${name} needs you`;
  const step = cleanLine(need.step, NAME_CHARACTERS);
  return {
    event: "needs_you",
    ...describe(facts, id, at, step),
    title: cleanLine(what ? `${head}: ${what}` : head, TITLE_CHARACTERS),
    body: `${WAITS[need.kind](step)} ${askFor(name)}.`,
  };
}

const WAITS: Record<PlanNeed["kind"], (step: string) => string> = {
  gate: (step) => `The plan waits at the gate ${step} for your decision. To give it,`,
  agreement: (step) => `The plan waits for your agreement before the runs of the step ${step}. To give it,`,
  lost: (step) => `Of the step ${step} it is not known whether its run was started. To see what can be done,`,
  blocked: (step) => `The plan does not get further by itself at the step ${step}. To see what can be done,`,
};

/** The notice that four fifths of a limit are used. @param near sentences @param at epoch ms */
export function noticeOfPlanLimit(facts: PlanFacts, near: readonly string[], id: string, at: number): Notice {
  const name = cleanLine(facts.name, NAME_CHARACTERS);
  return {
    event: "limit_near",
    ...describe(facts, id, at),
    title: cleanLine(`${name} is near its limit: ${near.join(" ")}`, TITLE_CHARACTERS),
    body: `At a limit the plan begins nothing more and waits for you. To see where it stands or to raise the limit, ${askFor(name)}.`,
  };
}

/** The notice of a plan's end; undefined for one that a person has ended, who knows. @param at epoch ms */
export function noticeOfPlanEnd(facts: PlanFacts, id: string, at: number, why = ""): Notice | undefined {
  if (facts.status === "killed") return undefined;
  const name = cleanLine(facts.name, NAME_CHARACTERS);
  if (facts.status === "completed") {
    const cost = facts.costUsd ? `, ${formatUsd(facts.costUsd)}` : "";
    const effort = asSentence(`${facts.runs} run${facts.runs === 1 ? "" : "s"}${cost}`);
    return {
      event: "finished",
      ...describe(facts, id, at),
      title: cleanLine(`${name}: finished`, TITLE_CHARACTERS),
      body: `${effort} To see the result, ${askFor(name)}.`,
    };
  }
  return {
    event: "failed",
    ...describe(facts, id, at),
    title: cleanLine(`${name} failed${why ? `: ${why}` : ""}`, TITLE_CHARACTERS),
    body: `To see what can be done, ${askFor(name)}.`,
  };
}

function describe(
  facts: PlanFacts,
  id: string,
  at: number,
  step?: string,
): Pick<Notice, "id" | "at" | "plan"> {
  const { planId, name, status, line, runs, costUsd } = facts;
  return {
    id,
    at: new Date(at).toISOString(),
    plan: {
      plan_id: planId,
      name: cleanLine(name, NAME_CHARACTERS),
      status,
      line: cleanLine(line, TEXT_CHARACTERS),
      runs,
      ...(costUsd ? { cost_usd: costUsd } : {}),
      ...(step === undefined ? {} : { step }),
    },
  };
}
