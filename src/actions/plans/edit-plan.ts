import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { DryRun } from "../../plans/dry-run.js";
import { spellPlan } from "../../plans/language/spell-plan.js";
import type { PlanChange } from "../../plans/machine/events.js";
import type { PlanState } from "../../plans/machine/state.js";
import type { Plan, PlanLimits } from "../../plans/plan.js";
import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import { ActionError, type Answer } from "../answer.js";
import type { Arguments } from "../arguments.js";
import type { Call, Services } from "../define-action.js";
import { agreeToPlan, checkCommandsOf, findAgreement } from "./agree.js";
import { findLostGates } from "./gates-lost.js";
import { openPlans, telling } from "./open-plans.js";
import { readDocument, readRecord, requireSound } from "./read-plan.js";

/** What a plan that goes on can be told. */
export type ChangeArguments = Arguments<
  "change" | "step" | "steps" | "limits" | "plan" | "message" | "wait_seconds" | "confirm"
>;

/** A change that may be made, with what is said of it afterwards; or the answer that the call ends with. */
export type Prepared = { change: PlanChange; done: string } | Answer;

const NOTHING = "Nothing was changed.";

/**
 * Makes a plan that goes on another one: `steps` are added, or replace those of their id that have not begun; `limits`
 * replace those that are named; a whole `plan` also drops steps that it does not have.
 * @returns the change, or the answer when the person does not agree to what it brings: commands, higher limits, many runs
 * @throws ActionError with all mistakes of the plan as it would be
 */
export async function editPlan(
  { state }: PlanSight,
  args: ChangeArguments,
  call: Call,
  services: Services,
): Promise<Prepared> {
  const plans = await openPlans(services);
  const { name } = state.plan;
  const wanted = await compose(state, args);
  const checked = requireSound(
    await plans.check(wanted, { name, inputs: state.inputs }),
    "The plan as it would be",
    NOTHING,
  );
  const plan = { ...checked.plan, name };
  const changes = compare(state.plan, plan);
  if (changes.length === 0)
    throw new ActionError(
      `The plan is like this already. ${NOTHING} Say which steps or limits should be different.`,
    );
  const foreseen = await telling(NOTHING, () => plans.foresee(plan, state.inputs));
  const known = [state.plan, ...state.earlier.map((one) => one.plan)].flatMap(checkCommandsOf);
  const raised = raisedLimits(state.plan.limits, plan.limits);
  const needed = findAgreement(plan, foreseen, undefined, services, known);
  const refused = findRefused(state, plan);
  const gates = [...findLostGates(state.plan, plan), ...refused];
  const isMore = await grows(state, foreseen, plans);
  if (
    raised.length > 0 ||
    gates.length > 0 ||
    isMore.unasked ||
    (needed && (needed.commands.length > 0 || isMore.runs))
  ) {
    const raise = raised.length > 0 ? ` and raise its limits: ${raised.join(", ")}` : "";
    const ended = await agreeToPlan(
      needed ?? { commands: [], isLarge: false },
      plan,
      foreseen,
      {
        deed: `Change the plan ${cleanLine(name, 60)}${raise}`,
        details: [...gates, ...changes],
        arguments: {
          plan_id: state.planId,
          change: "edit",
          ...Object.fromEntries(
            (["plan", "steps", "limits"] as const).flatMap((key) => (args[key] ? [[key, args[key]]] : [])),
          ),
        },
        confirm: args.confirm,
        isMore: raised.length > 0 || gates.length > 0,
        untouched: NOTHING,
      },
      call,
      services,
    );
    if (ended) return ended;
  }
  return {
    change: { type: "plan-edited", plan, version: state.version },
    done: [`Changed: version ${state.version + 1} of the plan.`, ...changes].join("\n"),
  };
}

/** Steps of which the person did not agree to the runs, and that would become others: what does not ask may begin then. */
function findRefused({ steps, plan: old }: PlanState, plan: Plan): string[] {
  const now = new Map(plan.steps.map((step) => [step.id, JSON.stringify(step)]));
  return old.steps.flatMap((step) =>
    steps[step.id]?.agreement?.agreed === false && now.get(step.id) !== JSON.stringify(step)
      ? [`The runs of step ${step.id} were not agreed to, and it becomes another one.`]
      : [],
  );
}

/**
 * Whether a plan would start more than it did as it was.
 * @returns `runs`: what can be foreseen is more; `unasked`: what cannot is begun without a question, since the person
 * has agreed to all of the plan before it began
 */
async function grows(
  { plan, inputs, agreeAbove }: PlanState,
  foreseen: DryRun,
  plans: Plans,
): Promise<{ runs: boolean; unasked: boolean }> {
  const before = await telling(NOTHING, () => plans.foresee(plan, inputs));
  const cost = ({ costUsd, knownCostUsd = 0 }: DryRun) => costUsd ?? knownCostUsd;
  const isOpened = foreseen.runs.isOpen && !before.runs.isOpen;
  return {
    runs: foreseen.runs.expected > before.runs.expected || cost(foreseen) > cost(before),
    unasked: isOpened && agreeAbove.runs === undefined && agreeAbove.costUsd === undefined,
  };
}

async function compose(state: PlanState, args: ChangeArguments): Promise<unknown> {
  const whole = await readRecord("plan", args.plan);
  const steps = await readDocument("steps", args.steps);
  const limits = await readRecord("limits", args.limits);
  if (!whole && steps === undefined && !limits)
    throw new ActionError(
      `Say what should change: \`steps\` to add or to replace, \`limits\`, or the whole \`plan\`. ${NOTHING}`,
    );
  const own = spellPlan(state.plan);
  // The inputs of a plan that has begun stay, and so does its name.
  const base = whole ? { ...whole, name: own.name, ...(own.inputs ? { inputs: own.inputs } : {}) } : own;
  const merged = { ...own.limits, ...(asRecord(whole?.limits) ?? {}), ...limits };
  return { ...base, limits: merged, ...(steps === undefined ? {} : { steps: mergeSteps(base, steps) }) };
}

function mergeSteps(base: Record<string, unknown>, given: unknown): unknown {
  // What is no list of steps is told by the check.
  if (!Array.isArray(given)) return given;
  const own = Array.isArray(base.steps) ? base.steps : [];
  const named = new Map(given.map((step) => [asRecord(step)?.id, step]));
  const ids = new Set(own.map((step) => asRecord(step)?.id));
  return [
    ...own.map((step) => named.get(asRecord(step)?.id) ?? step),
    ...given.filter((step) => !ids.has(asRecord(step)?.id)),
  ];
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** What becomes another one, a line each. */
function compare(old: Plan, plan: Plan): string[] {
  const before = new Map(old.steps.map((step) => [step.id, JSON.stringify(step)]));
  const ids = new Set(plan.steps.map(({ id }) => id));
  const lines = plan.steps.flatMap((step) => {
    const was = before.get(step.id);
    if (was === JSON.stringify(step)) return [];
    return [`${was === undefined ? "New" : "Changed"} step: ${step.id}.`];
  });
  for (const { id } of old.steps) if (!ids.has(id)) lines.push(`Dropped step: ${id}.`);
  if (tellLimits(old.limits) !== tellLimits(plan.limits)) lines.push(`Limits: ${tellLimits(plan.limits)}.`);
  return lines;
}

function raisedLimits(old: PlanLimits, now: PlanLimits): string[] {
  const raised: string[] = [];
  if (now.runs > old.runs) raised.push(`${old.runs} to ${now.runs} runs`);
  if (now.minutes > old.minutes) raised.push(`${old.minutes} to ${now.minutes} minutes`);
  const { costUsd: before } = old;
  if (before !== undefined && (now.costUsd === undefined || now.costUsd > before))
    raised.push(`${formatUsd(before)} to ${now.costUsd === undefined ? "no limit" : formatUsd(now.costUsd)}`);
  return raised;
}

/** "12 runs, 3 at once, $20.00, 240 minutes" */
function tellLimits({ runs, parallel, costUsd, minutes }: PlanLimits): string {
  const cost = costUsd === undefined ? "no limit of the cost" : formatUsd(costUsd);
  return `${runs} runs, ${parallel} at once, ${cost}, ${minutes} minutes`;
}
