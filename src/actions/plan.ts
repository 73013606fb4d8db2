import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";

const PLAN_PARAMETERS = [
  "plan",
  "inputs",
  "dry_run",
  "plan_id",
  "change",
  "step",
  "steps",
  "limits",
  "message",
  "session_name",
  "repository_url",
  "git_branch",
  "wait_seconds",
  "issue",
  "confirm",
  "finish",
] as const;

const ABOUT_PLAN =
  "A template's name (list_plans), or the plan itself, as JSON or YAML: name, inputs, limits, steps. A step has an id and " +
  "one of run (a workflow; with task), gate (a question to the person; with show, back_to) or merge (a step with for_each; " +
  "with check), and needs: the steps before it. Also: from, continue, for_each, output, when, retry. " +
  `Texts refer by \${inputs.x}, \${item}, \${steps.id.result}, \${steps.id.output.x}.`;

/** Begins a plan, several runs as one piece of work, and stays with it; or changes one that goes on. */
export const planAction = defineAction({
  name: "plan",
  toolName: "run_plan",
  title: "Run a plan",
  summary:
    "several runs as one piece of work: in order or parallel, gates where the person decides, merges, limits. Or change plan_id.",
  description:
    "Begins a plan: several runs as one piece of work, in order or in parallel, with gates at which the person decides, " +
    "merges and limits; follows it with progress. The person is asked for missing inputs, name, repository and branch. " +
    "dry_run tells what it would take. With plan_id and change a plan that goes on is changed. Every call without " +
    "plan_id begins a new, paid plan.",
  searchHint:
    "plan orchestrate workflow several agents parallel fan out gate approve merge template hive automagik",
  parameters: PLAN_PARAMETERS,
  // A plan says it itself, by its key of the same name.
  unpublished: ["finish"],
  about: {
    plan: ABOUT_PLAN,
    inputs:
      "Values of the plan's inputs: JSON, names with values. The person is asked for those that are missing.",
    dry_run: "Only check it, and tell waves, runs, turns, time and cost.",
    plan_id: "Id of the plan to change.",
    change: "What to do with it.",
    step: "The step to skip or to redo.",
    steps: "Steps that are added, or replace those of their id which have not begun: a JSON list.",
    limits: "Limits in place of the plan's own: JSON with parallel, runs, cost_usd, minutes.",
    message: "redo: what should be different.",
    session_name: "The plan's name; one is suggested to the person.",
    wait_seconds: "Seconds to follow it; 0 answers at once. It goes on either way.",
    confirm: "true only after the person agreed, where there are no forms.",
  },
  // With these a model means a single run.
  misplaced: { workflow_name: "run", run_id: "status" },
  endpoint: "start",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  answerParts: ["plan", "dry_run", "missing"],

  async handle(
    args: Arguments<(typeof PLAN_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    // Loaded with the first plan.
    const { runPlan } = await import("./plans/run-plan.js");
    return runPlan(args, call, services);
  },
});
