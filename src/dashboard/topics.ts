import type { Services } from "../actions/define-action.js";
import type { Run } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { changesBetween } from "../runs/run-events.js";
import { type Clock, sleep } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { Board } from "./board.js";
import type { EventQueue } from "./event-queue.js";
import { NotThere } from "./not-there.js";
import type { Pages } from "./pages.js";
import { tellGone, toRunDetail } from "./run-detail.js";
import type { RunLog } from "./run-log.js";

/** The run or the plan that a page shows, beside the board. */
interface Topic {
  /** Tells the whole of it, and from then on each change. Never throws. */
  begin(): Promise<void>;
  /** Tells the whole of it again, to a reader that has missed something. */
  tellAll(): void;
  close(): void;
}

export interface Topics {
  open(which: { run: string | undefined; plan: string | undefined }, queue: EventQueue): Topic;
}

/** Changes of a plan, and entries of a log, of one moment are told together, in ms. */
const TOGETHER_MS = 20;
/** A plan that another process carries out is looked at so often, in ms. */
const PLAN_MS = 1_000;
/** What could not be read at first is tried again after so long, in ms: the API, or the database, may be back. */
const LATER_MS = 1_000;
/** After a reading that has failed, in ms. */
const AGAIN_MS = 500;

export function createTopics(options: { services: Services; board: Board; pages: Pages; log: Log }): Topics {
  const { services, board, pages, log } = options;
  const { clock, watcher } = services;

  function openRun(runId: string, queue: EventQueue): Topic {
    const closing = new AbortController();
    let run: Run | undefined;
    let runLog: RunLog | undefined;
    const tell = (now: Run, whole = false) => {
      const place = pages.placeOf(runId);
      const detail = toRunDetail(now, { services, place, now: clock.now() });
      if (!whole) return queue.add("run", detail, { replaces: true });
      const entries = runLog?.entries();
      queue.add("run", { ...detail, ...entries, ...(runLog?.note ? { logNote: runLog.note } : {}) });
    };

    /** As it is now: what has become of its work is told by no event. */
    const tellAnew = createRereading(clock, closing.signal, async () => {
      run = await pages.run(runId, closing.signal);
      if (!closing.signal.aborted) tell(run);
    });

    const gone = createGone("run", runId, queue);

    async function begin(): Promise<void> {
      try {
        run = await pages.run(runId, closing.signal);
        if (closing.signal.aborted) return;
        runLog = pages.logOf(run);
        await runLog.ready;
        if (closing.signal.aborted) return;
        tell(run, true);
        const telling = createTogether(clock, () => run && tell(run));
        const offEntry = runLog.onEntry((entry) => queue.add("log", { runId, entries: [entry] }));
        const watch = watcher.watch(run, (event) => {
          run = event.run;
          if (event.type === "lost") queue.add("gone", { kind: "run", id: runId, why: tellGone(runId) });
          else telling.soon();
          if (event.type === "finished") tellAnew();
        });
        const offDone = board.onDone(tellAnew);
        closing.signal.addEventListener("abort", () => {
          telling.cancel();
          offDone();
          offEntry();
          watch.stop();
        });
        // What has come while its log was read was told to nobody who was not there yet.
        if (changesBetween(run, mergeRun(run, watch.latest())).length > 0) tellAnew();
      } catch (error) {
        if (gone.tell(error) === "may-pass" && (await sleep(clock, LATER_MS, closing.signal))) await begin();
      }
    }
    return {
      begin,
      tellAll: () => run && tell(run, true),
      close() {
        closing.abort();
        runLog?.leave();
      },
    };
  }

  function openPlan(idOrName: string, queue: EventQueue): Topic {
    const closing = new AbortController();
    const gone = createGone("plan", idOrName, queue);
    let planId: string | undefined;
    let mark = "";
    async function look(isForced = false): Promise<void> {
      try {
        const detail = await pages.plan(planId ?? idOrName);
        planId = detail.planId;
        const { now: _now, ...rest } = detail;
        const found = JSON.stringify(rest);
        if (closing.signal.aborted || (!isForced && found === mark)) return;
        mark = found;
        queue.add("plan", detail, { replaces: true });
      } catch (error) {
        if (!(error instanceof NotThere) && mark !== "") return;
        if (gone.tell(error) === "for-good") closing.abort();
      }
    }
    const looking = createTogether(clock, () => void look());
    return {
      async begin() {
        const off = board.onPlan((changed) => changed === planId && looking.soon());
        let cancel = () => {};
        closing.signal.addEventListener("abort", () => {
          off();
          cancel();
          looking.cancel();
        });
        await look();
        const again = () => {
          cancel = clock.after(PLAN_MS, () => void look().then(() => closing.signal.aborted || again()));
        };
        if (!closing.signal.aborted) again();
      },
      tellAll: () => void look(true),
      close: () => closing.abort(),
    };
  }

  /** Tells a page why it has nothing to show: each reason once, and whether that may pass. */
  function createGone(kind: "run" | "plan", id: string, queue: EventQueue) {
    let told: string | undefined;
    return {
      tell(error: unknown): "may-pass" | "for-good" {
        const { name, message } = error as Error;
        const isKnown = ["NotThere", "ApiError", "StoreError", "PlansUnavailable"].includes(name);
        if (!isKnown) log.error("A page of the dashboard could not be told:", error);
        const why = isKnown ? message : "Internal error in this server.";
        if (why !== told) queue.add("gone", { kind, id, why });
        told = why;
        return isKnown && name !== "NotThere" ? "may-pass" : "for-good";
      },
    };
  }

  return {
    open({ run, plan }, queue) {
      const topics = [
        ...(run === undefined ? [] : [openRun(run, queue)]),
        ...(plan === undefined ? [] : [openPlan(plan, queue)]),
      ];
      return {
        async begin() {
          await Promise.all(topics.map((topic) => topic.begin()));
        },
        tellAll() {
          for (const topic of topics) topic.tellAll();
        },
        close() {
          for (const topic of topics) topic.close();
        },
      };
    },
  };
}

/**
 * Reads again whenever that is asked for: one reading after the other, so that none that began before shows what is no
 * more, and once more where one has failed.
 */
function createRereading(clock: Clock, signal: AbortSignal, read: () => Promise<void>): () => void {
  let isWanted = false;
  let isReading = false;
  async function goOn(): Promise<void> {
    isReading = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      try {
        await read();
      } catch (error) {
        // What is gone has been told.
        if (error instanceof NotThere) break;
        isWanted = true;
        await sleep(clock, AGAIN_MS, signal);
      }
    }
    isReading = false;
  }
  return () => {
    isWanted = true;
    if (!isReading) void goOn();
  };
}

/** Does something a moment later, once, however often it is asked for meanwhile. */
function createTogether(clock: Clock, work: () => void): { soon(): void; cancel(): void } {
  let cancel: (() => void) | undefined;
  return {
    soon() {
      cancel ??= clock.after(TOGETHER_MS, () => {
        cancel = undefined;
        work();
      });
    },
    cancel: () => cancel?.(),
  };
}
