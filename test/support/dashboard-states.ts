import { isFinal, type Run } from "../../src/api/types.js";
import { toPlanRow } from "../../src/dashboard/board-plans.js";
import { needsOfPlan, needsOfRun } from "../../src/dashboard/needs.js";
import { toPlanDetail } from "../../src/dashboard/plan-detail.js";
import { toRunDetail } from "../../src/dashboard/run-detail.js";
import type { RunPlace } from "../../src/dashboard/run-row.js";
import { toRow } from "../../src/dashboard/run-row.js";
import type { BoardView } from "../../src/dashboard/views/board.js";
import type { RunDetail } from "../../src/dashboard/views/run.js";
import { columnsOf } from "../../src/plan-runner/plan-summary.js";
import type { PlanSight } from "../../src/plan-runner/runner.js";
import { figuresOf, rowsBehind } from "./dashboard-figures.js";
import { DIFF, logOf } from "./shown-log.js";
import { rateLimitsPlan, runsOfPlan } from "./shown-rate-limits.js";
import { shownRuns } from "./shown-runs.js";
import type { Told } from "./stand-in-dashboard.js";

const MINUTE = 60_000;

/**
 * A day's work to look at: a plan that waits at its gate, a question, runs that go on, wait and have ended. All of it is
 * made by the server's own code from a plan and runs, so that pages and pictures show nothing that the server does not tell.
 */
export function busyDay(now: number): Told {
  const sight = rateLimitsPlan(now);
  const plan = toPlanDetail(sight, now);
  const ofPlan = runsOfPlan(sight);
  const places = new Map(ofPlan.map(({ run, place }) => [run.runId, place]));
  const own = shownRuns(now);
  // What goes on is told by its run.
  const ended = ofPlan.flatMap(({ run }) => (isFinal(run.status) ? [run] : []));
  const all = [...own, ...ended].map((run): Shown => ({ run, place: places.get(run.runId) }));
  return {
    board: boardOf(all, sight, now),
    plans: { "plan-1": plan },
    runs: Object.fromEntries(all.map((one) => [one.run.runId, detailOf(one, now)])),
    diffs: { "run-ended": DIFF, "run-implement": DIFF },
    deliveries: { services: [], rows: [], left: 0 },
    figures: (by) => figuresOf(by, now),
    rows: (by, key) => rowsBehind(by, key, now),
    call: ({ id, action }) => {
      if (action !== "kill") return { id, state: "done", outcome: "done", summary: "Sent." };
      return { id, state: "form", form: KILL };
    },
    reply: ({ id }, { values }) =>
      values?.confirm === "yes"
        ? { id, state: "done", outcome: "killed", summary: "Ended." }
        : { id, state: "failed", message: "Nobody agreed; nothing was done." },
  };
}

interface Shown {
  run: Run;
  place: RunPlace | undefined;
}

function boardOf(all: readonly Shown[], sight: PlanSight, now: number): BoardView {
  const rows = all.map(({ run, place }) => toRow(run, { place, stalledMs: stalledFor(run, now) }));
  const goOn = rows.filter(({ status }) => !isFinal(status));
  const running = goOn.filter(({ queue }) => !queue);
  const ended = rows
    .filter(({ status }) => isFinal(status))
    .sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
  const needs = [...needsOfPlan(sight.state), ...all.flatMap(({ run, place }) => needsOfRun(run, place))];
  return {
    ...{ at: "1", now, running, queue: goOn.filter(({ queue }) => queue), ended, endedLeft: 0 },
    needs: needs.sort((a, b) => (a.since ?? now) - (b.since ?? now)),
    plans: [toPlanRow(JSON.parse(columnsOf(sight.state).summary), sight)],
    today: now - 600 * MINUTE,
    totals: {
      running: running.length,
      needs: needs.length,
      endedToday: ended.length,
      failedToday: ended.filter(({ status }) => status === "failed").length,
      costTodayUsd: ended.reduce((sum, { costUsd = 0 }) => sum + costUsd, 0),
    },
  };
}

function stalledFor({ status, lastActivityAt = 0 }: Run, now: number): number | undefined {
  const silentMs = now - lastActivityAt;
  return status === "running" && silentMs > 10 * MINUTE ? silentMs : undefined;
}

function detailOf({ run, place }: Shown, now: number): RunDetail {
  const services = {
    sessions: { history: { known: () => ({ expect: () => ({ of: "workflow" as const }) }) } },
    watcher: { stalledFor: (of: Run) => stalledFor(of, now) },
    capabilities: { hasEndpoint: () => true, describesEndpoint: () => true },
  };
  const log = logOf(run.completedAt ?? now);
  return { ...toRunDetail(run, { services, place, now }), log };
}

/** As the server asks before it ends a run. */
const KILL = {
  id: "form-1",
  message: "Kill the run of the session rate-limits-tests?\n\nThe agent stops at once. Its commits stay.",
  fields: [
    {
      ...{
        name: "confirm",
        title: "Are you sure?",
        description: "Kill the run of the session rate-limits-tests",
      },
      required: true,
      choices: [
        { value: "no", title: "No" },
        { value: "yes", title: "Yes, do it" },
      ],
    },
  ],
};
