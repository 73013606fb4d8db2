import type { Services } from "../actions/define-action.js";
import { withUsualTurns } from "../actions/follow/expect-turns.js";
import { isFinal, openQuestions, type Run } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { bareRun, refusedResume } from "../runs/run-facts.js";
import { LOST } from "../sessions/merge-sessions.js";
import { knownRun } from "../sessions/run-record.js";
import { isOver } from "../sessions/sessions.js";
import type { Session } from "../sessions/types.js";
import { withDeadline } from "../shared/deadline.js";
import { needsOfRun } from "./needs.js";
import { type RunPlace, toRow } from "./run-row.js";
import type { NeedView } from "./views/needs.js";
import type { RunRow } from "./views/run.js";

/** A run on the board. */
interface BoardRun {
  run: Run;
  session: string;
  row: RunRow;
  needs: NeedView[];
}

/** Runs that are looked at because they wait and nobody knows for what, at once, and for how long that is waited for. */
const ASKED_AT_ONCE = 20;
const ASK_MS = 2_000;

/**
 * The runs of the board: those that go on, and those that ended today. What is known is the sessions' and the watcher's;
 * here are only the rows that are made of it.
 */
export function createBoardRuns(options: {
  services: Services;
  /** Which plan a run belongs to. */
  placeOf: (runId: string) => RunPlace | undefined;
}) {
  const { services, placeOf } = options;
  const { watcher, clock } = services;
  const runs = new Map<string, BoardRun>();
  const watches = new Map<string, () => void>();
  let isWatching = false;

  function put(run: Run, session: string): void {
    const place = placeOf(run.runId);
    const stalledMs = isFinal(run.status) ? undefined : watcher.stalledFor(run);
    runs.set(run.runId, {
      run,
      session,
      row: toRow(withUsualTurns(run, services), { place, session, stalledMs }),
      needs: toNeeds(run, place),
    });
  }

  /** Watches what goes on, in the background: whoever waits for a run comes first. */
  function watch(): void {
    const active = [...runs.values()].filter(({ run }) => !isFinal(run.status));
    const wanted = new Set(isWatching ? active.map(({ run }) => run.runId) : []);
    for (const [runId, stop] of [...watches]) {
      if (wanted.has(runId)) continue;
      watches.delete(runId);
      stop();
    }
    for (const { run } of active) {
      if (!wanted.has(run.runId) || watches.has(run.runId)) continue;
      watches.set(run.runId, watcher.watch(run, () => {}, { background: true }).stop);
    }
  }

  /** Asks those what they want to know that are only known to wait. */
  async function askWaiting(): Promise<void> {
    const unclear = [...runs.values()].filter(({ run }) => isUnclear(run)).slice(0, ASKED_AT_ONCE);
    await Promise.all(
      unclear.map(async ({ run, session }) => {
        const read = (signal: AbortSignal) => services.runs.read(run.runId, signal);
        const seen = await withDeadline(clock, ASK_MS, read).catch(() => undefined);
        if (seen) put(mergeRun(run, seen), session);
      }),
    );
  }

  return {
    /** Takes in a reading of all sessions. @param since what ended before is left out, epoch ms */
    async read(sessions: readonly Session[], since: number): Promise<void> {
      const seen = new Set<string>();
      for (const session of sessions)
        for (const record of session.runs) {
          const goesOn = !isOver(record);
          if (record.status === LOST) continue;
          if (!goesOn && (record.completedAt ?? record.updatedAt) < since) continue;
          seen.add(record.runId);
          const known = knownRun(
            record,
            session,
            services.sessions.listed(record.runId),
            watcher.latest(record.runId),
          );
          const run = refusedResume(known) ? { ...known, status: "failed" } : known;
          put(goesOn ? run : { completedAt: record.updatedAt, ...run }, session.name);
        }
      // What has just begun may not be in any list yet.
      const fresh = clock.now() - 10_000;
      for (const [runId, { run }] of [...runs])
        if (!seen.has(runId) && (isFinal(run.status) || (run.startedAt ?? 0) < fresh)) runs.delete(runId);
      watch();
      await askWaiting();
    },
    /** Takes in what was seen of one run. @returns false when it was not on the board */
    see(run: Run): boolean {
      const known = runs.get(run.runId);
      const isEnd = isFinal(run.status) && run.completedAt === undefined;
      const seen = isEnd ? { ...run, completedAt: known?.run.completedAt ?? clock.now() } : run;
      put(known ? mergeRun(known.run, seen) : seen, known?.session ?? run.sessionName ?? run.runId);
      if (isFinal(run.status)) {
        watches.get(run.runId)?.();
        watches.delete(run.runId);
      }
      return known !== undefined;
    },
    /** Makes the rows of a plan's runs anew. */
    replace(runIds: Iterable<string>): void {
      for (const runId of runIds) {
        const known = runs.get(runId);
        if (known && known.row.planId === undefined) put(known.run, known.session);
      }
    },
    all: () => [...runs.values()],
    has: (runId: string) => runs.has(runId),
    setWatching(wanted: boolean): void {
      isWatching = wanted;
      watch();
    },
  };
}

const isUnclear = (run: Run) =>
  run.waitsForAnswer === true && openQuestions(run).length === 0 && !isFinal(run.status);

function toNeeds(run: Run, place: RunPlace | undefined): NeedView[] {
  if (!isUnclear(run)) return needsOfRun(run, place);
  const [need] = needsOfRun(
    {
      ...bareRun(run.runId),
      ...run,
      questions: [{ questionId: "", kind: "question", text: NOT_TOLD, choices: [], multiSelect: false }],
    },
    place,
  );
  if (!need) return [];
  const { call: _call, words: _words, ...shown } = need;
  return [shown];
}

const NOT_TOLD = "It waits for an answer; what is asked could not be read just now.";
