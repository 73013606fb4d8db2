import { commandsOf, type PlanCommand } from "../../plans/machine/commands.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import type { PlanState } from "../../plans/machine/state.js";
import { cleanLine, cleanText } from "../../shared/text.js";

/** What a person decides on at a gate, as it is open now: the decision is bound to it. */
export interface OpenGate extends Omit<Extract<PlanCommand, { type: "open-gate" }>, "id" | "type"> {
  /** The steps right before it, each with what has come of it, on one line. */
  before: string[];
  /** Where the work is that it is about. */
  works: { step: string; branch: string; commit: string; runId?: string }[];
}

/** What a step has to show at a gate is cut at so many characters: enough for a design. */
const TEXT_LIMIT = 20_000;

/** Undefined where no gate of that name is open. */
export function lookAtGate(state: PlanState, step: string): OpenGate | undefined {
  const open = commandsOf(state).find((one) => one.type === "open-gate" && one.step === step);
  if (open?.type !== "open-gate") return undefined;
  const { id: _id, type: _type, ...gate } = open;
  const view = describePlan(state);
  const needs = state.plan.steps.find(({ id }) => id === step)?.needs ?? [];
  const before = view.steps
    .filter(({ id }) => needs.includes(id))
    .map(({ id, status, outcome }) => `${id}: ${status}${outcome ? `: ${cleanLine(outcome, 300)}` : ""}`);
  return {
    ...gate,
    question: cleanText(gate.question, 1_000),
    text: cleanText(gate.text, TEXT_LIMIT),
    before,
    works: findWorks(state, gate.opening.commits),
  };
}

/** The newest work of each branch with one of these commits. */
function findWorks(state: PlanState, commits: readonly string[]): OpenGate["works"] {
  const found = new Map<string, OpenGate["works"][number]>();
  for (const step of state.plan.steps) {
    const now = state.steps[step.id];
    if (!now) continue;
    const add = (branch: string | null | undefined, commit: string | undefined, runId?: string) => {
      if (!branch || commit === undefined || !commits.includes(commit)) return;
      found.set(branch, { step: step.id, branch, commit, ...(runId === undefined ? {} : { runId }) });
    };
    if (step.kind === "merge") add(now.branch, now.commit);
    for (const { branch, commit, runId } of now.attempts) add(branch, commit, runId);
  }
  return [...found.values()];
}

/** What is decided on, as text: the question, what has come before, and where the work is. */
export function renderGate({ step, question, text, before, works }: OpenGate): string {
  return [
    `${step}: ${question}`,
    ...(text ? ["", text] : []),
    ...(before.length > 0 ? ["", "Before it:", ...before.map((line) => `  ${line}`)] : []),
    ...(works.length > 0
      ? [
          "",
          "Work:",
          ...works.map((one) => `  ${one.step}: ${cleanLine(one.branch, 200)} at ${one.commit.slice(0, 10)}`),
        ]
      : []),
  ].join("\n");
}
