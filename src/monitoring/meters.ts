import type { Meter } from "@opentelemetry/api";
import { type Figures, hasSucceeded } from "../history/figures.js";
import type { Ended } from "./ended.js";
import type { Counters } from "./monitoring.js";
import { DURATION_BOUNDS, METRICS } from "./names.js";
import type { Now } from "./now.js";

/** The figures, and how they come to be. */
export interface Meters extends Counters {
  ended(ended: Ended): void;
  /** Counts of these workflows begin at 0: what appears with 1 has not increased for Prometheus. */
  begin(workflows: readonly string[]): void;
}

const OUTCOMES: readonly Figures["outcome"][] = ["completed", "failed", "killed"];

/** Labels that come from others, such as names of workflows, have so many values at most; the rest is "other". */
const MAX_VALUES = 100;

/** @param readNow what goes on when figures are asked for; undefined where that is not known, so that nothing is told */
export function createMeters(meter: Meter, readNow: () => Promise<Now | undefined>): Meters {
  const runs = meter.createCounter(METRICS.runs, {
    description: "Runs that have ended while this process served, by any process of this machine.",
  });
  const cost = meter.createCounter(METRICS.costUsd, {
    description: "What ended runs have cost in US dollars, as far as it is known.",
  });
  const notifications = meter.createCounter(METRICS.notifications, {
    description: "Notifications that were given or could not be.",
  });
  const upstream = meter.createCounter(METRICS.upstreamRequests, {
    description: "Requests to the workflows API by HTTP status.",
  });
  const duration = meter.createHistogram(METRICS.operationDuration, {
    description: "How long calls of tools took.",
    unit: "s",
    advice: { explicitBucketBoundaries: DURATION_BOUNDS },
  });
  const active = meter.createObservableGauge(METRICS.runsActive, { description: "Runs that go on." });
  const waiting = meter.createObservableGauge(METRICS.waiting, {
    description: "What waits for a person or for a free slot.",
  });
  const workflows = new Set<string>();

  function labelOf(workflow: string | undefined): string {
    if (workflow === undefined) return "unknown";
    if (workflows.has(workflow)) return workflow;
    if (workflows.size >= MAX_VALUES) return "other";
    workflows.add(workflow);
    return workflow;
  }

  meter.addBatchObservableCallback(
    async (told) => {
      const now = await readNow();
      if (!now) return;
      told.observe(active, now.active);
      for (const [reason, count] of Object.entries(now.waiting)) told.observe(waiting, count, { reason });
    },
    [active, waiting],
  );

  return {
    ended({ figures, isNew, moreUsd }) {
      if (figures.kind !== "run") return;
      const workflow = labelOf(figures.workflow);
      // As history counts: a run that its limit of turns has cut off is no success.
      const isCut = figures.outcome === "completed" && !hasSucceeded(figures);
      if (isNew) runs.add(1, { workflow, outcome: isCut ? "failed" : figures.outcome });
      if (moreUsd > 0) cost.add(moreUsd, { workflow });
    },
    begin(names) {
      for (const name of names) {
        const workflow = labelOf(name);
        cost.add(0, { workflow });
        for (const outcome of OUTCOMES) runs.add(0, { workflow, outcome });
      }
    },
    answered: (status) => upstream.add(1, { status: status === undefined ? "none" : String(status) }),
    notified: (channel, outcome) => notifications.add(1, { channel, outcome }),
    called({ action, failed, seconds }) {
      duration.record(seconds, {
        "mcp.method.name": "tools/call",
        action,
        failed: String(failed),
      });
    },
  };
}
