import { inert } from "../integrations/inert.js";
import { issueOf } from "../integrations/quote-task.js";
import { describePlan, progressLine, type StepView } from "../plans/machine/describe-plan.js";
import type { PlanState } from "../plans/machine/state.js";
import { cleanLine, cleanText } from "../shared/text.js";
import { formatUsd } from "../shared/usd.js";

const TITLE_CHARS = 100;
const STEPS = 50;
const OUTCOME_CHARS = 300;
const ISSUES = 30;

/**
 * What a pull request of a plan is called and says: the issues among its inputs, its steps with what came of them, checks, and what it has cost.
 * @returns `comment`: how the plan stands, for the one comment at a branch that no run of it has
 */
export function tellPullRequest(state: PlanState): { title: string; body: string; comment: string } {
  const { plan } = state;
  const { name, steps, runs, costUsd, knownCostUsd } = describePlan(state);
  const checks = plan.steps.flatMap((step) =>
    step.kind === "merge" && step.check && state.steps[step.id]?.status === "succeeded"
      ? [`- \`${cleanLine(step.check, 200).replaceAll("`", "'")}\` passed after each merge (${step.id})`]
      : [],
  );
  const cost = costUsd === undefined ? `at least ${formatUsd(knownCostUsd)}` : formatUsd(costUsd);
  const standing = [
    `**Plan ${inert(cleanLine(name, TITLE_CHARS))}**: ${inert(cleanLine(progressLine(state)))}`,
    steps.slice(0, STEPS).map(tellStep).join("\n"),
    `**Checks**\n\n${checks.length > 0 ? checks.join("\n") : "None were run as a condition; what agents have tested stands in their own words."}`,
    `**Effort**: ${runs.started} run${runs.started === 1 ? "" : "s"}, ${cost}.`,
  ];
  const description = plan.description ? [inert(cleanText(plan.description, 1_000))] : [];
  return {
    title: inert(cleanLine(name, TITLE_CHARS)) || "Work of a plan",
    body: [
      ...description,
      ...tellIssues(state),
      ...standing,
      "Agents have written this; read it before you merge it.",
    ].join("\n\n"),
    comment: [...standing, "This comment is kept up to date."].join("\n\n"),
  };
}

/** Which issues it was begun with; what stands in them stays where it is. */
function tellIssues({ inputs }: PlanState): string[] {
  const named = Object.values(inputs)
    .flat()
    .map((value) => issueOf(String(value)));
  const issues = named.filter((issue) => issue !== undefined).slice(0, ISSUES);
  return issues.length > 0 ? [issues.map((issue) => `- ${issue}`).join("\n")] : [];
}

function tellStep({ id, status, outcome }: StepView): string {
  const said = outcome ? `: ${inert(cleanLine(outcome, OUTCOME_CHARS))}` : "";
  return `- ${cleanLine(id, 60)} (${status})${said}`;
}
