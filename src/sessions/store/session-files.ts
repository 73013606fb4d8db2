import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { readPrivateFile } from "../../shared/private-files.js";
import { type Database, transaction } from "../../store/database.js";
import type { StoreProblem } from "../../store/store-error.js";
import { isRecordFileName, recordFileName } from "./file-names.js";
import { keepRuns, MAX_RECORD_BYTES, parseRecord, RUNS_KEPT, type SessionRecord } from "./session-record.js";
import { addSessions } from "./sql-sessions.js";

const NAME = "session files";
/** Files that are open together: far fewer than a process may have. */
const READ_AT_ONCE = 32;
/** Sessions that are stored together, in some ms: others write in between. */
const STORED_AT_ONCE = 200;

/**
 * Takes over, once, what releases before the database kept: a file for each session in `sessions/<API>/`. The files
 * stay as they are, for such a release; what it writes afterwards stays in them. Those that cannot be read are left
 * out and reported. Several processes may do so at once, and one go on after another was killed in the middle of it:
 * a session that the database has, or had, is left as it is there.
 */
export async function takeOverSessionFiles(
  db: Database,
  options: { folder: string; now: number; onProblem(problem: StoreProblem): void },
): Promise<void> {
  const isDone = (from: Pick<Database, "selectFrom">) =>
    from.selectFrom("taken_over").select("name").where("name", "=", NAME).executeTakeFirst();
  if (await isDone(db)) return;
  const { records, unread } = await readSessionFiles(join(options.folder, "sessions"));
  for (const [upstream, own] of records) {
    for (let from = 0; from < own.length; from += STORED_AT_ONCE) {
      const some = own.slice(from, from + STORED_AT_ONCE);
      await transaction(db, (trx) => addSessions(trx, upstream, some));
      await nextTurn();
    }
  }
  const isFirst = await transaction(db, async (trx) => {
    if (await isDone(trx)) return false;
    await trx.insertInto("taken_over").values({ name: NAME, taken_at: options.now }).execute();
    return true;
  });
  if (!isFirst || unread === 0) return;
  const message =
    `Of the session files of an earlier release, ${unread} could not be read and ${unread === 1 ? "was" : "were"} not taken over. ` +
    'They are left as they are, in the folder "sessions" of the state folder.';
  options.onProblem({ kind: "damaged", message });
}

/** @returns the sessions of each API, and how many files and folders could not be read */
async function readSessionFiles(folder: string) {
  const records = new Map<string, SessionRecord[]>();
  let unread = 0;
  const namesIn = (path: string) =>
    readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") unread += 1;
      return [];
    });
  for (const upstream of await namesIn(folder)) {
    const names = (await namesIn(join(folder, upstream))).filter(isRecordFileName);
    const own: SessionRecord[] = [];
    for (let from = 0; from < names.length; from += READ_AT_ONCE) {
      const some = names.slice(from, from + READ_AT_ONCE);
      const read = await Promise.all(some.map((name) => readSessionFile(join(folder, upstream), name)));
      own.push(...read.filter((record) => record !== undefined));
    }
    unread += names.length - own.length;
    records.set(upstream, own);
  }
  return { records, unread };
}

async function readSessionFile(folder: string, name: string): Promise<SessionRecord | undefined> {
  const file = await readPrivateFile(join(folder, name), MAX_RECORD_BYTES).catch(() => undefined);
  const content = parseRecord(file?.text ?? "");
  // A copied or renamed file would make two sessions of one key.
  if (content.kind !== "record" || recordFileName(content.record.key) !== name) return undefined;
  return { ...content.record, runs: keepRuns(content.record.runs, RUNS_KEPT) };
}
