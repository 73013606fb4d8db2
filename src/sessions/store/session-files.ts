import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readPrivateFile } from "../../shared/private-files.js";
import { type Database, transaction } from "../../store/database.js";
import type { StoreProblem } from "../../store/store-error.js";
import { isRecordFileName, recordFileName } from "./file-names.js";
import { MAX_RECORD_BYTES, parseRecord, type SessionRecord } from "./session-record.js";
import { insertSessions } from "./sql-sessions.js";

const NAME = "session files";

/**
 * Takes over, once, what releases before the database kept: a file for each session in `sessions/<API>/`. The files
 * stay as they are, for such a release; what it writes afterwards stays in them. Those that cannot be read are left
 * out and reported.
 */
export async function takeOverSessionFiles(
  db: Database,
  options: { folder: string; now: number; onProblem(problem: StoreProblem): void },
): Promise<void> {
  const isDone = (from: Pick<Database, "selectFrom">) =>
    from.selectFrom("taken_over").select("name").where("name", "=", NAME).executeTakeFirst();
  if (await isDone(db)) return;
  const { records, unread } = await readSessionFiles(join(options.folder, "sessions"));
  const isOurs = await transaction(db, async (trx) => {
    // Another process may have come first.
    if (await isDone(trx)) return false;
    await trx.insertInto("taken_over").values({ name: NAME, taken_at: options.now }).execute();
    for (const [upstream, own] of records) await insertSessions(trx, upstream, own);
    return true;
  });
  if (!isOurs || unread === 0) return;
  const message =
    `Of the session files of an earlier release, ${unread} could not be read and ${unread === 1 ? "was" : "were"} not taken over. ` +
    'They are left as they are, in the folder "sessions" of the state folder.';
  options.onProblem({ kind: "damaged", message });
}

async function readSessionFiles(folder: string) {
  const records = new Map<string, SessionRecord[]>();
  let unread = 0;
  const namesIn = (path: string) =>
    readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") unread += 1;
      return [];
    });
  for (const upstream of await namesIn(folder)) {
    const own: SessionRecord[] = [];
    for (const name of await namesIn(join(folder, upstream))) {
      if (!isRecordFileName(name)) continue;
      const text = await readPrivateFile(join(folder, upstream, name), MAX_RECORD_BYTES).then(
        (file) => file.text,
        () => undefined,
      );
      const content = parseRecord(text ?? "");
      // A copied or renamed file would make two sessions of one key.
      if (content.kind === "record" && recordFileName(content.record.key) === name) own.push(content.record);
      else unread += 1;
    }
    if (own.length > 0) records.set(upstream, own);
  }
  return { records, unread };
}
