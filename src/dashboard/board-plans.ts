import type { Services } from "../actions/define-action.js";
import { lineOf, statusOf, toCents } from "../actions/plans/describe-plan-answer.js";
import type { PlanSummary } from "../plan-runner/plan-summary.js";
import type { Plans } from "../plan-runner/plans.js";
import type { PlanSight } from "../plan-runner/runner.js";
import { countRuns } from "../plans/machine/count-runs.js";
import { waitingFor } from "../plans/machine/plan-status.js";
import { optional } from "../plans/plan.js";
import { cleanLine } from "../shared/text.js";
import { needsOfPlan } from "./needs.js";
import type { RunPlace } from "./run-row.js";
import type { PlanRow } from "./views/board.js";
import type { NeedView } from "./views/needs.js";

/** Of open plans so many are looked at, the newest first, and of those that have ended lately. */
const MOST_OPEN = 50;
const MOST_ENDED = 20;
const FINAL: readonly string[] = ["completed", "failed", "killed"];

/**
 * The plans of the board, as they were looked at last.
 * @param options.onChange told of each plan that has changed, with its runs
 */
export function createBoardPlans(options: {
  services: Pick<Services, "plans">;
  onChange: (planId: string, runIds: readonly string[]) => void;
}) {
  const { services, onChange } = options;
  const sights = new Map<string, { sight: PlanSight; mark: string; needs: NeedView[] }>();
  const places = new Map<string, RunPlace>();
  let summaries: PlanSummary[] = [];
  let followed: { plans: Plans; stop: () => void } | undefined;
  let reading: Promise<void> | undefined;

  async function look(planId: string, plans: Plans): Promise<void> {
    const sight = await plans.look(planId);
    if (!sight) {
      sights.delete(planId);
      return;
    }
    const { state, troubles, actions } = sight;
    const mark = JSON.stringify([state.at, state.version, troubles, [...actions]]);
    if (sights.get(planId)?.mark === mark) return;
    sights.set(planId, { sight, mark, needs: needsOfPlan(state) });
    const runIds: string[] = [];
    for (const [step, { attempts }] of Object.entries(state.steps))
      for (const { runId } of attempts) {
        if (runId === undefined) continue;
        places.set(runId, { planId, plan: state.plan.name, step });
        runIds.push(runId);
      }
    onChange(planId, runIds);
  }

  function follow(plans: Plans): void {
    if (followed?.plans === plans) return;
    followed?.stop();
    // What is carried out here is told at once; it is looked at as soon as it is written.
    const stop = plans.onChange((planId) => void look(planId, plans).catch(() => {}));
    followed = { plans, stop };
  }

  async function readAll(): Promise<void> {
    const plans = await services.plans.openIfAny();
    if (!plans) return;
    follow(plans);
    summaries = await plans.list();
    const open = summaries.filter(({ status }) => !FINAL.includes(status)).slice(0, MOST_OPEN);
    const ended = summaries.filter(({ status }) => FINAL.includes(status)).slice(0, MOST_ENDED);
    const wanted = new Set([...open, ...ended].map(({ planId }) => planId));
    for (const planId of [...sights.keys()]) if (!wanted.has(planId)) sights.delete(planId);
    for (const { planId, changedAt, status } of [...open, ...ended]) {
      const known = sights.get(planId);
      // Of what has ended nothing changes any more but by a person's word, which changes its row.
      if (known && FINAL.includes(status) && known.sight.state.at === changedAt) continue;
      await look(planId, plans);
    }
  }

  return {
    /** Looks at all. @throws StoreError */
    read(): Promise<void> {
      reading ??= readAll().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    placeOf: (runId: string) => places.get(runId),
    needs: () => [...sights.values()].flatMap((one) => one.needs),
    /** Open ones, and what ended since then, the newest first. */
    rows(since: number): PlanRow[] {
      return summaries
        .filter(({ status, changedAt }) => !FINAL.includes(status) || changedAt >= since)
        .map((summary) => toPlanRow(summary, sights.get(summary.planId)?.sight));
    },
    close: () => followed?.stop(),
  };
}

/** A plan as lists show it: by its summary, and as it was looked at where it was. */
export function toPlanRow(summary: PlanSummary, sight: PlanSight | undefined): PlanRow {
  const { planId, name, createdAt, runs, costUsd, knownCostUsd, costLimitUsd } = summary;
  const spent = sight?.state;
  const isKnown = spent ? spent.unknownCosts === 0 : costUsd !== undefined;
  const usd = spent?.spentUsd ?? costUsd ?? knownCostUsd;
  return {
    planId,
    name: cleanLine(name, 120),
    status: sight ? statusOf(sight) : summary.status,
    line: sight ? lineOf(sight) : cleanLine(summary.line, 600),
    createdAt,
    changedAt: spent?.at ?? summary.changedAt,
    runsStarted: (spent ? countRuns(spent) : runs).started,
    runsLimit: runs.limit,
    ...optional("costUsd", isKnown && usd !== undefined ? toCents(usd) : undefined),
    ...optional("knownCostUsd", !isKnown && usd !== undefined ? toCents(usd) : undefined),
    ...optional("costLimitUsd", costLimitUsd),
    waiting: sight ? waitingFor(sight.state).length : summary.waitingFor.length,
  };
}
