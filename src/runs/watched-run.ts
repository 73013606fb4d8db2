import type { ApiError } from "../api/errors.js";
import { isFinal, openQuestions, type Run } from "../api/types.js";
import { mergeRun } from "./merge-run.js";
import { changesBetween, type RunEvent } from "./run-events.js";

/** The ways by which changes come at the moment, and the limits of asking, in ms. */
export interface Ways {
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
  stallAfter: (run: Run) => number;
}

/** The first event of a run that was just started comes within this time, in ms, or the run is asked for. */
const FIRST_EVENT_MS = 1_000;
/** A start may be answered before the run can be read, so one "not found" is not believed. */
const NOT_FOUND_LIMIT = 4;
/** A killed run is watched for this much longer, in ms: the public server lets it go on and complete. */
const KILLED_WATCH_MS = 60_000;

/** All that is known here of one run. */
export type WatchedRun = ReturnType<typeof createWatchedRun>;

/** @param now as all times here, in ms of the monotonic clock */
export function createWatchedRun(run: Run, now: number) {
  return {
    /** The newest snapshot. */
    run,
    listeners: new Set<{ tell: (event: RunEvent) => void; background: boolean }>(),
    /** The agent's questions that were seen, by their ids. */
    asked: new Set<string>(),
    /** Until when its waits for a person were counted. */
    countedAt: now,
    /** When the snapshot has last changed: for so long the run has stood still. */
    changedAt: now,
    /** The newest moment of which all is known: that of an event of the stream, or when it was asked for. */
    knownAt: Number.NEGATIVE_INFINITY,
    /** What the list of running runs tells of it: nothing, that it goes on, or its turns as they come. */
    listed: "no" as "no" | "running" | "turns",
    isAsking: false,
    /** When it was last asked for. */
    askedAt: now,
    /** From when on the pauses between two requests grow. */
    eagerSince: now,
    /** Why it is asked for before its pause is over: somebody new watches it, or what the list has shown. */
    urgency: undefined as { why: "new" | "changed" | "missing"; since: number } | undefined,
    isFailing: false,
    /** How often the API has said that it does not know the run, since it last knew it. */
    notFound: 0,
    toldStall: false,
    /** The final status that all listeners know. */
    toldEnd: undefined as string | undefined,
    /** Nothing more is asked for or told. */
    isDone: false,
  };
}

/** The run is watched again after nobody has, or after all was told: a pause in the watching makes it no livelier. */
export function beginAgain(one: WatchedRun, seed: Run, now: number): void {
  const { run, listeners, changedAt, knownAt } = one;
  const { asked } = one;
  Object.assign(one, createWatchedRun(mergeRun(seed, run), now), { listeners, changedAt, knownAt, asked });
}

/**
 * Somebody new listens, who is told as well that the run stands still or has ended. A run is looked at at once also where
 * nobody waits for it: only then its conversation is known, and may be shown only while it goes on.
 */
export function welcome(one: WatchedRun, ways: Ways, now: number): void {
  Object.assign(one, { eagerSince: now, toldStall: false, toldEnd: undefined });
  if (isPushed(one, ways) && !isFinal(one.run.status)) return;
  const isJustStarted = ways.isStreaming && one.run.status === "pending";
  one.urgency = { why: "new", since: now + (isJustStarted ? FIRST_EVENT_MS : 0) };
}

/** Whether every change of the run comes over the stream. */
export function isPushed(one: WatchedRun, { isStreaming, gaplessSince }: Ways): boolean {
  return isStreaming && one.knownAt >= gaplessSince;
}

/** Whether somebody waits for the run: it comes before those that are only kept an eye on. */
export function isWaitedFor({ listeners }: WatchedRun): boolean {
  for (const { background } of listeners) if (!background) return true;
  return false;
}

/**
 * Takes in what was seen of a run, whichever way it has come: the one place where a run changes.
 * @returns what is to be told of it
 */
export function takeIn(one: WatchedRun, seen: Run, now: number): RunEvent[] {
  const before = one.run;
  const run = mergeRun(before, seen);
  one.run = run;
  const changes = changesBetween(before, run);
  noteWaits(one, before, now, changes.length > 0);
  if (changes.length > 0) Object.assign(one, { changedAt: now, eagerSince: now, toldStall: false });
  // Who was told that it cannot be asked learns that it can again.
  else if (one.isFailing) changes.push("activity");
  Object.assign(one, { isFailing: false, notFound: 0 });
  if (one.isDone) return [];
  const events: RunEvent[] = changes.map((type) => ({ type, run }));
  if (!isFinal(run.status)) return events;
  one.isDone = run.status !== "killed" || now - one.changedAt >= KILLED_WATCH_MS;
  if (one.toldEnd === run.status) return events;
  one.toldEnd = run.status;
  return [...events, { type: "finished", run }];
}

/** Counts what the run has asked, for how long it has waited for answers, and its longest silence at work. */
function noteWaits(one: WatchedRun, before: Run, now: number, hasChanged: boolean): void {
  const { run, asked, changedAt, countedAt } = one;
  for (const { questionId } of openQuestions(run)) asked.add(questionId);
  const wasAsking = openQuestions(before).length > 0 || before.waitsForAnswer === true;
  if (asked.size > 0 || before.questionsAsked !== undefined)
    run.questionsAsked = Math.max(asked.size, before.questionsAsked ?? 0);
  if (wasAsking) run.waitedS = (before.waitedS ?? 0) + (now - countedAt) / 1000;
  one.countedAt = now;
  const wasAtWork = before.status === "running" && !wasAsking && !before.waitsForSlot;
  if (hasChanged && wasAtWork) run.quietS = Math.max(before.quietS ?? 0, (now - changedAt) / 1000);
}

/** Whether a row tells otherwise than what is known that the run waits for a person. */
function tellsOtherWait(row: Run, { run }: WatchedRun): boolean {
  if (row.waitsForAnswer) return !run.waitsForAnswer && openQuestions(run).length === 0;
  return run.waitsForAnswer === true;
}

/**
 * Takes note of a row of the list of running runs.
 * @returns whether it shows something that is not known yet: a turn, or that the run waits for a person
 */
export function noteRow(one: WatchedRun, row: Run): boolean {
  const known = one.run.turn ?? 0;
  const shown = row.turn ?? -1;
  // A list that lags behind what the run itself has told tells nothing.
  one.listed = shown >= known ? "turns" : "running";
  // It had only slipped from one page to the next, or its news have come in another way.
  const isNews = shown > known || (shown === known && tellsOtherWait(row, one));
  if (!isNews && one.urgency?.why !== "new") one.urgency = undefined;
  return isNews;
}

/** The list shows it no more: it has ended, or has to be looked after by itself from now on. */
export function leaveList(one: WatchedRun, now: number): void {
  Object.assign(one, { listed: "no", eagerSince: now, urgency: { why: "missing", since: now } });
}

/** Takes in that the API could not be asked, or does not know the run. */
export function takeInFailure(one: WatchedRun, error: ApiError, now: number): RunEvent[] {
  if (one.isDone) return [];
  if (!one.isFailing) one.eagerSince = now;
  one.isFailing = true;
  one.isDone = error.kind === "not_found" && ++one.notFound >= NOT_FOUND_LIMIT;
  return [{ type: one.isDone ? "lost" : "unreachable", run: one.run, error }];
}

/** Whether a silence is longer than such runs are silent at work. */
export function isLong(quietMs: number, run: Run, { stallAfterMs, stallAfter }: Ways): boolean {
  return quietMs >= stallAfterMs && quietMs >= stallAfter(run);
}

/** That the run stands still, when it does and nobody was told. */
export function findStall(one: WatchedRun, ways: Ways, now: number): RunEvent[] {
  const quietMs = now - one.changedAt;
  // A run that waits for a person's answer, or a slot, stands still for a reason.
  const isWaiting = openQuestions(one.run).length > 0 || one.run.waitsForSlot !== undefined;
  if (one.isDone || one.toldStall || isWaiting || !isLong(quietMs, one.run, ways)) return [];
  one.toldStall = true;
  return [{ type: "stalled", run: one.run, quietMs }];
}
