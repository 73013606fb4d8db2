import type { Clone, Clones } from "./clones.js";
import { folderExists } from "./disk.js";
import { type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import type { SetAside } from "./moving-types.js";
import { OWN_BRANCHES, slug } from "./names.js";
import { asideKey, isOwnBranch, type SessionRecord, type SessionRecords } from "./records.js";
import { createRefs, type Refs } from "./refs.js";
import { WorkspaceError } from "./types.js";
import { holderOf, worktreeExists } from "./worktrees.js";

interface Tools {
  git: GitRunner;
  clones: Clones;
  records: SessionRecords;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
}

/** Names that are tried for the branch. */
const MAX_NAMES = 99;

/**
 * Makes what a session has here nobody's: its runs do not lead to it any more, so that nothing of it is delivered,
 * merged or gone on with. Files stay as they are, and what was committed gets a branch of another name, since the
 * session's own goes on elsewhere. Whoever calls has the repository to itself.
 * @throws WorkspaceError when git fails; then the same call finishes it
 */
export async function setAside(tools: Tools, record: SessionRecord): Promise<SetAside> {
  const { records, clones } = tools;
  const path = tools.pathOf(record);
  const isGone = record.removedAt !== undefined || !(await folderExists(path));
  const clone = record.repository && (await clones.open(record.repository));
  const branch = clone && (await keepBranch(tools, clone, record, isGone));
  const aside: SessionRecord = {
    ...record,
    recordKey: asideKey(record.folder),
    ...(branch && { branch, ownBranch: branch }),
    ...(record.runs[0]?.startCommit && { beganAt: record.runs[0].startCommit }),
    // By these the session would be found here.
    runs: [],
  };
  if (isGone) await records.remove(record);
  else await records.replace(aside, record);
  return { path, ...(branch && { branch }) };
}

async function keepBranch(
  { git, worktreeOf }: Tools,
  clone: Clone,
  record: SessionRecord,
  isGone: boolean,
): Promise<string | undefined> {
  const refs = createRefs(git, clone.at);
  const { branch } = record;
  const at = isGone ? undefined : worktreeOf(clone, record);
  const isThere = at !== undefined && (await worktreeExists(at));
  const current = isThere ? await createRefs(git, at).current() : undefined;
  // Where it was removed, a branch that the session has asked for is as good as anybody's.
  const isItsOwn = isThere ? current === branch : branch !== undefined && isOwnBranch(record, branch);
  const commit = isItsOwn && branch !== undefined ? await refs.local(branch) : undefined;
  if (branch === undefined || commit === undefined) return current;
  const name = await freeName(refs, isOwnBranch(record, branch) ? branch : `${OWN_BRANCHES}/${slug(branch)}`);
  await refs.move(name, commit, undefined);
  if (isThere)
    await mustGit(git, "The branch could not be kept", ["symbolic-ref", "HEAD", `refs/heads/${name}`], {
      at,
    });
  if ((await holderOf(git, clone.at.clone, branch)) === undefined) await refs.move(branch, undefined, commit);
  return name;
}

async function freeName(refs: Refs, like: string): Promise<string> {
  for (let count = 1; count <= MAX_NAMES; count++) {
    const name = `${like}-moved${count === 1 ? "" : `-${count}`}`;
    if ((await refs.local(name)) === undefined && (await refs.remote(name)) === undefined) return name;
  }
  throw new WorkspaceError(`No name is free for a branch like ${like}-moved.`);
}
