import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { checkBranchName } from "../../shared/git/repository-address.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";

const commitId = z.string().regex(/^[0-9a-f]{40,64}$/);

const noteSchema = z.object({
  version: z.literal(1),
  id: z.uuid(),
  repository: z.string(),
  commit: commitId,
  /** Absent: it runs in a copy. */
  session: z
    .object({
      recordKey: z.string(),
      head: commitId,
      branch: z
        .string()
        .refine((text) => checkBranchName(text).ok)
        .optional(),
      /** Untracked files that were there before; none is removed while this is not known. */
      before: z.array(z.string()).optional(),
    })
    .optional(),
});

/** A check that is under way, as it is written down before anything is done for it. */
export type CheckNote = z.infer<typeof noteSchema>;
/** One in a session's own worktree. */
export type SessionCheckNote = CheckNote & { session: NonNullable<CheckNote["session"]> };

const NOTE_FILE = /^check-[0-9a-f-]{36}\.json$/;

/** What is noted of checks, a file each, so that the next engine can put in order what one has left. */
export interface CheckNotes {
  write(note: CheckNote): Promise<void>;
  remove(id: string): Promise<void>;
  read(): Promise<CheckNote[]>;
}

/** @param folder private; made when something is noted */
export function createCheckNotes(folder: string): CheckNotes {
  const fileOf = (id: string) => join(folder, `check-${id}.json`);
  return {
    async write(note) {
      await ensurePrivateFolder(folder);
      replaceFile(fileOf(note.id), JSON.stringify(note));
    },

    remove: (id) => rm(fileOf(id), { force: true }),

    async read() {
      const names = (await readdir(folder).catch(() => [] as string[])).filter((name) =>
        NOTE_FILE.test(name),
      );
      const notes: CheckNote[] = [];
      for (const name of names) {
        try {
          notes.push(noteSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8"))));
        } catch {
          // Written in one step, so it is none of ours.
        }
      }
      return notes;
    },
  };
}
