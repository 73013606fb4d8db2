import type { Clock } from "../shared/clock.js";
import { isRefused } from "./run-record.js";
import type { RunRecord, SessionRecord } from "./store/session-record.js";

/** Of fewer runs nothing is said. */
const LEAST_RUNS = 3;
/** How far back runs count, in ms. */
const PERIOD_MS = 30 * 24 * 60 * 60 * 1000;
/** Until the records are read again, in ms. */
const KNOWN_MS = 10 * 60_000;

/** What a run of a workflow usually takes: medians. What too few runs tell is left out, and never 0. */
export interface UsualRun {
  turns?: number;
  costUsd?: number;
  durationS?: number;
}

/**
 * What runs of a workflow usually take, by the sessions that are remembered: of those that succeeded in the last 30
 * days.
 * @returns asks for a workflow. Reads the records every ten minutes at most
 */
export function createUsualRuns(options: {
  list: () => Promise<readonly SessionRecord[]>;
  clock: Clock;
}): (workflowName: string) => Promise<UsualRun> {
  const { clock } = options;
  let known: { at: number; runs: Promise<Map<string, UsualRun>> } | undefined;

  async function read(): Promise<Map<string, UsualRun>> {
    const since = clock.now() - PERIOD_MS;
    const byWorkflow = new Map<string, RunRecord[]>();
    for (const run of (await options.list().catch(() => [])).flatMap((record) => record.runs)) {
      if (!hasSucceeded(run) || run.updatedAt < since) continue;
      byWorkflow.set(run.workflowName, [...(byWorkflow.get(run.workflowName) ?? []), run]);
    }
    return new Map([...byWorkflow].map(([name, runs]) => [name, describe(runs)]));
  }

  return async (workflowName) => {
    if (!known || clock.elapsed() - known.at >= KNOWN_MS) known = { at: clock.elapsed(), runs: read() };
    return (await known.runs).get(workflowName) ?? {};
  };
}

function describe(runs: readonly RunRecord[]): UsualRun {
  const turns = usualOf(runs.map((run) => run.turns));
  const costUsd = usualOf(runs.map((run) => (run.costAtLeast ? undefined : run.costUsd)));
  const durationS = usualOf(
    runs.map(({ startedAt, completedAt }) =>
      startedAt === undefined || completedAt === undefined || completedAt < startedAt
        ? undefined
        : (completedAt - startedAt) / 1000,
    ),
  );
  return {
    ...(turns === undefined ? {} : { turns }),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(durationS === undefined ? {} : { durationS }),
  };
}

/** It has come to its own end, not to its turn limit. */
function hasSucceeded(run: RunRecord): boolean {
  const { status, turns = 0, maxTurns } = run;
  return status === "completed" && turns > 0 && !(maxTurns && turns >= maxTurns) && !isRefused(run);
}

/** The median of those that are known; undefined for too few. */
function usualOf(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return sorted.length < LEAST_RUNS ? undefined : sorted[Math.floor((sorted.length - 1) / 2)];
}
