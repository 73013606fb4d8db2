import { createHash } from "node:crypto";
import { lstat, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";
import type { GitRunner } from "./git-runner.js";
import { createRefs } from "./refs.js";

/** A move of a person's checkout, as it is written down before anything is done in their repository. */
const noteSchema = z.object({
  version: z.literal(1),
  /** The ref that holds the commit there until the branch does. */
  carrier: z.string().regex(/^refs\/automagik\/[0-9a-f-]{36}$/),
  commonDir: z.string(),
  /** Of the worktree; its index is there. */
  gitDir: z.string(),
  branch: z.string(),
  to: z.string().regex(/^[0-9a-f]{40,64}$/),
  /** A digest of the index that the lock holds, once it does. */
  index: z.string().optional(),
});
export type MoveNote = z.infer<typeof noteSchema>;

const NOTE_FILE = /^[0-9a-f-]{36}\.json$/;

const fileOf = (folder: string, { carrier }: MoveNote) => join(folder, `${basename(carrier)}.json`);

/** What a lock of ours holds until it holds the index: nobody else's is taken for it. */
export const lockMark = ({ carrier }: MoveNote) => `automagik-workflows ${carrier}\n`;

export const digestOf = (content: Buffer) => createHash("sha256").update(content).digest("hex");

export async function noteMove(folder: string, note: MoveNote): Promise<void> {
  await ensurePrivateFolder(folder);
  replaceFile(fileOf(folder, note), JSON.stringify(note));
}

export async function forgetMove(folder: string, note: MoveNote): Promise<void> {
  await rm(fileOf(folder, note), { force: true });
}

/**
 * Takes away what an engine that was killed amid a move has left in a person's repository: its lock, which keeps every
 * git out, and its ref. Where the branch has moved already, the index that belongs to it is put in its place. Never throws.
 */
export async function finishMoves(git: GitRunner, folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    if (!NOTE_FILE.test(name)) continue;
    try {
      const note = noteSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8")));
      await finishMove(git, note);
    } catch {
      // The repository is gone, or nothing of ours is there.
    }
    await rm(join(folder, name), { force: true }).catch(() => undefined);
  }
}

async function finishMove(git: GitRunner, note: MoveNote): Promise<void> {
  const { carrier, commonDir, gitDir, branch, to } = note;
  const at = { clone: commonDir };
  const index = join(gitDir, "index");
  const lock = `${index}.lock`;
  const isPlain = (await lstat(lock).catch(() => undefined))?.isFile();
  const content = isPlain ? await readFile(lock) : undefined;
  const isWhole = content !== undefined && digestOf(content) === note.index;
  if (isWhole && (await createRefs(git, at).local(branch)) === to) await rename(lock, index);
  else if (isWhole || content?.equals(Buffer.from(lockMark(note)))) await rm(lock);
  await git(["update-ref", "-d", carrier, to], { at });
}
