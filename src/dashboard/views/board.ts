import type { PlanStatus } from "../../plans/machine/plan-status.js";
import type { NeedView } from "./needs.js";
import type { RunRow } from "./run.js";

/*
 * What the dashboard's server tells the browser, and what it takes from it, is described in this folder, for both sides.
 * Times are epoch ms, durations say their unit, money is US dollars; what is not known is left out and never 0. Every text
 * may be an agent's: it is cleaned and bounded, and it is text, never markup. What other parts of the house know already
 * has its type from there; those are types only, so that none of their code gets into the page.
 */

/** A plan as lists show it. */
export interface PlanRow {
  planId: string;
  name: string;
  status: PlanStatus;
  /** Where it stands, on one line. */
  line: string;
  createdAt: number;
  changedAt: number;
  runsStarted: number;
  runsLimit: number;
  costUsd?: number;
  knownCostUsd?: number;
  costLimitUsd?: number;
  /** How many things of it wait for a person. */
  waiting: number;
}

/** `GET /dashboard/api/board`: first what needs a person, the longest wait first. */
export interface BoardView {
  /** Where the stream of events goes on: `GET /dashboard/api/events?after=<at>`. */
  at: string;
  now: number;
  needs: NeedView[];
  /** The newest first. */
  running: RunRow[];
  /** Runs that wait for a free slot, the first one first. */
  queue: RunRow[];
  /** What ended since `today`, the newest first. */
  ended: RunRow[];
  /** More have ended today than are listed. */
  endedLeft: number;
  plans: PlanRow[];
  /** The beginning of the server's day. */
  today: number;
  totals: {
    running: number;
    needs: number;
    endedToday: number;
    failedToday: number;
    costTodayUsd: number;
    /** Of some run not all is known, or nothing. */
    costTodayAtLeast?: true;
  };
  /** What cannot be known just now, and why. */
  problem?: string;
  /** It could not be read yet, so that what is missing in its lists may be there. */
  unread?: true;
}

/** What has changed of the board. Lists keep their order by `order`, where that has changed. */
export interface BoardChange {
  needs?: ListChange<NeedView>;
  running?: ListChange<RunRow>;
  queue?: ListChange<RunRow>;
  ended?: ListChange<RunRow>;
  plans?: ListChange<PlanRow>;
  totals?: BoardView["totals"];
  today?: number;
  endedLeft?: number;
  /** "" where there is none any more. */
  problem?: string;
  unread?: boolean;
}

/** Changed and new entries, whole; the keys of all entries in their order, where that is another one. */
export interface ListChange<Entry> {
  set: Entry[];
  /** Of needs the `id`, of runs the `runId`, of plans the `planId`; whatever is not named is gone. */
  order?: string[];
}
