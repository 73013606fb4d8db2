import type { Kysely } from "kysely";
import { cleanLine } from "../../shared/text.js";
import type { Tables } from "../../store/tables.js";

/** What is shown of a machine's name, which anybody with the database could set. */
export const NAME_CHARACTERS = 80;

/** A worker as it was last seen: an engine that shares a database with others. */
export interface Worker {
  id: string;
  /** Its process. */
  instance: string;
  /** Its machine, as a person calls it. */
  name: string;
  version: string;
  /** How many agents work there at once. */
  places: number;
  /** How many of these were taken when it was last seen. */
  busy: number;
  /** `ended`: in an orderly way; `gone`: nothing was heard of it for too long. */
  state: "ready" | "draining" | "ended" | "gone";
  /** When it was seen last, epoch ms by the database's clock. */
  seenAt: number;
  /** How long it was silent by then, in ms. */
  silentMs: number;
}

/**
 * The workers of a database, those that have ended included.
 * @param now epoch ms by the database's clock
 * @param silenceOf how long a worker is silent, in ms, where the caller knows that better than the database's clock tells
 * @throws StoreError
 */
export async function readWorkers(
  db: Kysely<Tables>,
  now: number,
  silenceOf: (workerId: string, seenAt: number, silentMs: number) => number = (_id, _at, ms) => ms,
): Promise<Worker[]> {
  const rows = await db.selectFrom("workers").selectAll().orderBy("name").orderBy("worker_id").execute();
  return rows.map(
    ({ worker_id: id, instance, name, version, places, busy, state, seen_at: seenAt, timeout_ms }) => {
      const silentMs = silenceOf(id, seenAt, Math.max(0, now - seenAt));
      const isGone = state !== "ended" && silentMs > timeout_ms;
      const seen = { id, instance, name: cleanLine(name, NAME_CHARACTERS), version, places, busy };
      return { ...seen, seenAt, silentMs, state: isGone ? "gone" : (state as Worker["state"]) };
    },
  );
}

/** Whether it takes requests, as far as is known. */
export const isThere = ({ state }: Pick<Worker, "state">): boolean =>
  state === "ready" || state === "draining";
