import { randomUUID } from "node:crypto";
import { copyFile, lstat, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import { cleanLine } from "../../shared/text.js";
import type { Clone } from "./clones.js";
import { explain, type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import { describeFiles } from "./ignored-work.js";
import { digestOf, lockMark, type MoveNote, noteMove } from "./move-notes.js";
import { inChunks, withoutPrograms } from "./person-checkout.js";
import { emptyTree } from "./work.js";
import { unfinishedStep } from "./worktrees.js";

/** More changed files than this are not looked at one by one. */
const MAX_FILES = 2_000;

/** Mode and object of a path in a tree, an index or a worktree; "" where there is nothing. */
type Entry = string;

/** What is moved, and over what. */
export interface MoveOverOwn {
  at: WorktreeLocation;
  /** Where the branch that is checked out stands, if it has commits, and one that contains it, which the repository has. */
  branch: string;
  from: string | undefined;
  to: string;
  /** What the person had not committed when the session began: a commit in the clone that the session contains. */
  own: string;
  /** For files that are needed meanwhile. */
  folder: string;
  /** Written down in that folder, with what else is to be known after a crash. */
  note: MoveNote;
  notes: string;
}

/**
 * Moves a checked-out branch forward although the person's changes still lie there uncommitted: where a file in the way
 * is as the session's first commit has it, or as it will be, nothing of it is lost. Any other file in the way, and one
 * that is staged with other content, leaves all as it was. What else is changed or staged stays so.
 * @returns why nothing was done, as a clause; undefined when it was done
 * @throws WorkspaceError when git cannot tell or was stopped
 */
export async function moveOverOwn(
  git: GitRunner,
  clone: Clone,
  move: MoveOverOwn,
): Promise<string | undefined> {
  const { at, folder } = move;
  const { path, gitDir } = at.worktree;
  const step = await unfinishedStep(at);
  if (step) return `a merge, rebase or the like is not finished in ${path} (${step})`;
  const index = join(gitDir, "index");
  const found = await lstat(index).catch(() => undefined);
  if (found && !found.isFile())
    return "the index in its git folder is a link, and nothing is written through links";
  const place = join(folder, randomUUID());
  const lock = `${index}.lock`;
  // As git itself does: who holds the lock may replace the index.
  const locked = await open(lock, "wx", found?.mode ?? 0o644).catch(() => undefined);
  if (!locked)
    return `another git is at work in ${path}: ${lock} is there. If none is, remove that file, and take the work again`;
  try {
    await locked.writeFile(lockMark(move.note));
    for (const one of [folder, place, join(place, "objects")]) await ensurePrivateFolder(one);
    const copy = join(place, "index");
    if (found) await copyFile(index, copy);
    // Written before the branch moves: a full disk then leaves all as it was.
    const keepIndex = async () => {
      const content = await readFile(copy);
      await noteMove(move.notes, { ...move.note, index: digestOf(content) });
      await writeFile(lock, content);
      await locked.sync();
    };
    const problem = await moveFiles(git, clone, { ...move, place, copy, keepIndex });
    if (problem !== undefined) return problem;
    await rename(lock, index);
    return undefined;
  } finally {
    await locked.close();
    await rm(lock, { force: true });
    await rm(place, { recursive: true, force: true });
  }
}

/** Moves files and branch, and the index only in its copy. */
async function moveFiles(
  git: GitRunner,
  clone: Clone,
  {
    at,
    branch,
    from,
    to,
    own,
    place,
    copy,
    keepIndex,
  }: MoveOverOwn & { place: string; copy: string; keepIndex: () => Promise<void> },
): Promise<string | undefined> {
  const { path } = at.worktree;
  const what = `What is not committed in ${path} could not be looked at`;
  const plain = await withoutPrograms(git, at);
  // What is only looked at leaves nothing in the repository.
  const env = {
    ...plain,
    GIT_INDEX_FILE: copy,
    GIT_OBJECT_DIRECTORY: join(place, "objects"),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: quoted(join(at.clone, "objects")),
    GIT_LITERAL_PATHSPECS: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
  };
  const call = { at, env };
  const begin = from ?? (await emptyTree(git, clone.at));
  const { before: old, after: coming } = await compare(git, clone, begin, to);
  const { after: taken } = await compare(git, clone, begin, own);
  const paths = [...coming.keys()];
  if (paths.length > MAX_FILES) return `it would change more than ${MAX_FILES} files in ${path}`;

  const staged = await entriesOf(git, call, paths);
  for (const some of inChunks(paths)) {
    const args = ["update-index", "--add", "--remove", "--replace", "--ignore-skip-worktree-entries", "--"];
    const told = await git([...args, ...some], call);
    if (told.code !== 0) return `what is not committed in ${path} is in the way: ${explain(told)}`;
  }
  const there = await entriesOf(git, call, paths);
  const nothing = (await mustGit(git, what, ["hash-object", "--stdin"], call)).trim();
  const inTheWay: string[] = [];
  for (const one of paths) {
    const known = [old.get(one), coming.get(one), taken.get(one) ?? old.get(one)].map((entry) => entry ?? "");
    const [now, inIndex] = [there.get(one) ?? "", staged.get(one) ?? ""];
    // One that is only announced (`git add --intent-to-add`) is staged as an empty file.
    const isKept = inIndex === now || known.includes(inIndex) || inIndex.endsWith(` ${nothing}`);
    const isBlocked = now === "" && coming.get(one) !== "" && (await isBelowFile(path, one));
    if (!known.includes(now) || !isKept || isBlocked) inTheWay.push(one);
  }
  if (inTheWay.length > 0) {
    const files = cleanLine(describeFiles(inTheWay.map((one) => cleanLine(one, 200))));
    return `${files} in ${path} ${inTheWay.length === 1 ? "is" : "are"} not as when the session began. Commit or stash that, and take the work again`;
  }

  const changed = paths.filter((one) => (there.get(one) ?? "") !== (old.get(one) ?? ""));
  const base = await treeWith(
    git,
    { ...call, env: { ...env, GIT_INDEX_FILE: join(place, "base") } },
    from ?? "--empty",
    {
      gone: changed.filter((one) => !there.get(one)),
      present: changed.flatMap((one) => {
        const entry = there.get(one);
        return entry ? [`${entry.replace(" ", ",")},${one}`] : [];
      }),
    },
  );
  const told = await git(["read-tree", "-m", "-u", base, to], call);
  if (told.code !== 0) return explain(told);
  const ref = ["update-ref", "-m", "merge: Fast-forward", `refs/heads/${branch}`, to, from ?? ""];
  const failed = await keepIndex().then(
    () => undefined,
    (error: Error) => error.message,
  );
  const moved = failed === undefined ? await git(ref, { at }) : undefined;
  if (moved?.code === 0) return undefined;
  await mustGit(git, `The files in ${path} could not be put back`, ["read-tree", "-m", "-u", to, base], call);
  return moved ? explain(moved) : `the index in ${path} could not be written: ${failed}`;
}

/** What differs between two commits of the clone, as it is in each. */
async function compare(git: GitRunner, { at }: Clone, from: string, to: string) {
  const list = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", from, to];
  const what = "The files that change could not be listed";
  const text = await mustGit(git, what, list, { at, separator: "\0", maxBytes: MAX_LISTING_BYTES });
  const [before, after] = [new Map<string, Entry>(), new Map<string, Entry>()];
  const fields = text.split("\0");
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [oldMode = "", newMode, oldObject, newObject] = (fields[index] ?? "").split(" ");
    const path = fields[index + 1] ?? "";
    before.set(path, oldMode === ":000000" ? "" : `${oldMode.slice(1)} ${oldObject}`);
    after.set(path, newMode === "000000" ? "" : `${newMode} ${newObject}`);
  }
  return { before, after };
}

/** A hundred thousand files. */
const MAX_LISTING_BYTES = 16 * 1024 * 1024;

interface IndexCall {
  at: WorktreeLocation;
  env: NodeJS.ProcessEnv;
}

/** What an index has of these paths; one in conflict has an entry that nothing else has. */
async function entriesOf(
  git: GitRunner,
  call: IndexCall,
  paths: readonly string[],
): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  for (const some of inChunks(paths)) {
    const list = ["ls-files", "--stage", "-z", "--", ...some];
    const text = await mustGit(git, "The index could not be read", list, { ...call, separator: "\0" });
    for (const line of text.split("\0").filter(Boolean)) {
      const [mode = "", object = "", stage] = line.slice(0, line.indexOf("\t")).split(" ");
      found.set(line.slice(line.indexOf("\t") + 1), stage === "0" ? `${mode} ${object}` : "in conflict");
    }
  }
  return found;
}

/** The tree of a commit, or `--empty`, with some paths as they are in a worktree. */
async function treeWith(
  git: GitRunner,
  call: IndexCall,
  begin: string,
  { gone, present }: { gone: string[]; present: string[] },
): Promise<string> {
  const what = "The state of the files could not be noted";
  await mustGit(git, what, ["read-tree", begin], call);
  for (const some of inChunks(gone))
    await mustGit(git, what, ["update-index", "--force-remove", "--", ...some], call);
  for (const some of inChunks(present)) {
    const entries = some.flatMap((entry) => ["--cacheinfo", entry]);
    await mustGit(git, what, ["update-index", "--add", "--replace", ...entries], call);
  }
  return (await mustGit(git, what, ["write-tree"], call)).trim();
}

/** Whether something that is no folder is where one has to be for a new file; git would take an ignored one away. */
async function isBelowFile(root: string, path: string): Promise<boolean> {
  for (let way = dirname(path); way !== "."; way = dirname(way)) {
    const found = await lstat(join(root, way)).catch(() => undefined);
    if (found && !found.isDirectory()) return true;
  }
  return false;
}

/** As git takes a path in a list of object folders, whatever it is called. */
function quoted(path: string): string {
  return `"${path.replace(/[\\"]/g, "\\$&")}"`;
}
