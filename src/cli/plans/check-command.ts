import { dryRun } from "../../plans/dry-run.js";
import { type CheckOptions, checkPlan } from "../../plans/language/check-plan.js";
import { describeProblem, type PlanProblem } from "../../plans/language/problems.js";
import type { PlanLimits } from "../../plans/plan.js";
import { createRouter, type DescribedWorkflow } from "../../workflows/router.js";
import type { PlanFile } from "./read-plan-file.js";

/** What a plan is held against. */
export interface CheckAgainst {
  /** Undefined while nobody knows them: then any name is taken. */
  workflows: readonly (DescribedWorkflow & { agent?: string })[] | undefined;
  /** The agents that it has; undefined while nobody knows them. */
  agents: CheckOptions["agents"];
  /** What the API cannot do, as `checkPlan` takes it. */
  cannot: CheckOptions["cannot"];
  limits: Partial<PlanLimits>;
}

/**
 * Checks a plan's file and tells all mistakes at once. Nothing is begun.
 * @param options.inputs values that are held against its inputs, too; left out, they are not looked at
 * @returns the exit code: 1 when there are mistakes
 */
export async function checkInTerminal(
  { text, name }: PlanFile,
  { workflows, agents, cannot = {}, limits }: CheckAgainst,
  options: { inputs?: Record<string, string> | undefined; out: (text: string) => void },
): Promise<number> {
  const { inputs, out } = options;
  const checked = await checkPlan(text, {
    workflows: workflows?.map((workflow) => workflow.name),
    choose: workflows && createRouter(workflows).choose,
    agents,
    agentOf: (workflow) => workflows?.find((one) => one.name === workflow)?.agent,
    cannot,
    defaults: limits,
    name,
    ...(inputs === undefined ? {} : { inputs }),
  });
  if ("problems" in checked) {
    out(`${tellProblems(checked.problems)}\n`);
    return 1;
  }
  const { plan, missing } = checked;
  const { waves, runs, warnings } = dryRun(plan, { inputs: checked.inputs });
  const least = runs.isOpen ? `${runs.least} or more` : String(runs.expected);
  const lines = [
    `Plan ${plan.name}: no mistakes.`,
    `Steps: ${waves.map((wave) => wave.map(({ id }) => id).join(", ")).join(" → ")}`,
    `Runs: ${least}, at most ${runs.limit}.`,
    ...(workflows === undefined
      ? ["The names of the workflows were not checked: the API did not tell its list."]
      : []),
    ...(missing.length > 0 ? [`Inputs without a value: ${missing.join(", ")}.`] : []),
    ...warnings,
  ];
  out(`${lines.join("\n")}\n`);
  return 0;
}

/** All mistakes, each with its place and how it could be written. */
export function tellProblems(problems: readonly PlanProblem[], left = "Nothing was begun."): string {
  const count = problems.length === 1 ? "1 mistake" : `${problems.length} mistakes`;
  return `${problems.map(describeProblem).join("\n")}\n\n${count}. ${left}`;
}
