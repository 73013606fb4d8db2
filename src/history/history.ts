import type { Clock } from "../shared/clock.js";
import { type Expectation, expectRun, type Success, sizeOf, successOf } from "./expect.js";
import type { Figures } from "./figures.js";
import type { HistoryCursor, HistoryUpdates } from "./history-rows.js";

/** Where the figures of ended runs and plans are kept. */
export interface HistorySource {
  /** How long a reading of history is good for, in ms. */
  historyFreshMs: number;
  /** What has changed since a reading; everything without one. @throws as the store does */
  readHistory(cursor?: HistoryCursor): Promise<HistoryUpdates>;
  /** Keeps what was seen on the API. @throws as the store does */
  noteFigures(figures: readonly Figures[]): Promise<void>;
}

/** The past as it was last read: nothing of it changes any more. */
export interface Past {
  figures: readonly Figures[];
  /** What runs of a workflow usually take: in a repository, and for a task of that length, where enough of them are known. */
  expect(workflow: string, repository?: string, task?: string): Expectation;
  /** How often runs of a workflow succeed; undefined for fewer than three. */
  successOfWorkflow(workflow: string): Success | undefined;
  /** The same of plans that were begun from a template. */
  successOfTemplate(template: string): Success | undefined;
}

/** What ended runs and plans of an API tell of those to come. Nothing is read before it is asked for. */
export interface History {
  /** Never throws: where it cannot be read, it is as it was known last. */
  read(): Promise<Past>;
  /** As it was read last, without waiting; a reading is begun where that is old. */
  known(): Past;
  /** Keeps ended runs that were seen on the API, where they are new. Never throws. */
  note(figures: readonly Figures[]): Promise<void>;
}

/** Reads it lazily, and after that only what has changed. */
export function createHistory(options: { source: HistorySource; clock: Clock }): History {
  const { source, clock } = options;
  const figures = new Map<string, Figures>();
  let cursor: HistoryCursor | undefined;
  let past = lookBack([], clock);
  let reading: { at: number; done: Promise<void> } | undefined;

  async function readUpdates(): Promise<void> {
    const updates = await source.readHistory(cursor);
    cursor = updates.cursor;
    if (updates.figures.length === 0 && updates.gone.length === 0) return;
    for (const one of updates.figures) figures.set(keyOf(one), one);
    for (const one of updates.gone) figures.delete(keyOf(one));
    past = lookBack([...figures.values()], clock);
  }

  async function read(): Promise<Past> {
    if (!reading || clock.elapsed() - reading.at >= source.historyFreshMs)
      reading = { at: clock.elapsed(), done: readUpdates().catch(() => {}) };
    await reading.done;
    return past;
  }

  return {
    read,
    known() {
      void read();
      return past;
    },
    async note(seen) {
      await read();
      const fresh = seen.filter((one) => isUpdate(figures.get(keyOf(one)), one));
      if (fresh.length > 0) await source.noteFigures(fresh).catch(() => {});
    },
  };
}

/** A list tells less than what was seen of a run itself: it only corrects how a killed one has come to its own end. */
function isUpdate(known: Figures | undefined, seen: Figures): boolean {
  return !known || (known.outcome === "killed" && seen.outcome !== "killed");
}

const keyOf = ({ kind, id }: Pick<Figures, "kind" | "id">) => `${kind} ${id}`;

function lookBack(figures: readonly Figures[], clock: Pick<Clock, "now">): Past {
  const asked = new Map<string, Expectation>();
  return {
    figures,
    expect(workflow, repository, task) {
      const key = JSON.stringify([workflow, repository, task && sizeOf(task)]);
      const found = asked.get(key) ?? expectRun(figures, { workflow, repository, task, now: clock.now() });
      asked.set(key, found);
      return found;
    },
    successOfWorkflow: (workflow) =>
      successOf(figures.filter((one) => one.kind === "run" && one.workflow === workflow)),
    successOfTemplate: (template) =>
      successOf(figures.filter((one) => one.kind === "plan" && one.template === template)),
  };
}
