import { apply } from "./apply.js";
import type { EngineRun } from "./run.js";
import type { HeldRun } from "./run-rows.js";
import type { Asked } from "./run-writer.js";
import type { TakenIn } from "./taken-in.js";
import { type ChangeId, PASSING, type WaitingChange, type WaitingChanges } from "./waiting-changes.js";
import type { Outcome } from "./write-changes.js";

/** With more changes that wait, what an agent did a while ago is left out of memory. */
const MOST_WAITING = 20_000;

/** Where changes that wait are kept, and how it is known which of them the database has. */
export interface Keeping {
  disk: WaitingChanges;
  takenIn: TakenIn;
  /** This process among those of its worker. */
  process: number;
  /** There is too much of it: nothing more is kept, and whatever goes on is to end. Must not throw. */
  onFull: () => void;
}

/** A change with its name, where it is one that may wait. */
export type Named = Asked & { id?: ChangeId };

/** Changes that count in memory and are not in the database, the oldest first. */
export interface WaitingList {
  readonly length: number;
  /** Gives a change that may wait its name, in the order of the calls. */
  name(asked: Asked): Named;
  /** The oldest ones. */
  first(count: number): readonly Named[];
  /** The database has the oldest ones. */
  drop(count: number): void;
  /** Nothing waits: what is on the disk goes. Never rejects. */
  clear(): Promise<void>;
  /** What is on the disk stays. Never rejects. */
  close(): Promise<void>;
  /** A run, as it is in the database, with what waits for it. */
  onTop(run: EngineRun): EngineRun;
  /**
   * Lets changes wait that can. They are on the disk when it resolves. Never rejects.
   * @param refused what becomes of one that cannot wait
   */
  add(changes: readonly Named[], refused: () => Error): Promise<Outcome[]>;
}

/**
 * @param options.keeping left out where nothing survives the process
 * @param options.newestId the number of the newest event, for those who are told of what waits
 * @param options.onUnkept told when they are not on the disk, with the reason. Must not throw
 */
export function createWaitingList(options: {
  runs: Map<string, HeldRun>;
  keeping: Keeping | undefined;
  newestId: () => number;
  onUnkept: (reason: string) => void;
}): WaitingList {
  const { runs, keeping, newestId, onUnkept } = options;
  let list: Named[] = (keeping?.disk.former ?? []).map(toNamed);
  let number = 0;
  let isFull = false;

  /** @param ahead the runs that count otherwise by now, which nobody is shown yet */
  function count(asked: Named, ahead: Map<string, HeldRun>, refused: () => Error): Outcome {
    const { change, durability } = asked;
    const held = change.kind === "record" ? (ahead.get(change.runId) ?? runs.get(change.runId)) : undefined;
    // What is still to begin, others may begin meanwhile: what came of that is not undone by what was meant before it.
    const mayWait = held !== undefined && held.newest.status !== "pending";
    if (change.kind === "accept" || durability === "written" || !mayWait) return { refused: refused() };
    const run = apply(held.newest, change.event);
    if (run === held.newest) return { run, event: undefined };
    ahead.set(run.runId, { ...held, newest: run });
    const { type, at, ...data } = change.event;
    return { run, event: { id: newestId(), runId: run.runId, at, type, status: run.status, data } };
  }

  function append({ change, ...asked }: Named): void {
    list.push({ ...asked, change: change.kind === "record" ? { ...change, isLate: true } : change });
    if (list.length > MOST_WAITING) leaveOut();
  }

  function leaveOut(): void {
    const passing = list.findIndex(
      ({ change }) => change.kind === "record" && PASSING.has(change.event.type),
    );
    if (passing >= 0) list.splice(passing, 1);
  }

  async function keep(changes: readonly Named[]): Promise<void> {
    if (!keeping || changes.length === 0) return;
    try {
      if ((await keeping.disk.keep(changes.flatMap(toWaiting))) || isFull) return;
      isFull = true;
      keeping.onFull();
    } catch (error) {
      onUnkept((error as NodeJS.ErrnoException).code ?? (error as Error).message);
    }
  }

  return {
    get length() {
      return list.length;
    },
    name(asked) {
      const mayWait = asked.change.kind === "record" && asked.durability !== "written";
      return keeping && mayWait ? { ...asked, id: { process: keeping.process, number: ++number } } : asked;
    },
    first: (count) => list.slice(0, count),
    drop(count) {
      list = list.slice(count);
    },
    async clear() {
      isFull = false;
      // What cannot be removed is known as taken in.
      await keeping?.disk.clear().catch(() => {});
    },
    close: async () => keeping?.disk.close(),
    onTop(run) {
      let newest = run;
      for (const { change } of list)
        if (change.kind === "record" && change.runId === run.runId) newest = apply(newest, change.event);
      return newest;
    },
    async add(changes, refused) {
      const ahead = new Map<string, HeldRun>();
      const outcomes = changes.map((one) => count(one, ahead, refused));
      const added = changes.filter((_, index) => isWaiting(outcomes[index]));
      // What anybody has seen is not lost: it is on the disk first.
      await keep(added);
      for (const one of added) append(one);
      for (const [runId, held] of ahead) runs.set(runId, held);
      return outcomes;
    },
  };
}

const isWaiting = (outcome: Outcome | undefined) =>
  outcome !== undefined && !("refused" in outcome) && outcome.event !== undefined;

function toNamed({ id, runId, event }: WaitingChange): Named {
  return { id, durability: "now", change: { kind: "record", runId, event, isLate: true } };
}

function toWaiting({ id, change }: Named): WaitingChange[] {
  return id && change.kind === "record" ? [{ id, runId: change.runId, event: change.event }] : [];
}
