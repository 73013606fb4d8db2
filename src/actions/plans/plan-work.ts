import type { Run } from "../../api/types.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { branchesOf } from "../../plans/machine/plan-branches.js";
import { leftWork } from "../../plans/machine/sources.js";
import type { PlanState } from "../../plans/machine/state.js";
import { optional } from "../../plans/plan.js";
import { withDeadline } from "../../shared/deadline.js";
import type { NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { describeWork } from "../describe-work.js";
import { statusOf } from "./describe-plan-answer.js";
import type { PlanAnswer } from "./plan-answer.js";

/** Of so many branches the way to look at them is told; reading each of them is a request. */
const LOOKED_AT = 3;
const TOLD_BRANCHES = 8;
/** How long an answer waits for that, in ms. */
const LOOK_MS = 3_000;

type WorkAnswer = NonNullable<PlanAnswer["work"]>;
type FoundWork = { work: WorkAnswer; base?: string; isTaken?: boolean; isProposed?: boolean };

/**
 * The branches that nothing else of the plan has taken in, in the order of the plan, each with the way to look at all
 * of it where that can be had soon.
 * @returns `base`: the branch at which the plan has begun, where the API tells it; `isTaken`: it has the newest work; `isProposed`: that is in a pull
 * request, or about to be
 */
export async function findPlanWork(sight: PlanSight, call: Call, services: Services): Promise<FoundWork> {
  const work = branchesOf(sight.state).slice(-TOLD_BRANCHES);
  // While it goes on, the next look would be another one.
  if (work.length === 0 || statusOf(sight) === "running") return { work };
  const read = (runId: string) =>
    withDeadline(services.clock, LOOK_MS, (signal) => services.runs.read(runId, signal), call.signal).catch(
      () => undefined,
    );
  const first = firstRunOf(sight.state);
  const looked = work.slice(-LOOKED_AT).map(({ run_id }) => run_id);
  const ids = [...new Set([first, ...looked])].flatMap((id) => id ?? []);
  const runs = new Map(await Promise.all(ids.map(async (id) => [id, await read(id)] as const)));
  const begun = first === undefined ? undefined : runs.get(first);
  const base = begun?.work?.baseBranch;
  return {
    work: work.map((one, at) => {
      if (at < work.length - LOOKED_AT) return one;
      const run = runs.get(one.run_id ?? "");
      const { look, take } = commandsFrom(base, one.branch, run ?? begun);
      // What is a run's is taken by `take`, which asks.
      return { ...one, ...optional("look", look), ...optional("take", one.run_id ? undefined : take) };
    }),
    ...optional("base", base),
    isProposed: isProposed(sight, work.at(-1)?.branch),
    isTaken: base !== undefined && runs.get(work.at(-1)?.run_id ?? "")?.work?.mergedInto === base,
  };
}

/** The ways to what a branch has beyond the plan's own base, and not only beyond the step before it. */
function commandsFrom(
  base: string | undefined,
  branch: string,
  run: Run | undefined,
): { look?: string | undefined; take?: string | undefined } {
  if (!run?.work) return {};
  const own = run.work.branch === branch;
  if (!own && base === undefined) return {};
  return describeWork({ ...run, work: { ...run.work, branch, ...optional("baseBranch", base) } }) ?? {};
}

function isProposed({ state }: PlanSight, branch = ""): boolean {
  const found = state.pullRequests?.[branch];
  return found !== undefined && found.state !== "failed";
}

/** Of a plan that is over: how its newest work is taken into the branch at which it began, unless a pull request is for that. */
export function takeWork(status: PlanAnswer["status"], found: FoundWork): NextStep | undefined {
  const { work, base, isTaken } = found;
  const last = work.findLast(({ run_id }) => run_id !== undefined);
  if (!last || isTaken || found.isProposed) return undefined;
  // Of several branches the person has to choose.
  if (status !== "completed" || base === undefined || base === last.branch || work.length > 1)
    return {
      action: "diff",
      arguments: { run_id: last.run_id },
      reason: `See what step ${last.step} has changed. \`take\` with a run and \`into\` merges its branch, once the person wants that.`,
    };
  return {
    action: "take",
    arguments: { run_id: last.run_id, into: base },
    reason: `Merges all that ${last.branch} has into ${base}, once the person has looked at it and wants that.`,
  };
}

/** The first run that has begun where the plan itself has, and has left a branch. */
function firstRunOf(state: PlanState): string | undefined {
  for (const step of state.plan.steps) {
    if (step.kind !== "run") continue;
    const source = step.from ?? step.continue;
    if (source !== undefined && leftWork(state, source) !== "base") continue;
    const runId = state.steps[step.id]?.attempts.find((one) => one.runId && one.branch)?.runId;
    if (runId !== undefined) return runId;
  }
  return undefined;
}
