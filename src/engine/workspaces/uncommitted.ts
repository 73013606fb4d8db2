import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, readlink, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { cleanLine } from "../../shared/text.js";
import type { Clone } from "./clones.js";
import { explain, type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import { identityEnv } from "./git-settings.js";
import { filteredPaths, inChunks, withoutPrograms } from "./person-checkout.js";
import { createRefs } from "./refs.js";
import { WorkspaceError } from "./types.js";
import { emptyTree } from "./work.js";
import { unfinishedStep } from "./worktrees.js";

/** So many files with changes, and so many bytes of them, are taken along at most. */
const MAX_FILES = 1_000;
const MAX_MB = 50;
const MAX_BYTES = MAX_MB * 1024 * 1024;
/** A hundred thousand paths. */
const MAX_STATUS_BYTES = 16 * 1024 * 1024;
/** A file that is written to while it is read is read again, so often. */
const MAX_READS = 3;

/** What stands in a person's checkout and in no commit. */
export interface UncommittedChanges {
  /** The branch that is checked out; missing where none is. */
  branch?: string;
  /** The commit that it stands on; missing in a repository without commits. */
  head?: string;
  /** Files that can be taken along: changed, new or gone. */
  files: string[];
  /** What is never taken along: submodules, other repositories, files that pass a filter, names that are no text. */
  leftOut: string[];
  /** Why the files cannot be taken along either, and what helps; a clause. */
  problem?: string;
}

/** The changes as the first commit of a session. */
export interface OwnChanges {
  commit: string;
  /** What the person had checked out: the commit, missing in a repository without one, and the branch. */
  parent: string | undefined;
  branch: string;
  files: string[];
  leftOut: string[];
}

/**
 * Looks at what is not committed in a person's checkout. Nothing is written, no program of the repository runs, and
 * neither links nor submodules are entered.
 * @param timeoutMs how long git may look
 * @throws WorkspaceError when git can't tell, or not in time
 */
export async function listChanges(
  git: GitRunner,
  at: WorktreeLocation,
  timeoutMs?: number,
): Promise<UncommittedChanges> {
  // In full and without renames: every file counts for itself.
  const args = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"];
  const env = await withoutPrograms(git, at);
  const call = {
    at,
    env,
    separator: "\0" as const,
    maxBytes: MAX_STATUS_BYTES,
    ...(timeoutMs && { timeoutMs }),
  };
  const told = await git([...args, "--ignore-submodules=dirty"], call);
  if (told.code !== 0 && !told.cut)
    throw new WorkspaceError(`What is not committed in the repository could not be read: ${explain(told)}`);
  const lines = told.text.split("\0").filter((line) => line !== "");
  const read = (field: string) =>
    lines.find((line) => line.startsWith(`# branch.${field} `))?.slice(`# branch.${field} `.length);
  const [head, branch] = [read("oid"), read("head")];
  const found = lines.filter((line) => !line.startsWith("#")).flatMap(parseChange);
  const named = [...new Set(found.map(({ path }) => path))];
  const odd = new Set(found.filter(({ special }) => special).map(({ path }) => path));
  const plain = named.filter((path) => !odd.has(path));
  const filtered = plain.length > MAX_FILES ? new Set<string>() : await filteredPaths(git, at, plain);
  const files = plain.filter((path) => !filtered.has(path));
  const changes: UncommittedChanges = {
    ...(branch !== undefined && branch !== "(detached)" && { branch }),
    ...(head !== undefined && head !== "(initial)" && { head }),
    files,
    leftOut: named.filter((path) => !files.includes(path)),
  };
  const isConflict = found.some(({ conflict }) => conflict);
  const problem = await whyNot(at, changes, { isConflict, isCut: told.cut });
  return { ...changes, ...(problem && { problem }) };
}

async function whyNot(
  at: WorktreeLocation,
  { branch, files }: UncommittedChanges,
  { isConflict, isCut }: { isConflict: boolean; isCut: boolean },
): Promise<string | undefined> {
  if (files.length === 0 && !isCut) return undefined;
  const step = await unfinishedStep(at);
  if (step) return `a merge, rebase or the like is not finished there (${step}): finish it first`;
  if (isConflict) return "some of the files are in conflict: resolve that first";
  if (!branch) return "no branch is checked out there: check one out first";
  if (isCut || files.length > MAX_FILES)
    return `they are in more than ${MAX_FILES} files: commit them, or have git ignore what does not belong there`;
  let bytes = 0;
  for (const path of files)
    bytes += (await lstat(join(at.worktree.path, path)).catch(() => ({ size: 0 }))).size;
  return bytes > MAX_BYTES ? tooLarge() : undefined;
}

function tooLarge(): string {
  return `they have more than ${MAX_MB} MB: commit them, or have git ignore what does not belong there`;
}

/** One line of git-status(1), "Porcelain Format Version 2". */
function parseChange(line: string): { path: string; special?: true; conflict?: true }[] {
  const fields = line.split(" ");
  const [kind, , submodule = "", inHead, , inWorktree] = fields;
  const path = kind === "?" ? line.slice(2) : fields.slice(kind === "u" ? 10 : 8).join(" ");
  if (kind === "u") return [{ path, conflict: true }];
  // Staged and gone again: it is neither in the commit nor on the disk.
  if (kind === "1" && inHead === "000000" && inWorktree === "000000") return [];
  const isSubmodule = kind === "1" && (submodule.startsWith("S") || [inHead, inWorktree].includes("160000"));
  // A folder is another repository.
  const isSpecial = isSubmodule || path.endsWith("/") || path.includes("\ufffd");
  return [{ path, ...(isSpecial && { special: true as const }) }];
}

/**
 * Makes a commit of what is not committed in a person's checkout, in the engine's clone: the files are copied first, so
 * that each is as it was at one moment, and git then works with the copies, an index of its own and the clone's objects.
 * Nothing is written in the person's repository, and no hook or filter runs.
 * @param changes as just listed, without a problem
 * @param folder where the copies lie meanwhile
 * @returns undefined when there is nothing that the commit has not
 * @throws WorkspaceError when it is more than is taken, or git fails
 */
export async function commitChanges(
  { git, env, folder }: { git: GitRunner; env: NodeJS.ProcessEnv; folder: string },
  { clone, at, changes }: { clone: Clone; at: WorktreeLocation; changes: UncommittedChanges },
): Promise<OwnChanges | undefined> {
  const { branch, head: parent } = changes;
  if (branch === undefined) return undefined;
  const what = "Your uncommitted changes could not be taken along";
  const place = join(folder, randomUUID());
  const copies = join(place, "files");
  try {
    for (const one of [folder, place, copies]) await ensurePrivateFolder(one);
    const { present, gone, unread } = await copyFiles(at.worktree.path, copies, changes.files);
    // The person's settings (line ends, modes), and nothing of their repository to write to.
    const call = {
      at: { clone: at.clone, worktree: { path: copies, gitDir: at.worktree.gitDir } },
      env: {
        ...(await identityEnv(git, at, env)),
        ...(await withoutPrograms(git, at, [
          ["core.sparseCheckout", "false"],
          ["i18n.commitEncoding", "utf-8"],
        ])),
        GIT_INDEX_FILE: join(place, "index"),
        GIT_OBJECT_DIRECTORY: join(clone.at.clone, "objects"),
        GIT_NO_REPLACE_OBJECTS: "1",
      },
    };
    await mustGit(git, what, ["read-tree", parent ?? "--empty"], call);
    for (const some of inChunks(gone))
      await mustGit(git, what, ["update-index", "--force-remove", "--", ...some], call);
    for (const some of inChunks(present))
      await mustGit(git, what, ["update-index", "--add", "--replace", "--", ...some], call);
    const tree = (await mustGit(git, what, ["write-tree"], call)).trim();
    const list = [
      "diff-tree",
      "-r",
      "-z",
      "--name-only",
      "--no-renames",
      parent ?? (await emptyTree(git, clone.at)),
      tree,
    ];
    const files = (await mustGit(git, what, list, { at: clone.at, separator: "\0" }))
      .split("\0")
      .filter(Boolean);
    if (files.length === 0) return undefined;
    const body = `What was not committed on ${branch} then.`;
    const made = ["commit-tree", tree, ...(parent ? ["-p", parent] : []), "-m", OWN_TITLE, "-m", body];
    const commit = (await mustGit(git, what, made, call)).trim();
    return { commit, parent, branch, files, leftOut: [...changes.leftOut, ...unread] };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** What the commit is called: it is read by the person and by the agent. */
const OWN_TITLE = "Uncommitted changes when the session began";

/** Copies files as they are, links as links. */
async function copyFiles(from: string, to: string, paths: readonly string[]) {
  const root = await realpath(from);
  const [present, gone, unread]: [string[], string[], string[]] = [[], [], []];
  let room = MAX_BYTES;
  for (const path of paths) {
    const target = join(to, path);
    const source = join(root, path);
    const found = (await isBeyondLink(root, path)) ? undefined : await lstat(source).catch(() => undefined);
    // A folder in the place of a file: what is in it counts for itself.
    if (!found || found.isDirectory()) {
      gone.push(path);
      continue;
    }
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    const text = found.isSymbolicLink() ? await readlink(source).catch(() => undefined) : undefined;
    const content = text === undefined ? await readStill(source, room) : undefined;
    if (text !== undefined) await symlink(text, target);
    else if (content) {
      await writeFile(target, content.bytes);
      await chmod(target, content.isExecutable ? 0o700 : 0o600);
      room -= content.bytes.length;
      if (room < 0) throw new WorkspaceError(`Your uncommitted changes are not taken along: ${tooLarge()}.`);
    } else if (await lstat(source).catch(() => undefined)) {
      unread.push(path);
      continue;
    } else {
      gone.push(path);
      continue;
    }
    present.push(path);
  }
  return { present, gone, unread };
}

/** Git does not look behind links either: what is there is gone for it. */
async function isBeyondLink(root: string, path: string): Promise<boolean> {
  const folder = join(root, dirname(path));
  return (await realpath(folder).catch(() => undefined)) !== folder;
}

/**
 * The content of a plain file as it was at one moment, unless it is written to all the time.
 * @param limit of more bytes one more than that are read
 * @returns undefined when it cannot be read, or is no plain file
 */
async function readStill(
  path: string,
  limit: number,
): Promise<{ bytes: Buffer; isExecutable: boolean } | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  if (!file) return undefined;
  try {
    for (let reads = 1; ; reads += 1) {
      const before = await file.stat();
      if (!before.isFile()) return undefined;
      const chunks: Buffer[] = [];
      for (let size = 0; size <= limit; ) {
        const chunk = Buffer.alloc(Math.min(Math.max(before.size - size, 0) + 4_096, limit + 1 - size));
        const { bytesRead } = await file.read(chunk, 0, chunk.length, size);
        if (bytesRead === 0) break;
        chunks.push(chunk.subarray(0, bytesRead));
        size += bytesRead;
      }
      const after = await file.stat();
      const isStill = before.mtimeMs === after.mtimeMs && before.size === after.size;
      if (!isStill && reads < MAX_READS) continue;
      return { bytes: Buffer.concat(chunks), isExecutable: (before.mode & 0o100) !== 0 };
    }
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Whether the person's checkout still is where the changes were read. */
export async function isStillAt(
  git: GitRunner,
  at: WorktreeLocation,
  { branch, parent }: OwnChanges,
): Promise<boolean> {
  const refs = createRefs(git, at);
  return (await refs.current()) === branch && (await refs.commit("HEAD")) === parent;
}

/** "3 uncommitted changes (a.txt, b.txt, …)" */
export function countChanges(files: readonly string[]): string {
  const names = files.slice(0, 3).map((path) => cleanLine(path, 100));
  const count = `${files.length} uncommitted change${files.length === 1 ? "" : "s"}`;
  return `${count} (${names.join(", ")}${files.length > 3 ? ", …" : ""})`;
}
