import { randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { type Database, type SharedDatabase, type Transaction, transaction } from "../../store/database.js";
import type { SessionBundleTables } from "../../store/migrations/009-session-bundles.js";
import type { EngineRun } from "../runs/run.js";
import type { PackedWork } from "../workspaces/moving-types.js";
import { hasGoneOn, readSession } from "./session-homes.js";

/** Bytes of a bundle that are written and read at once: each is one short transaction, since all changes wait for it. */
const PART_BYTES = 1024 * 1024;
/** Parts of a bundle that was never finished stay so long, in ms: longer than it takes to store any. */
const UNFINISHED_MS = 3_600_000;

/** What is known of a session's work, wherever it has been done. */
export interface StoredSession {
  /** Whose it is. */
  workerId: string;
  /** The run at whose end, or during which, it was stored. */
  runId: string;
  /** That run had ended. */
  isAtEnd: boolean;
  /** Epoch ms. */
  storedAt: number;
  /** Missing where it has no repository. */
  work?: PackedWork;
  /** Names the bundle. */
  bundleId?: string;
  /** Its handover note. */
  handover?: string;
}

/** What sessions have committed, in the database that their workers share. */
export interface SessionBundles {
  /** The largest bundle that is stored, in bytes. */
  readonly limitBytes: number;
  /** @throws StoreError */
  read(sessionId: string): Promise<StoredSession | undefined>;
  /**
   * Stores what a session has, in place of what there was.
   * @param run the one that has just ended, or is at work
   * @param what.file the bundle; without one, that of `bundleId` stays
   * @returns false when another worker has gone on with the session since: nothing was stored
   * @throws StoreError, and the signal's reason; what there was stays
   */
  store(
    run: EngineRun,
    what: { isAtEnd: boolean; work?: PackedWork; file?: string; bundleId?: string; handover?: string },
    signal?: AbortSignal,
  ): Promise<boolean>;
  /** Writes a bundle to a file that is not there yet. @throws Error when it is not whole any more, and StoreError */
  writeBundle(stored: StoredSession, file: string): Promise<void>;
}

/** Creates it for one worker. */
export function createSessionBundles(options: {
  database: Database;
  shared: SharedDatabase;
  workerId: string;
  limitBytes: number;
}): SessionBundles {
  const { database, shared, workerId, limitBytes } = options;

  /** @returns the bundle's id */
  async function writeParts(file: string, signal: AbortSignal | undefined): Promise<string> {
    const bundleId = randomUUID();
    const handle = await open(file);
    try {
      for (let number = 0; ; number++) {
        signal?.throwIfAborted();
        const bytes = await readPart(handle);
        if (bytes.length === 0) return bundleId;
        await transaction(database, async (trx) => {
          const row = { bundle_id: bundleId, number, stored_at: await shared.readNow(trx), bytes };
          await trx.insertInto("session_bundle_parts").values(row).execute();
        });
      }
    } catch (error) {
      await forgetParts(bundleId);
      throw error;
    } finally {
      await handle.close();
    }
  }

  async function putInPlace(trx: Transaction, run: EngineRun, what: Row): Promise<boolean> {
    const { sessionId, runId } = run;
    if (hasGoneOn(await readSession(trx, sessionId), run, workerId)) return false;
    const now = await shared.readNow(trx);
    const row = { worker_id: workerId, run_id: runId, stored_at: now, ...toRow(what) };
    const former = trx.selectFrom("session_bundles").select("bundle_id").where("session_id", "=", sessionId);
    const old = (await former.executeTakeFirst())?.bundle_id;
    await trx
      .insertInto("session_bundles")
      .values({ session_id: sessionId, ...row })
      .onConflict((conflict) => conflict.column("session_id").doUpdateSet(row))
      .execute();
    if (old && old !== row.bundle_id)
      await trx.deleteFrom("session_bundle_parts").where("bundle_id", "=", old).execute();
    return true;
  }

  async function forgetParts(bundleId: string): Promise<void> {
    // What stays goes when bundles are pruned.
    await transaction(database, (trx) =>
      trx.deleteFrom("session_bundle_parts").where("bundle_id", "=", bundleId).execute(),
    ).catch(() => {});
  }

  return {
    limitBytes,

    async read(sessionId) {
      const query = database.selectFrom("session_bundles").selectAll().where("session_id", "=", sessionId);
      const row = await query.executeTakeFirst();
      return row && toStored(row);
    },

    async store(run, { file, ...what }, signal) {
      const bundleId = file === undefined ? what.bundleId : await writeParts(file, signal);
      try {
        const isStored = await transaction(database, (trx) => putInPlace(trx, run, { ...what, bundleId }));
        if (!isStored && file !== undefined && bundleId) await forgetParts(bundleId);
        return isStored;
      } catch (error) {
        if (file !== undefined && bundleId) await forgetParts(bundleId);
        throw error;
      }
    },

    async writeBundle({ bundleId = "", work }, file) {
      const handle = await open(file, "wx", 0o600);
      try {
        let written = 0;
        for (let number = 0; ; number++) {
          const query = database.selectFrom("session_bundle_parts").select("bytes");
          const one = query.where("bundle_id", "=", bundleId).where("number", "=", number);
          const bytes = (await one.executeTakeFirst())?.bytes;
          if (!bytes) break;
          await handle.writeFile(bytes);
          written += bytes.length;
        }
        if (written !== work?.bytes) throw new Error("The session's bundle in the database is not whole.");
      } finally {
        await handle.close();
      }
    },
  };
}

/** Removes what is of no run any more, and of bundles that were never finished. */
export async function pruneBundles(trx: Transaction, now: number): Promise<void> {
  const known = trx.selectFrom("engine_runs").select("session_id");
  await trx.deleteFrom("session_bundles").where("session_id", "not in", known).execute();
  const used = trx.selectFrom("session_bundles").select("bundle_id").where("bundle_id", "is not", null);
  await trx
    .deleteFrom("session_bundle_parts")
    .where("stored_at", "<", now - UNFINISHED_MS)
    .where("bundle_id", "not in", used.$castTo<{ bundle_id: string }>())
    .execute();
}

/** @returns nothing at the file's end */
async function readPart(handle: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(PART_BYTES);
  let filled = 0;
  while (filled < PART_BYTES) {
    const { bytesRead } = await handle.read(buffer, filled, PART_BYTES - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

interface Row {
  isAtEnd: boolean;
  work?: PackedWork;
  handover?: string;
  bundleId: string | undefined;
}

/** What is in the column `details`. */
type Details = Pick<PackedWork, "isOwn" | "deliveredAs" | "ownCommit"> & Pick<Row, "isAtEnd">;

function toRow({ isAtEnd, work, handover, bundleId }: Row) {
  const { isOwn, deliveredAs, ownCommit } = work ?? { isOwn: false };
  return {
    kind: work?.kind ?? "none",
    repository: work?.repository ?? null,
    branch: work?.branch ?? null,
    base_branch: work?.baseBranch ?? null,
    base_commit: work?.baseCommit ?? null,
    tip_commit: work?.tip ?? null,
    commits: work?.commits ?? 0,
    details: JSON.stringify({ isAtEnd, isOwn, deliveredAs, ownCommit }),
    bundle_id: bundleId ?? null,
    bytes: work?.bytes ?? 0,
    handover: handover ?? null,
  };
}

function toStored(row: SessionBundleTables["session_bundles"]): StoredSession {
  const { isAtEnd, ...details }: Details = JSON.parse(row.details);
  const work = row.kind !== "none" && {
    ...{ kind: row.kind as PackedWork["kind"], repository: row.repository ?? "", ...details },
    ...(row.branch !== null && { branch: row.branch }),
    ...(row.base_branch !== null && { baseBranch: row.base_branch }),
    ...(row.base_commit !== null && { baseCommit: row.base_commit }),
    ...(row.tip_commit !== null && { tip: row.tip_commit }),
    ...{ commits: row.commits, bytes: row.bytes },
  };
  return {
    ...{ workerId: row.worker_id, runId: row.run_id, storedAt: row.stored_at, isAtEnd },
    ...(work && { work }),
    ...(row.bundle_id !== null && { bundleId: row.bundle_id }),
    ...(row.handover !== null && { handover: row.handover }),
  };
}
