import { endKey } from "../notices/notice.js";
import type { Notifier } from "../notices/notifier.js";
import {
  noticeOfPlanEnd,
  noticeOfPlanLimit,
  noticeOfPlanNeed,
  type PlanFacts,
} from "../notices/plan-notice.js";
import { describePlan, progressLine } from "../plans/machine/describe-plan.js";
import { planStatus, type WaitingFor, waitingFor } from "../plans/machine/plan-status.js";
import type { PlanState } from "../plans/machine/state.js";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import { isOver } from "./plan-summary.js";
import type { IsReplaced } from "./port.js";

/** What a person is told of plans that no call follows. Nothing of it throws or is waited for. */
export interface PlanNotices {
  /**
   * A plan that this process carries out has changed, or was taken on.
   * @param isReplaced asked before something is noted; what another process has taken on is that one's to tell
   */
  changed(state: PlanState, isReplaced?: IsReplaced): void;
  /** A call tells the person how the plan stands. */
  saw(state: PlanState): void;
}

/** An end that was seen later than so is no news: it was told when it came. In ms. */
const NEW_MS = 10 * 60_000;
/** Plans of which is kept what was noted. */
const PLANS_KEPT = 1_000;

/**
 * Notes for notifications what happens to plans: what they need a person for, and their end. The ends of their runs are
 * not told beside it; what their agents ask is told as that of other runs.
 * @param notifier left out: nothing is noted
 */
export function createPlanNotices(notifier: Notifier | undefined, clock: Pick<Clock, "now">): PlanNotices {
  if (!notifier) return { changed() {}, saw() {} };
  /** What was noted of the plans that are carried out here, by its key, with the run ends that were kept quiet. */
  const noted = new Map<
    string,
    { needs: Set<string>; runs: Set<string>; isNear: boolean; isOver: boolean }
  >();

  /** What was asked for before comes first. */
  let last = Promise.resolve();

  function noteWhenOurs(planId: string, isReplaced: IsReplaced | undefined, note: (() => void)[]): void {
    if (note.length === 0) return;
    const noteAll = () => {
      for (const one of note) one();
    };
    if (!isReplaced) noteAll();
    else
      last = last.then(async () => {
        // The database is away: the notifier has its own words for that.
        const isTheirs = await isReplaced().catch(() => false);
        if (isTheirs) noted.delete(planId);
        else noteAll();
      });
  }

  function quietRuns(state: PlanState, runs: Set<string>): void {
    const ended = Object.values(state.steps)
      .flatMap(({ attempts }) => attempts)
      .filter(({ runId, endedAt = 0 }) => runId && !runs.has(runId) && clock.now() - endedAt < NEW_MS)
      .map(({ runId }) => runId as string);
    for (const runId of ended) runs.add(runId);
    if (ended.length > 0) notifier?.settle(ended.map(endKey));
  }

  return {
    changed(state, isReplaced) {
      const { planId } = state;
      const note: (() => void)[] = [];
      const known = noted.get(planId) ?? begin();
      setBounded(noted, planId, known, PLANS_KEPT);
      quietRuns(state, known.runs);
      const needs = new Map(needsOf(state).map((need) => [keyOf(planId, need), need]));
      for (const [key, { kind, ...need }] of needs) {
        if (known.needs.has(key)) continue;
        const notice = noticeOfPlanNeed(factsOf(state), { ...need, kind }, key, need.since);
        note.push(() => notifier.add(planId, notice, need.since));
      }
      const closed = [...known.needs].filter((key) => !needs.has(key));
      if (closed.length > 0) note.push(() => notifier.settle(closed));
      known.needs = new Set(needs.keys());
      const { nearLimits } = describePlan(state);
      if (nearLimits.length > 0 && !known.isNear && !isOver(state)) {
        const key = ["plan", planId, "limit"].join("/");
        const notice = noticeOfPlanLimit(factsOf(state), nearLimits, key, state.at);
        note.push(() => notifier.add(planId, notice, state.at));
        known.isNear = true;
      }
      const isEnd = isOver(state) && !known.isOver;
      known.isOver = isOver(state);
      const end = isEnd && noticeOfPlanEnd(factsOf(state), keyOfEnd(state), state.at, whyFailed(state));
      if (end) note.push(() => notifier.add(planId, end, state.at));
      noteWhenOurs(planId, isReplaced, note);
    },
    saw(state) {
      const keys = needsOf(state).map((need) => keyOf(state.planId, need));
      if (isOver(state)) keys.push(keyOfEnd(state));
      if (keys.length > 0) notifier.settle(keys);
    },
  };
}

function begin() {
  return { needs: new Set<string>(), runs: new Set<string>(), isNear: false, isOver: false };
}

type Need = WaitingFor & { kind: Exclude<WaitingFor["kind"], "question"> };

/** What an agent asks is told with its run, and what keeps a plan from going on that has ended with its end. */
function needsOf(state: PlanState): Need[] {
  const isTold = ({ kind }: WaitingFor) => kind === "lost" || (kind !== "question" && !isOver(state));
  return waitingFor(state).filter((one): one is Need => isTold(one));
}

/** The same for the same opening of a gate, and another one for the next. */
function keyOf(planId: string, { kind, step, since, key = "" }: Need): string {
  return ["plan", planId, kind, step, key, since].join("/");
}

/** A plan that was begun anew ends again. */
function keyOfEnd(state: PlanState): string {
  return ["plan", state.planId, "ended", endedAt(state)].join("/");
}

/** When its last run or step ended: what is written afterwards does not change it. */
function endedAt({ steps }: PlanState): number {
  return Math.max(0, ...Object.values(steps).map(({ since }) => since));
}

function factsOf(state: PlanState): PlanFacts {
  const { planId, name, runs, costUsd } = describePlan(state);
  return { planId, name, status: planStatus(state), line: progressLine(state), runs: runs.started, costUsd };
}

/** Of the first step that has failed; "" where none has. */
export function whyFailed({ plan, steps }: PlanState): string {
  const failed = plan.steps.find(({ id }) => steps[id]?.status === "failed");
  const reason = failed && steps[failed.id]?.reason;
  return reason ? `${failed.id}: ${reason}` : "";
}
