import type { ApiError } from "../api/errors.js";
import { isFinal, type Run } from "../api/types.js";
import type { Clock } from "../shared/clock.js";
import { mergeRun } from "./merge-run.js";
import { changesBetween, questionIds, type RunEvent } from "./run-events.js";

/** The ways by which changes come at the moment, and the limits of asking, in ms. */
export interface Ways {
  clock: Pick<Clock, "elapsed">;
  isStreaming: boolean;
  /** From when on nothing of the stream was missed. */
  gaplessSince: number;
  /** The list is read, and tells of the end of each run that it has shown. */
  isListRead: boolean;
  /** The longest pause between two requests for a run. */
  pollingIntervalMs: number;
  /** After so long without a change a run counts as stalled at the soonest. */
  stallAfterMs: number;
  /** The same of a run by what is usual for it; only asked for one that has stood still for so long. */
  stallAfter?: (run: Run) => number;
}

/** Somebody who watches a run, and does not wait for it where that is in the background. */
export interface Listener {
  tell: (event: RunEvent) => void;
  background: boolean;
}

/**
 * A run that was just started is asked for after this time, in ms: its start's answer was the first look, and who waits
 * for that comes first. Where its events are pushed, the first one mostly comes before.
 */
const FIRST_LOOK_MS = { asked: 100, pushed: 1_000 };
/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is watched for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;

/** All that is known here of one run. Its times are in ms of the monotonic clock. */
export class WatchedRun {
  readonly ways: Ways;
  /** The newest snapshot. */
  run: Run;
  readonly listeners = new Set<Listener>();
  /** When the snapshot has last changed: for so long the run has stood still. */
  changedAt: number;
  /** The newest moment of which all is known: that of an event of the stream, or when it was asked for. */
  knownAt = Number.NEGATIVE_INFINITY;
  /** What the list of running runs tells of it: nothing, that it goes on, or its turns as they come. */
  listed: "no" | "running" | "turns" = "no";
  isAsking = false;
  /** When it was last asked for, or somebody began to watch it. */
  askedAt = 0;
  /** From when on the pauses between two requests grow. */
  eagerSince = 0;
  /** Why it is asked for before its pause is over: somebody new watches it, or what the list has shown. */
  urgency: { why: "new" | "changed" | "missing"; since: number } | undefined;
  isFailing = false;
  /** How often the API has said that it does not know the run, since it last knew it. */
  notFound = 0;
  toldStall = false;
  /** The final status that all listeners know. */
  toldEnd: string | undefined;
  /** Nothing more is asked for or told. */
  isDone = false;
  /** The agent's questions that were seen, by their ids. */
  readonly asked = new Set<string>();
  /** Until when its waits for a person were counted. */
  countedAt: number;

  constructor(run: Run, ways: Ways) {
    this.ways = ways;
    this.run = run;
    this.changedAt = ways.clock.elapsed();
    this.countedAt = this.changedAt;
  }

  /**
   * Somebody new listens, who is told as well that the run stands still or has ended. A run is looked at at once also
   * where nobody waits for it: only then its conversation is known, and may be shown only while it goes on.
   * @param seed what they know of it
   */
  welcome(listener: Listener, seed: Run): void {
    const now = this.ways.clock.elapsed();
    // A pause in the watching makes a run no livelier: since when it stands still stays as it is.
    if (this.listeners.size === 0 || this.isDone) {
      const afresh = { listed: "no", isAsking: false, isFailing: false, notFound: 0, isDone: false };
      const since = { askedAt: now, countedAt: now, urgency: undefined };
      Object.assign(this, afresh, since, { run: mergeRun(seed, this.run) });
    }
    this.listeners.add(listener);
    Object.assign(this, { eagerSince: now, toldStall: false, toldEnd: undefined });
    if (this.isPushed && !isFinal(this.run.status)) return;
    const pause =
      this.run.status === "pending" ? FIRST_LOOK_MS[this.ways.isStreaming ? "pushed" : "asked"] : 0;
    this.urgency = { why: "new", since: now + pause };
  }

  /** Whether every change of the run comes over the stream. */
  get isPushed(): boolean {
    return this.ways.isStreaming && this.knownAt >= this.ways.gaplessSince;
  }

  /** Whether somebody waits for the run: it comes before those that are only kept an eye on. */
  get isWaitedFor(): boolean {
    for (const { background } of this.listeners) if (!background) return true;
    return false;
  }

  /**
   * Takes in what was seen of the run, whichever way it has come: the one place where a run changes.
   * @param knownAt the moment of which that is all; left out for a row of the list
   * @returns what is to be told of it
   */
  takeIn(seen: Run, knownAt?: number): RunEvent[] {
    const now = this.ways.clock.elapsed();
    const before = this.run;
    const run = mergeRun(before, seen);
    this.run = run;
    if (knownAt !== undefined) Object.assign(this, { knownAt, urgency: undefined });
    const changes = changesBetween(before, run);
    this.noteWaits(before, now, changes.length > 0);
    if (changes.length > 0) Object.assign(this, { changedAt: now, eagerSince: now, toldStall: false });
    // Who was told that it cannot be asked learns that it can again.
    else if (this.isFailing) changes.push("activity");
    Object.assign(this, { isFailing: false, notFound: 0 });
    if (this.isDone) return [];
    const events: RunEvent[] = changes.map((type) => ({ type, run }));
    if (!isFinal(run.status)) return events;
    this.isDone = run.status !== "killed" || now - this.changedAt >= KILLED_WATCH_MS;
    if (this.toldEnd === run.status) return events;
    this.toldEnd = run.status;
    return [...events, { type: "finished", run }];
  }

  /** Counts what the run has asked, for how long it has waited for answers, and its longest silence at work. */
  private noteWaits(before: Run, now: number, hasChanged: boolean): void {
    const { run, asked, changedAt, countedAt } = this;
    for (const id of questionIds(run)) asked.add(id);
    const wasAsking = waitsForPerson(before);
    if (asked.size > 0 || before.questionsAsked !== undefined)
      run.questionsAsked = Math.max(asked.size, before.questionsAsked ?? 0);
    if (wasAsking) run.waitedS = (before.waitedS ?? 0) + (now - countedAt) / 1000;
    this.countedAt = now;
    const wasAtWork = before.status === "running" && !wasAsking && !before.waitsForSlot;
    if (hasChanged && wasAtWork) run.quietS = Math.max(before.quietS ?? 0, (now - changedAt) / 1000);
  }

  /**
   * Takes note of a row of the list of running runs.
   * @returns whether it shows something that is not known yet: a turn, or that the run waits for a person
   */
  noteRow(row: Run): boolean {
    const known = this.run.turn ?? 0;
    const shown = row.turn ?? -1;
    // A list that lags behind what the run itself has told tells nothing.
    this.listed = shown >= known ? "turns" : "running";
    const isOtherWait = row.waitsForAnswer ? !waitsForPerson(this.run) : this.run.waitsForAnswer === true;
    const isUpdate = shown > known || (shown === known && isOtherWait);
    // It had only slipped from one page to the next, or its update has come in another way.
    if (!isUpdate && this.urgency?.why !== "new") this.urgency = undefined;
    return isUpdate;
  }

  /** The list shows it no more: it has ended, or has to be looked after by itself from now on. */
  leaveList(): void {
    const now = this.ways.clock.elapsed();
    Object.assign(this, { listed: "no", eagerSince: now, urgency: { why: "missing", since: now } });
  }

  /** Takes in that the API could not be asked, or does not know the run. */
  takeInFailure(error: ApiError): RunEvent[] {
    if (this.isDone) return [];
    if (!this.isFailing) this.eagerSince = this.ways.clock.elapsed();
    this.isFailing = true;
    this.isDone = error.kind === "not_found" && ++this.notFound >= NOT_FOUND_LIMIT;
    return [{ type: this.isDone ? "lost" : "unreachable", run: this.run, error }];
  }

  /** For how long nothing has changed, in ms, once such runs are not silent for so long at work. */
  get stalledMs(): number | undefined {
    const { clock, stallAfterMs, stallAfter = () => 0 } = this.ways;
    const quietMs = clock.elapsed() - this.changedAt;
    return quietMs >= stallAfterMs && quietMs >= stallAfter(this.run) ? quietMs : undefined;
  }

  /** That the run stands still, when it does and nobody was told. */
  findStall(): RunEvent[] {
    const { run, isDone, toldStall } = this;
    // A run that waits for a person's answer, or a slot, stands still for a reason.
    const isWaiting = waitsForPerson(run) || run.waitsForSlot !== undefined;
    const quietMs = isDone || toldStall || isWaiting ? undefined : this.stalledMs;
    if (quietMs === undefined) return [];
    this.toldStall = true;
    return [{ type: "stalled", run, quietMs }];
  }
}

/** Whether the run's agent waits for an answer, as far as is known; what is asked may not be. */
function waitsForPerson(run: Run): boolean {
  return run.waitsForAnswer === true || questionIds(run).length > 0;
}
