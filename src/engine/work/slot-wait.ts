import { cleanLine } from "../../shared/text.js";
import type { EngineRun, RunQuestion } from "../runs/run.js";
import type { RunHistory } from "../runs/run-history.js";
import type { WaitingRun } from "./run-queue.js";

/** How a run stands that waits for a free slot. */
export interface SlotWait {
  /** From 1. */
  position: number;
  /** Runs that can be at work at once. */
  slots: number;
  /** The runs that are at work. */
  busy: readonly EngineRun[];
  /** It was answered, or nobody has answered in time, after it had given its slot up: it goes on with the next free one. */
  answered: boolean;
  /** Nobody has answered in time. */
  unanswered?: true;
  /** Why a free slot does not help: a run of the same session goes on … */
  after?: EngineRun;
  /** … or as many agents wait for a person as may be kept alive. */
  asking?: readonly EngineRun[];
  /** … or its session is that of a worker which begins nothing at the moment. */
  waitsFor?: { name: string; state: string };
  /** In about how many seconds it goes on, where the history tells it. */
  estimateS?: number;
}

/** What runs that wait for the same slots have in common. */
export interface SlotQueue {
  slots: number;
  busy: readonly EngineRun[];
  idle: readonly EngineRun[];
  /** In the order in which they will get a slot. */
  next: readonly WaitingRun[];
  /** The position of each run in `next`, from 0. */
  positions: ReadonlyMap<string, number>;
  /** The run of a session that goes on. */
  before: (sessionId: string) => EngineRun | undefined;
  waitsFor: SlotWait["waitsFor"];
  /** In about how many seconds each of `next` goes on; none for those of which that is not known. */
  estimates: readonly (number | undefined)[];
}

/** @returns undefined for a run that does not wait for a slot */
export function describeWait(run: EngineRun, queue: SlotQueue): SlotWait | undefined {
  const { slots, busy } = queue;
  const index = queue.positions.get(run.runId) ?? -1;
  const next = queue.next[index];
  if (!next) return undefined;
  const after = next.begun ? undefined : queue.before(run.sessionId);
  const waitsFor = run.status === "pending" ? queue.waitsFor : undefined;
  const isHindered = after !== undefined || waitsFor !== undefined || next.full;
  const estimateS = isHindered || busy.length < slots ? undefined : queue.estimates[index];
  return {
    position: index + 1,
    slots,
    busy,
    answered: next.begun,
    ...(next.begun && lastAnswer(run) === "timeout" ? { unanswered: true } : {}),
    ...(after ? { after } : {}),
    ...(waitsFor ? { waitsFor } : {}),
    ...(next.full ? { asking: queue.idle } : {}),
    ...(estimateS === undefined ? {} : { estimateS }),
  };
}

/** Who has closed the question that was closed last. */
function lastAnswer({ questions }: EngineRun): RunQuestion["answeredBy"] {
  const closed = questions.filter(({ answeredAt }) => answeredAt !== undefined);
  return closed.sort((a, b) => (b.answeredAt ?? 0) - (a.answeredAt ?? 0))[0]?.answeredBy;
}

/** How long a run still takes, in s, by the turn it is at; undefined where nothing tells it: beyond what is usual, too. */
function remainingOf(run: EngineRun, history: Pick<RunHistory, "of">): number | undefined {
  const usual = history.of(run.request.workflowName);
  if (!usual || run.status === "waiting" || run.turn >= usual.turns) return undefined;
  return usual.durationS * (1 - run.turn / usual.turns);
}

/** One slot after the other becomes free. Those of which nothing is known are not counted on. */
export function estimateWaits(
  busy: readonly EngineRun[],
  next: readonly WaitingRun[],
  { history, find }: { history: Pick<RunHistory, "of">; find: (runId: string) => EngineRun | undefined },
): (number | undefined)[] {
  const frees = busy.flatMap((run) => remainingOf(run, history) ?? []);
  return next.map(({ runId }) => {
    if (frees.length === 0) return undefined;
    const first = Math.min(...frees);
    frees.splice(frees.indexOf(first), 1);
    const run = find(runId);
    const takes = run && remainingOf(run, history);
    if (takes !== undefined) frees.push(first + takes);
    return first;
  });
}

/** How many names a line shows. */
const NAMES_SHOWN = 3;
/** How many characters it shows of each. */
const NAME_CHARACTERS = 40;

function listNames(runs: readonly EngineRun[]): string {
  const names = runs.slice(0, NAMES_SHOWN).map(({ sessionName }) => cleanLine(sessionName, NAME_CHARACTERS));
  const more = runs.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** "Waiting for a free slot, position 2 (2 of 2 busy: jwt-login, fix-login), about 4 min" */
export function tellWait(wait: SlotWait): string {
  const { position, slots, busy, answered, unanswered, after, waitsFor, asking, estimateS } = wait;
  if (after) {
    const what = after.status === "waiting" ? ", which waits for an answer" : "";
    return `Waiting for the run before it in this session (${after.request.workflowName})${what}`;
  }
  if (waitsFor) {
    const what = waitsFor.state === "draining" ? "begins nothing more" : "is not there";
    return `Waiting for the machine that has this session (${cleanLine(waitsFor.name, NAME_CHARACTERS)}), which ${what}`;
  }
  if (slots === 0)
    return `Waiting for a machine that begins runs, position ${position}: there is none at the moment`;
  if (asking) {
    return (
      `Waiting until a session is answered, position ${position}: ${asking.length} wait for a person, and no more ` +
      `agents are kept alive (${listNames(asking)})`
    );
  }
  const begin = unanswered
    ? "Not answered in time, waiting for a free slot"
    : answered
      ? "Answered, waiting for a free slot"
      : "Waiting for a free slot";
  const names = busy.length > 0 ? `: ${listNames(busy)}` : "";
  return `${begin}, position ${position} (${busy.length} of ${slots} busy${names})${tellEstimate(estimateS)}`;
}

function tellEstimate(estimateS: number | undefined): string {
  if (estimateS === undefined) return "";
  return estimateS < 60 ? ", less than a minute" : `, about ${Math.round(estimateS / 60)} min`;
}
