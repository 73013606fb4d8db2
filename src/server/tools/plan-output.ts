import type { Answer } from "../../actions/answer.js";

type PlanAnswer = NonNullable<Answer["plan"]>;

/** The steps of a plan as lines; what the summary tells of the plan as a whole is not told again. */
export function renderPlanSteps({ steps }: PlanAnswer): string {
  const lines = steps.map(({ id, kind, status, attempt, reason, outcome, runs, items, ...rest }) => {
    const facts = [
      items,
      attempt > 1 ? `attempt ${attempt}` : "",
      rest.turns === undefined ? "" : `${rest.turns} turn${rest.turns === 1 ? "" : "s"}`,
      rest.cost_usd === undefined ? "" : `$${rest.cost_usd.toFixed(2)}`,
      rest.branch && `branch ${rest.branch}`,
      rest.session_name && `session ${rest.session_name}`,
      rest.run_id && `run ${rest.run_id}`,
      `since ${rest.since}`,
    ].filter(Boolean);
    const why = reason ? `\n    ${reason}` : "";
    const came = outcome ? `\n    ${kind === "run" ? "its agent: " : ""}${outcome}` : "";
    return `  ${id} (${kind}): ${status}${facts.length > 0 ? `, ${facts.join(", ")}` : ""}${why}${came}${(runs ?? []).map(renderItem).join("")}`;
  });
  return ["Steps:", ...lines].join("\n");
}

function renderItem({
  item,
  status,
  ...rest
}: NonNullable<PlanAnswer["steps"][number]["runs"]>[number]): string {
  const facts = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return `\n    - ${item}: ${[status, ...facts].join(", ")}`;
}

export function renderPlans(plans: NonNullable<Answer["plans"]>): string {
  const lines = plans.map(
    ({ plan_id, name, status, line, created_at, runs, cost_usd, cost_limit_usd, waiting_for = [] }) => {
      const cost = cost_usd === undefined ? "cost unknown" : `$${cost_usd.toFixed(2)}`;
      const of = cost_limit_usd === undefined ? "" : ` of $${cost_limit_usd.toFixed(2)}`;
      const waits = waiting_for.map(
        ({ step, what, since }) => `\n    waits: ${step}: ${what} (since ${since})`,
      );
      return `- ${name} (${plan_id}): ${status}, since ${created_at}, ${runs.started} of ${runs.limit} runs, ${cost}${of}${line ? `\n    ${line}` : ""}${waits.join("")}`;
    },
  );
  return ["Plans:", ...lines].join("\n");
}

export function renderTemplates(templates: NonNullable<Answer["templates"]>): string {
  const lines = templates.map(({ name, description, source, inputs, problem }) => {
    const asks = inputs.map(
      ({ name: input, type, required, description: about, choices, default: value }) =>
        `\n    ${input}: ${choices ? choices.join(" | ") : type}${required ? ", required" : ""}${value === undefined ? "" : `, default ${JSON.stringify(value)}`}${about ? `; ${about}` : ""}`,
    );
    return `- ${name} (${source})${description ? `: ${description}` : ""}${problem ? `\n    ${problem}` : ""}${asks.join("")}`;
  });
  return ["Templates:", ...lines].join("\n");
}
