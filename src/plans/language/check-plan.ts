import { fillChecks } from "../fill-checks.js";
import { buildGraph } from "../graph.js";
import { DEFAULT_LIMITS, type FieldValue, optional, type Plan, type PlanLimits } from "../plan.js";
import { countRuns } from "../run-count.js";
import { checkInputs } from "./check-inputs.js";
import { checkReferences } from "./check-references.js";
import { checkSessionNames } from "./check-session-names.js";
import { checkSteps, makeStep, nameSteps, type PlanAgent, type PlanFeature } from "./check-steps.js";
import { type Choices, type ChooseWorkflow, chooseWorkflows } from "./choose-workflows.js";
import { copyPlain } from "./plain-value.js";
import { collectProblems, type PlanProblem, planLine, quote } from "./problems.js";
import { addProblem, type Reading } from "./read-object.js";
import { readPlanText } from "./read-plan-text.js";
import { type RawPlan, readPlanShape } from "./read-shape.js";

export interface CheckOptions {
  /** Names of the catalogue's workflows; left out while nobody knows them, and then any name is taken. */
  workflows?: readonly string[] | undefined;
  /** The agents that a step can name; left out while nobody knows them. */
  agents?: readonly PlanAgent[] | undefined;
  /** The agent that a workflow has of its own, where that is known. */
  agentOf?: ((workflow: string) => string | undefined) | undefined;
  /** Chooses where a step says `auto`. Left out, `auto` stays; nothing that has it can be started. */
  choose?: ChooseWorkflow | undefined;
  /** Values for the plan's inputs. Left out: not known yet, and not checked. */
  inputs?: unknown;
  /** Limits where the plan has none. */
  defaults?: Partial<PlanLimits>;
  /** What is not possible here, each with the reason as a sentence's beginning: "This API does not resume". */
  cannot?: Partial<Record<PlanFeature, string>>;
  /** The plan's name where it has none of its own. */
  name?: string;
}

/** A plan without mistakes. */
export interface SoundPlan {
  plan: Plan;
  /** Given values and defaults, by name. */
  inputs: Record<string, FieldValue>;
  /** Required inputs without a value. */
  missing: string[];
  /** The workflows that were chosen where a step says `auto`. */
  chosen: Choices["chosen"];
}

export type CheckedPlan =
  | SoundPlan
  | {
      /** All mistakes, in the order of the text. */
      problems: PlanProblem[];
      /** Steps of which it is a mistake that no workflow stands out. */
      undecided?: Choices["undecided"];
    };

/**
 * Checks a plan before anything of it costs something: an object, or a text in JSON or YAML. All mistakes are told at
 * once. Never throws, whatever comes in, and takes milliseconds.
 */
export async function checkPlan(input: unknown, options: CheckOptions = {}): Promise<CheckedPlan> {
  if (typeof input !== "string") return checkPlanValue(input, options);
  const text = await readPlanText(input);
  if ("problems" in text) return { problems: text.problems.map((problem) => ({ path: "", ...problem })) };
  return checkPlanValue(text.value, options, text.lineOf);
}

/** The same of a plan that is no text any more. */
export function checkPlanValue(
  input: unknown,
  options: CheckOptions = {},
  lineOf?: Reading["lineOf"],
): CheckedPlan {
  const problems = collectProblems();
  const reading: Reading = { problems, ...optional("lineOf", lineOf) };
  const plain = copyPlain(input);
  if ("problem" in plain)
    return { problems: [{ path: "", message: `The plan cannot be read: ${plain.problem}.` }] };
  const raw = readPlanShape(plain.value, reading);
  if (!raw) return { problems: problems.all() };

  const steps = nameSteps(raw.steps, reading);
  if (steps.length === 0 && !raw.stepsUnread)
    addProblem(
      reading,
      { path: ["steps"] },
      {
        message: "The plan has no steps.",
        correction: "steps: [{ id: design, run: architect, task: Design the login }]",
      },
    );
  const graph = buildGraph(steps.map(({ id, raw: { needs = [] } }) => ({ id, needs })));
  for (const circle of graph.circles) {
    const at = steps.findIndex(({ id }) => id === circle[0]);
    const step = steps[at];
    addProblem(
      reading,
      { path: ["steps", at, "needs"], ...optional("step", step?.id) },
      {
        message: `The steps wait for each other in a circle: ${circle.slice(0, 20).join(" needs ")}.`,
        correction: planLine(
          "needs",
          (step?.raw.needs ?? []).filter((need) => need !== circle[1]),
        ),
      },
    );
  }
  const { workflows, cannot = {}, agents } = options;
  checkSteps({ steps, graph, reading, workflows, cannot, agents });
  checkSessionNames(steps, reading);
  checkReferences({ steps, graph, inputs: raw.inputs, reading });

  const given = options.inputs === undefined ? undefined : copyPlain(readInputs(options.inputs));
  if (given && "problem" in given)
    addProblem(reading, { path: ["inputs"] }, { message: `The inputs cannot be read: ${given.problem}.` });
  const inputs = checkInputs(raw.inputs, given && "value" in given ? given.value : undefined, reading);

  const limits = makeLimits(raw, options.defaults);
  const made = steps.filter(({ kind }) => kind !== undefined).map(makeStep);
  const { choose } = options;
  const choices: Choices = { chosen: [], undecided: [] };
  const plan: Plan = {
    name: raw.name ?? options.name ?? "plan",
    ...optional("description", raw.description),
    inputs: raw.inputs,
    limits,
    ...(raw.finish === "pull_request" ? { finish: raw.finish } : {}),
    steps: choose ? chooseWorkflows(made, { choose, steps, inputs: inputs.values, reading, choices }) : made,
  };
  checkLimits(plan, inputs.values, raw, reading);
  checkCost(plan, options, reading);
  const found = problems.all();
  if (found.length > 0)
    return { problems: found, ...(choices.undecided.length > 0 ? { undecided: choices.undecided } : {}) };
  // Before they are given nothing is known of them.
  const filled = options.inputs === undefined ? plan : fillChecks(plan, inputs.values);
  return {
    plan: filled,
    inputs: inputs.values,
    missing: options.inputs === undefined ? [] : inputs.missing,
    chosen: choices.chosen,
  };
}

/** The inputs may come as a JSON text, too. */
function readInputs(given: unknown): unknown {
  if (typeof given !== "string") return given;
  try {
    return given.trim() === "" ? {} : JSON.parse(given);
  } catch {
    return given;
  }
}

function makeLimits({ limits }: RawPlan, defaults: Partial<PlanLimits> = {}): PlanLimits {
  return {
    parallel: limits.parallel ?? defaults.parallel ?? DEFAULT_LIMITS.parallel,
    runs: limits.runs ?? defaults.runs ?? DEFAULT_LIMITS.runs,
    minutes: limits.minutes ?? defaults.minutes ?? DEFAULT_LIMITS.minutes,
    ...optional("costUsd", limits.cost_usd ?? defaults.costUsd),
  };
}

/** A limit of cost is for all runs, so that each of them has to tell what it costs. */
function checkCost({ limits, steps }: Plan, { agents = [], agentOf }: CheckOptions, reading: Reading): void {
  if (limits.costUsd === undefined) return;
  for (const step of steps) {
    if (step.kind !== "run") continue;
    const name = step.agent ?? agentOf?.(step.workflow);
    if (!agents.some((agent) => agent.name === name && !agent.tellsCost)) continue;
    addProblem(
      reading,
      { path: ["limits", "cost_usd"], step: step.id },
      {
        message: `Step ${quote(step.id)} is for the agent ${name}, which does not tell what it costs, so a limit of cost cannot be kept: give that step another agent, or the plan no such limit.`,
      },
    );
  }
}

/** A limit that the plan is sure to meet is a mistake, too: it would end half done. */
function checkLimits(
  plan: Plan,
  inputs: Record<string, FieldValue>,
  { limits }: RawPlan,
  reading: Reading,
): void {
  const { least } = countRuns(plan, inputs);
  if (least <= plan.limits.runs) return;
  addProblem(
    reading,
    { path: ["limits", "runs"] },
    {
      message: `The plan needs at least ${least} runs, and ${limits.runs === undefined ? "without a limit of its own " : ""}at most ${plan.limits.runs} may be started.`,
      correction: planLine("runs", least),
    },
  );
}
