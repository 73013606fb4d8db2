import { lstat, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

/** The clone's former name; see `moveFormerClone`. */
const FORMER = "git";

/**
 * The bare clone in a repository's folder. It has the name that git gives it: in a worktree of a clone with any other
 * name Claude Code asks before each `git log`, `git status` and `git diff`.
 */
export function cloneFolder(home: string): string {
  return join(home, ".git");
}

/**
 * Renames a clone that still has its former name, and leaves a link there: submodules, worktrees that a person has
 * made, or an engine of the version before may use the old path. Worktrees of sessions get the new path when they
 * continue. A call that was interrupted is finished by the next one.
 */
export async function moveFormerClone(home: string): Promise<void> {
  const former = join(home, FORMER);
  // Made before the rename and moved into place after it: while it exists, the rename is not finished.
  const waiting = join(home, `${FORMER}.moved`);
  if ((await lstat(former).catch(() => undefined))?.isDirectory()) {
    await rm(waiting, { force: true });
    await symlink(".git", waiting, "junction");
    await rename(former, cloneFolder(home));
  }
  if (await lstat(waiting).catch(() => undefined)) await rename(waiting, former);
}
