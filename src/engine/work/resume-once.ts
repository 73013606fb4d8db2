import type { Clock } from "../../shared/clock.js";
import { tellInterruption } from "../../shared/interruption.js";
import type { Log } from "../../shared/log.js";
import { isPlanRunKey } from "../../shared/plan-run-key.js";
import type { EngineRun, RunRequest } from "../runs/run.js";
import { NotResumable, type RunStore } from "../runs/run-store.js";
import { EngineRefusal } from "../types.js";

/** What could not be resumed for a while is tried again after this time, in ms. */
const TRY_AGAIN_MS = 5_000;

/**
 * Whether a run is to be resumed that is interrupted now. Once: what ends an engine again and again may be the run itself.
 * Not one that a person has ended, and not one of a plan, which goes on with it by itself.
 * @param isOn the setting says so
 */
export function isToResume(run: EngineRun, runs: Pick<RunStore, "keyOf">, isOn: boolean): boolean {
  return (
    isOn && run.killAskedAt === undefined && run.resumes === undefined && !isPlanRunKey(runs.keyOf(run.runId))
  );
}

/** What is said of the conversation of a run that was interrupted. @param where "there", of another machine */
export function tellKept(toResume: boolean, where = ""): string {
  const kept = `The conversation is kept${where && ` ${where}`}`;
  return toResume
    ? `${kept}, and the run is to be resumed once by itself.`
    : `${kept}: continue the session to go on.`;
}

/** Goes on with interrupted runs, each once ever, as new runs of their sessions. */
export interface Resumes {
  /** From now on; those of before, too, and once more what an earlier copy of the database has. */
  open(): void;
  close(): void;
}

/**
 * @param options.isOn whether the setting says so, by now
 * @param options.start takes a run on that resumes another one: of several engines that try it, one does
 * @param options.mayOthers whether another engine may have the workflow or the model that this one lacks
 */
export function createResumes(options: {
  runs: Pick<RunStore, "all" | "get" | "subscribe" | "record">;
  isOn: () => boolean;
  start: (request: RunRequest, resumes: string) => Promise<EngineRun>;
  mayOthers: (request: RunRequest) => Promise<boolean>;
  clock: Pick<Clock, "after">;
  log: Log;
}): Resumes {
  const { runs, isOn, start, mayOthers, clock, log } = options;
  const waiting = new Set<string>();
  let isOpen = false;
  let isLooking = false;
  let cancelAgain = () => {};
  const stop = runs.subscribe(({ type }, run) => {
    if (type !== "ended" || !run.toResume) return;
    waiting.add(run.runId);
    void look();
  });

  async function look(): Promise<void> {
    if (!isOpen || isLooking) return;
    isLooking = true;
    for (const runId of waiting) if (isOpen && (await isSettled(runId))) waiting.delete(runId);
    isLooking = false;
    cancelAgain();
    if (isOpen && waiting.size > 0) cancelAgain = clock.after(TRY_AGAIN_MS, () => void look());
  }

  /** @returns false when it is to be tried again */
  async function isSettled(runId: string): Promise<boolean> {
    const run = runs.get(runId);
    if (!run?.toResume) return true;
    // It may be switched on again.
    if (!isOn()) return false;
    try {
      const { runId: by } = await start(requestOf(run), runId);
      log.info(`The interrupted run ${runId} of session "${run.sessionName}" goes on as run ${by}.`);
      return true;
    } catch (error) {
      if (error instanceof EngineRefusal && error.status === 503) return false;
      if (error instanceof EngineRefusal && (await mayOthers(run.request))) return false;
      const why =
        error instanceof NotResumable
          ? "Its session was continued before."
          : error instanceof EngineRefusal
            ? error.message
            : undefined;
      if (why === undefined) log.warn(`Run ${runId} could not be resumed: ${(error as Error).message}`);
      return why !== undefined && giveUp(runId, why);
    }
  }

  /** Another engine may have resumed it meanwhile: then nothing happens. */
  async function giveUp(runId: string, why: string): Promise<boolean> {
    return runs.record(runId, { type: "not-resumed", why }, "written").then(
      () => true,
      () => false,
    );
  }

  return {
    open() {
      isOpen = true;
      for (const run of runs.all()) if (run.toResume) waiting.add(run.runId);
      void look();
    },
    close() {
      isOpen = false;
      cancelAgain();
      stop();
    },
  };
}

/** The same again for its session, which knows by now what a new one is told. */
function requestOf({ request, sessionId, endedAt }: EngineRun): RunRequest {
  const { consent: _consent, uncommitted: _uncommitted, startFrom: _startFrom, ...rest } = request;
  const at = endedAt === undefined ? "" : ` at ${new Date(endedAt).toISOString()}`;
  return { ...rest, sessionId, message: tellInterruption(at) };
}
