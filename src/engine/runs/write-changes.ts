import type { Transaction } from "../../store/database.js";
import { acceptRun, apply, deepFreeze } from "./apply.js";
import type { RunAccepted, RunEvent } from "./events.js";
import type { EngineRun } from "./run.js";
import {
  findKey,
  insertEvent,
  insertRun,
  newestEventOf,
  readRuns,
  readVersion,
  type StoredRun,
  updateRun,
} from "./run-rows.js";
import { KeyReused, type RequestKey, type StoredEvent } from "./run-store.js";

/** What is asked of the store: to take a run on, or that something has happened to one. */
export type Change =
  | { kind: "accept"; accepted: RunAccepted; key: RequestKey | undefined }
  /** `id`: the event counts already, with this number, and has only to be written. */
  | { kind: "record"; runId: string; event: RunEvent; id?: number };

/** What has come of a change: the run after it, and the event if it could happen. */
export type Outcome = { run: EngineRun; event: StoredEvent | undefined } | { refused: Error };

export interface WrittenChanges {
  /** One for each change. */
  outcomes: Outcome[];
  /** The runs that have changed, as they are in the database now. */
  runs: Map<string, StoredRun>;
  /** The newest event's number. */
  lastId: number;
}

/**
 * Writes changes in their order, each on the newest state of its run: it is read, the event applied, and the run
 * written on condition that nobody has changed it since.
 * @param known runs in memory: what is still the same in the database is not read again
 * @param lastId no event with this number or a lower one is written anew
 * @throws when a run was changed meanwhile, and what the database throws; nothing is written then
 */
export async function writeChanges(
  trx: Transaction,
  changes: readonly Change[],
  known: ReadonlyMap<string, StoredRun>,
  lastId: number,
): Promise<WrittenChanges> {
  const before = new Map<string, StoredRun>();
  const after = new Map<string, StoredRun>();
  const outcomes: Outcome[] = [];
  let newestId = Math.max(lastId, await newestEventOf(trx));

  async function read(runId: string): Promise<StoredRun | undefined> {
    const changed = after.get(runId) ?? before.get(runId);
    if (changed) return changed;
    const version = await readVersion(trx, runId);
    if (version === undefined) return undefined;
    const held = known.get(runId);
    const stored = held?.version === version ? held : (await readRuns(trx, runId))[0];
    if (stored) before.set(runId, stored);
    return stored;
  }

  async function record({ runId, event, id }: Extract<Change, { kind: "record" }>): Promise<Outcome> {
    const stored = await read(runId);
    if (!stored) return { refused: new Error(`Run ${runId} is not there`) };
    const run = apply(stored.run, event);
    if (run === stored.run) return { run, event: undefined };
    const written = toStored(id ?? ++newestId, run, event);
    await insertEvent(trx, written);
    after.set(runId, { ...stored, run, lastEvent: Math.max(stored.lastEvent, written.id) });
    return { run, event: written };
  }

  async function accept({ accepted, key }: Extract<Change, { kind: "accept" }>): Promise<Outcome> {
    const former = key && (await findKey(trx, key.key));
    if (former) {
      const stored = await read(former.runId);
      if (stored && former.digest === key.digest) return { run: stored.run, event: undefined };
      return { refused: new KeyReused() };
    }
    const run = acceptRun(accepted);
    const event = toStored(++newestId, run, accepted);
    const stored = { run, version: 1, firstEvent: event.id, lastEvent: event.id };
    await insertRun(trx, stored, key);
    await insertEvent(trx, event);
    before.set(run.runId, stored);
    after.set(run.runId, stored);
    return { run, event };
  }

  for (const change of changes) {
    outcomes.push(await (change.kind === "accept" ? accept(change) : record(change)));
  }
  for (const [runId, stored] of after) {
    const former = before.get(runId);
    if (!former || former === stored) continue;
    if (!(await updateRun(trx, former, stored))) {
      throw new Error(`Run ${runId} was changed by another process at the same time.`);
    }
    after.set(runId, { ...stored, version: former.version + 1 });
  }
  return { outcomes, runs: after, lastId: newestId };
}

/** An event with its number; its data are its own fields. */
export function toStored(id: number, run: EngineRun, event: RunEvent | RunAccepted): StoredEvent {
  const { type, at, ...data } = event;
  return deepFreeze({ id, runId: run.runId, at, type, status: run.status, data });
}
