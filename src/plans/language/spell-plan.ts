import { type BackTo, type Fields, optional, type Plan, type PlanLimits, type PlanStep } from "../plan.js";

/**
 * A plan in the words in which plans are written, so that it can be changed and checked again: reading it gives the same
 * plan.
 */
export function spellPlan({ name, description, inputs, limits, finish, steps }: Plan) {
  return {
    name,
    ...optional("description", description),
    ...(Object.keys(inputs).length > 0 ? { inputs: spellFields(inputs) } : {}),
    limits: spellLimits(limits),
    ...optional("finish", finish),
    steps: steps.map(spellStep),
  };
}

function spellLimits({ parallel, runs, costUsd, minutes }: PlanLimits) {
  return { parallel, runs, ...optional("cost_usd", costUsd), minutes };
}

/** Copies: what is read may not be changed by who has written it. */
function spellFields(fields: Fields): Record<string, unknown> {
  return structuredClone(fields) as Record<string, unknown>;
}

function spellBackTo({ step, max, when }: BackTo) {
  return { step, max, ...optional("when", when) };
}

function spellStep(step: PlanStep): Record<string, unknown> {
  const common = {
    id: step.id,
    needs: [...step.needs],
    ...optional("when", step.when),
    ...optional("join", step.join),
  };
  switch (step.kind) {
    case "gate":
      return {
        ...common,
        gate: step.question,
        ...optional("show", step.show),
        ...optional("back_to", step.backTo && spellBackTo(step.backTo)),
      };
    case "merge":
      return { ...common, merge: step.merge, ...optional("check", step.check) };
    case "run":
      return {
        ...common,
        run: step.workflow,
        ...optional("agent", step.agent),
        ...optional("task", step.task),
        ...optional("output", step.output && spellFields(step.output)),
        ...optional("continue", step.continue),
        ...optional("from", step.from),
        ...optional("for_each", step.forEach),
        ...optional("parallel", step.parallel),
        ...(step.retry > 0 ? { retry: step.retry } : {}),
        ...optional("back_to", step.backTo && spellBackTo(step.backTo)),
      };
  }
}
