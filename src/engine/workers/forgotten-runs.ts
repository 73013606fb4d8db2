import { type Clock, sleep } from "../../shared/clock.js";
import type { RunChange } from "../runs/events.js";
import { type EngineRun, goesOn, hasEnded } from "../runs/run.js";
import type { RunStore } from "../runs/run-store.js";

/** Before what could not be written is tried again, in ms. */
const AGAIN_MS = 1_000;

/** Why a run is over of which an earlier copy of the database knows only that it went on. */
const GOES_ON =
  "The database was replaced by an earlier copy, which does not know how this run has ended. Its agent is not at work " +
  "any more: see what it has committed. Continue the session to go on.";

/** The same of one of which that knows only that it waits. */
const WAITS =
  "The database was replaced by an earlier copy, which knows only that this run waits. It had begun before, and is not " +
  "begun a second time: see what it has committed. Continue the session to go on.";

const RESUMED = "It had been resumed before, which the database, an earlier copy by now, does not know.";
const NOT_RESUMED =
  "That had been decided before, which the database, an earlier copy by now, does not know.";

/**
 * Keeps what an earlier copy of the database knows as to be done from being done a second time: a run that waits there and
 * had begun, or was killed, a run that goes on there and is over, and an interrupted one that had been resumed already.
 * Resolves when that is written, which is tried until it works or the signal ends it. Never rejects.
 * @param known the runs as they were known here before that copy came
 * @param options.workerId whose runs are ended that go on there: the others end their own; undefined for none
 */
export async function settleForgotten(
  known: ReadonlyMap<string, EngineRun>,
  options: {
    runs: Pick<RunStore, "all" | "record">;
    workerId: string | undefined;
    signal: AbortSignal;
    clock: Clock;
  },
): Promise<void> {
  const { runs, workerId, signal, clock } = options;
  let left = runs.all().flatMap((run) => {
    const changes = changesFor(run, known, workerId);
    return changes.length > 0 ? [{ runId: run.runId, changes }] : [];
  });
  while (left.length > 0) {
    const failed = [];
    for (const one of left) {
      const written = one.changes.map((change) => runs.record(one.runId, change, "written"));
      if ((await Promise.allSettled(written)).some(({ status }) => status === "rejected")) failed.push(one);
    }
    left = failed;
    if (left.length > 0 && !(await sleep(clock, AGAIN_MS, signal))) return;
  }
}

/** What has to happen to a run of the copy, by what was known of it. */
function changesFor(
  run: EngineRun,
  known: ReadonlyMap<string, EngineRun>,
  workerId: string | undefined,
): RunChange[] {
  const before = known.get(run.runId);
  if (!before) return [];
  const killed: RunChange[] = before.killAskedAt === undefined ? [] : [{ type: "kill-asked", force: true }];
  if (run.status === "pending") {
    if (before.status === "pending") return [];
    return before.status === "killed"
      ? [{ type: "kill-asked", force: true }]
      : [...killed, { type: "ended", status: "interrupted", error: WAITS }];
  }
  // One that waited before has begun since that copy came.
  if (goesOn(run) && run.worker === workerId && before.status !== "pending")
    return [...killed, { type: "ended", status: "interrupted", error: GOES_ON }];
  if (!run.toResume || before.toResume) return [];
  if (before.resumedBy === undefined) return [{ type: "not-resumed", why: NOT_RESUMED }];
  const by = known.get(before.resumedBy);
  // One that was at work when the copy came is interrupted by that: to go on with it is to go on with this one.
  const isDone = by !== undefined && hasEnded(by) && by.status !== "interrupted";
  return isDone ? [{ type: "not-resumed", why: RESUMED }] : [];
}
