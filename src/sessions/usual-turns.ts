import type { Clock } from "../shared/clock.js";
import { isRefused } from "./run-record.js";
import type { RunRecord, SessionRecord } from "./store/session-record.js";

/** Of fewer runs nothing is said. */
const LEAST_RUNS = 3;
/** How far back runs count, in ms. */
const PERIOD_MS = 30 * 24 * 60 * 60 * 1000;
/** Until the records are read again, in ms. */
const KNOWN_MS = 10 * 60_000;

/**
 * What runs of a workflow usually take, by the sessions that are remembered: the median of the turns of those that
 * succeeded in the last 30 days.
 * @returns asks for a workflow; undefined while too few runs of it are known. Reads the records every ten minutes at most
 */
export function createUsualTurns(options: {
  list: () => Promise<readonly SessionRecord[]>;
  clock: Clock;
}): (workflowName: string) => Promise<number | undefined> {
  const { clock } = options;
  let known: { at: number; turns: Promise<Map<string, number>> } | undefined;

  async function read(): Promise<Map<string, number>> {
    const since = clock.now() - PERIOD_MS;
    const runs = (await options.list().catch(() => [])).flatMap((record) => record.runs);
    const turns = new Map<string, number[]>();
    for (const run of runs) {
      if (!hasSucceeded(run) || run.updatedAt < since) continue;
      turns.set(run.workflowName, [...(turns.get(run.workflowName) ?? []), run.turns ?? 0]);
    }
    const usual = new Map<string, number>();
    for (const [name, all] of turns) if (all.length >= LEAST_RUNS) usual.set(name, medianOf(all));
    return usual;
  }

  return async (workflowName) => {
    if (!known || clock.elapsed() - known.at >= KNOWN_MS) known = { at: clock.elapsed(), turns: read() };
    return (await known.turns).get(workflowName);
  };
}

/** It has come to its own end, not to its turn limit. */
function hasSucceeded(run: RunRecord): boolean {
  const { status, turns = 0, maxTurns } = run;
  return status === "completed" && turns > 0 && !(maxTurns && turns >= maxTurns) && !isRefused(run);
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
