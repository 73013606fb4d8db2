import { type Spread, spreadOf, USUAL_PERIOD_MS } from "../shared/spread.js";
import { type Figures, hasSucceeded, repositoryKey } from "./figures.js";

/** What successful runs of a workflow have taken. What too few of them tell is left out, and never 0. */
export interface Expectation {
  /** By the runs in the repository that was asked for, where there are enough of them; else by those everywhere. */
  of: "repository" | "workflow";
  /** By those alone whose task was about as long as the one that was asked for, where there are enough of them. */
  size?: TaskSize;
  turns?: Spread;
  seconds?: Spread;
  costUsd?: Spread;
  /** The longest silences. */
  quietS?: Spread;
  /** A limit of turns, and of time in s, that such a run is unlikely to reach. */
  maxTurns?: number;
  timeoutS?: number;
}

/** How runs or plans have ended. */
export interface Success {
  succeeded: number;
  /** Those that came to an end of their own: what a person has killed says nothing. */
  n: number;
}

/** How long a task's text is. */
export type TaskSize = "short" | "medium" | "long";

/** From so many successful runs on, those in the same repository, or with a task about as long, count alone. */
export const LEAST_ALIKE = 5;
/** A task is short below, and long from so many characters on; a little more than that is kept of each. */
const SHORT_CHARS = 100;
const LONG_CHARS = 250;
/** A suggested limit is so many times what nine of ten runs took. */
const TURNS_ROOM = 1.5;
const TIME_ROOM = 2;
/** What a run can be told. */
const MOST_TURNS = 200;
const [LEAST_TIMEOUT_S, MOST_TIMEOUT_S] = [60, 14_400];

/**
 * What runs of a workflow usually take, by those that succeeded in the last 90 days: medians, and what nine of ten did
 * not exceed, with how many runs that is known of. Of those, the ones in the repository count alone, and of these the ones
 * whose task is about as long as `task`, each where they are enough.
 * @param options.now epoch ms
 */
export function expectRun(
  figures: readonly Figures[],
  options: { workflow: string; repository?: string | undefined; task?: string | undefined; now: number },
): Expectation {
  const { workflow, repository, task, now } = options;
  const all = figures.filter(
    (one) =>
      one.kind === "run" &&
      one.workflow === workflow &&
      hasSucceeded(one) &&
      one.turns !== undefined &&
      (one.endedAt ?? 0) >= now - USUAL_PERIOD_MS,
  );
  const key = repository && repositoryKey(repository);
  const there = onlyIfEnough(all, (one) => one.repository && repositoryKey(one.repository) === key);
  const size = task ? sizeOf(task) : undefined;
  const alike = onlyIfEnough(there ?? all, (one) => one.task && sizeOf(one.task) === size);
  const used = alike ?? there ?? all;
  const turns = spreadOf(used.map((one) => one.turns));
  const seconds = spreadOf(used.map((one) => one.seconds));
  const costUsd = spreadOf(used.map((one) => one.costUsd));
  const quietS = spreadOf(used.map((one) => one.quietS));
  return {
    of: there ? "repository" : "workflow",
    ...(alike && size ? { size } : {}),
    ...(turns ? { turns, maxTurns: Math.min(MOST_TURNS, roundUp(turns.p90 * TURNS_ROOM, 5)) } : {}),
    ...(seconds ? { seconds, timeoutS: fitTimeout(seconds.p90 * TIME_ROOM) } : {}),
    ...(costUsd ? { costUsd } : {}),
    ...(quietS ? { quietS } : {}),
  };
}

/** Those that fit; undefined where these are too few to say more than all of them. */
function onlyIfEnough(figures: readonly Figures[], fits: (one: Figures) => unknown): Figures[] | undefined {
  const found = figures.filter(fits);
  return found.length >= LEAST_ALIKE ? found : undefined;
}

/** The size of a task by its text, or by as much of it as is kept. */
export function sizeOf(task: string): TaskSize {
  const { length } = task.trim();
  if (length < SHORT_CHARS) return "short";
  return length < LONG_CHARS ? "medium" : "long";
}

function fitTimeout(seconds: number): number {
  return Math.min(MOST_TIMEOUT_S, Math.max(LEAST_TIMEOUT_S, roundUp(seconds, 60)));
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** How many have succeeded; undefined where fewer than three have come to an end of their own. */
export function successOf(figures: readonly Figures[]): Success | undefined {
  const ended = figures.filter(({ outcome }) => outcome !== "killed");
  if (ended.length < 3) return undefined;
  return { succeeded: ended.filter(hasSucceeded).length, n: ended.length };
}

/** Silence counts as a standstill after so many times what nine of ten runs did not exceed, … */
const QUIET_ROOM = 2;
/** … and never before five minutes nor later than an hour, in ms. */
export const LEAST_STALL_MS = 5 * 60_000;
const MOST_STALL_MS = 60 * 60_000;

/** After how long a silence a run counts as stalled, in ms. */
export function stallAfter({ quietS }: Pick<Expectation, "quietS">, leastMs = LEAST_STALL_MS): number {
  if (!quietS) return leastMs;
  return Math.max(leastMs, Math.min(MOST_STALL_MS, quietS.p90 * 1000 * QUIET_ROOM));
}
