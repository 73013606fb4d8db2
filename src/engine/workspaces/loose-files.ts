import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { stampsOf } from "./disk.js";
import { explain, type GitRunner, type WorktreeLocation } from "./git-runner.js";
import { WorkspaceError } from "./types.js";

/** A hundred thousand paths; of more nobody has to know which. */
const MAX_STATUS_BYTES = 16 * 1024 * 1024;
/** Files that differ as soon as they are checked out: more are not remembered, and count as uncommitted. */
const MAX_REMEMBERED = 50_000;
/** What is looked into for being the same as committed, files and bytes each: above it, git is believed. */
const MAX_COMPARED = 2_000;
const MAX_COMPARED_BYTES = 16 * 1024 * 1024;

/** One entry of git's status. */
interface Entry {
  path: string;
  /** Not in the index: it is in no commit. */
  untracked: boolean;
  /** Of a file that differs from the index only by its content: the object that is committed. */
  committed?: string;
}

/**
 * The paths with work that is in no commit, new files included; `all` is false when there are too many. Files that
 * git calls changed and nobody has touched are left out: those that differ from the moment of their checkout, and
 * those whose bytes are the committed ones (line ends in a repository that says otherwise in .gitattributes).
 * @throws WorkspaceError when git can't tell
 */
export async function uncommittedFiles(
  git: GitRunner,
  at: WorktreeLocation,
): Promise<{ paths: string[]; all: boolean }> {
  const { entries, all } = await readStatus(git, at);
  const asCheckedOut = new Set(at.asCheckedOut);
  const marks = asCheckedOut.size > 0 ? await marksOf(at, entries) : [];
  const paths: string[] = [];
  let compared = 0;
  for (const [index, entry] of entries.entries()) {
    if (asCheckedOut.has(marks[index] ?? "")) continue;
    const compares = entry.committed !== undefined && ++compared <= MAX_COMPARED;
    if (compares && (await hasBytesOf(entry.committed ?? "", join(at.worktree.path, entry.path)))) continue;
    paths.push(entry.path);
  }
  return { paths, all };
}

/**
 * Paths that are in no commit and not ignored; a folder with a repository of its own ends with a slash. `all` is false
 * when there are too many.
 * @throws WorkspaceError when git can't tell
 */
export async function untrackedFiles(
  git: GitRunner,
  at: WorktreeLocation,
): Promise<{ paths: string[]; all: boolean }> {
  const { entries, all } = await readStatus(git, at);
  return { paths: entries.filter(({ untracked }) => untracked).map(({ path }) => path), all };
}

/**
 * Looks at a worktree that has just been checked out.
 * @returns `marks`: of the files that differ from their commit although nobody has touched them, to be remembered with
 * the worktree; undefined when there are none, or too many. `loose`: what `uncommittedFiles` finds with these marks.
 * @throws WorkspaceError when git can't tell
 */
export async function lookAtCheckout(
  git: GitRunner,
  at: WorktreeLocation,
): Promise<{ marks: string[] | undefined; loose: string[] }> {
  const { entries } = await readStatus(git, at);
  const tracked = entries.filter(({ untracked }) => !untracked);
  if (tracked.length > MAX_REMEMBERED) return { marks: undefined, loose: entries.map(({ path }) => path) };
  const loose = entries.filter(({ untracked }) => untracked).map(({ path }) => path);
  return { marks: tracked.length === 0 ? undefined : await marksOf(at, tracked), loose };
}

async function readStatus(git: GitRunner, at: WorktreeLocation): Promise<{ entries: Entry[]; all: boolean }> {
  // Submodules are not entered: they have settings of their own, which an agent can write.
  const args = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"];
  const call = { at, separator: "\0" as const, maxBytes: MAX_STATUS_BYTES };
  const told = await git([...args, "--ignore-submodules=dirty"], call);
  if (told.code !== 0 && !told.cut)
    throw new WorkspaceError(`The state of the worktree could not be read: ${explain(told)}`);
  const lines = told.text.split("\0").filter((line) => line !== "" && !line.startsWith("#"));
  return { entries: lines.map(parseEntry), all: !told.cut };
}

/** git-status(1), "Porcelain Format Version 2": `1 XY sub mH mI mW hH hI path`, `u` with ten fields, `? path`. */
function parseEntry(line: string): Entry {
  const fields = line.split(" ");
  if (fields[0] === "?") return { path: line.slice(2), untracked: true };
  const path = fields.slice(fields[0] === "u" ? 10 : 8).join(" ");
  const [, state, , , inIndex, inWorktree, , object] = fields;
  const sameKind = fields[0] === "1" && state === ".M" && inIndex === inWorktree;
  return { path, untracked: false, ...(sameKind && object && { committed: object }) };
}

/** A short text for each file that changes with its path, its time and its size. */
async function marksOf(at: WorktreeLocation, entries: readonly Entry[]): Promise<string[]> {
  const stamps = await stampsOf(
    at.worktree.path,
    entries.map(({ path }) => path),
  );
  return stamps.map((stamp) =>
    createHash("sha256").update(stamp.join("\0")).digest("base64url").slice(0, 12),
  );
}

/** Whether the file's bytes, unfiltered, are those of the object. */
async function hasBytesOf(object: string, path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile() || found.size > MAX_COMPARED_BYTES) return false;
  const hash = createHash(object.length === 64 ? "sha256" : "sha1").update(`blob ${found.size}\0`);
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch {
    return false;
  }
  return hash.digest("hex") === object;
}

/** Removes what was not there before, and folders that are empty without it. */
export async function removeNewFiles(
  root: string,
  now: { paths: readonly string[] },
  before: readonly string[],
): Promise<void> {
  const known = new Set(before);
  for (const path of now.paths) {
    if (known.has(path)) continue;
    await rm(join(root, path), { recursive: true, force: true });
    for (let parent = dirname(path); parent !== "."; parent = dirname(parent)) {
      const isRemoved = await rmdir(join(root, parent)).then(
        () => true,
        () => false,
      );
      if (!isRemoved) break;
    }
  }
}
