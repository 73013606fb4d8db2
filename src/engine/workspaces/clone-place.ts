import { lstat, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

/** What the clone's folder was called once; see `bringToPlace`. */
const FORMER = "git";

/**
 * The bare clone in a repository's folder. It has the name that git gives it: in a worktree of a clone with any other
 * name Claude Code asks before each `git log`, `git status` and `git diff`.
 */
export function clonePlace(home: string): string {
  return join(home, ".git");
}

/**
 * Moves a clone that still has its former name. A link stays there, since more than we know of may name the old
 * place: submodules, worktrees that a person has made, an engine of the version before. Our sessions' worktrees are
 * led to the new one when they go on. What was interrupted is finished by the next call.
 */
export async function bringToPlace(home: string): Promise<void> {
  const former = join(home, FORMER);
  // Made before the move and put in its place after it: as long as it waits, the move is not finished.
  const waiting = join(home, `${FORMER}.moved`);
  if ((await lstat(former).catch(() => undefined))?.isDirectory()) {
    await rm(waiting, { force: true });
    await symlink(".git", waiting, "junction");
    await rename(former, clonePlace(home));
  }
  if (await lstat(waiting).catch(() => undefined)) await rename(waiting, former);
}
