import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * The folders that a commit in a linked worktree is written to: they lie in the repository, which a sandbox around the
 * worktree does not let be changed. The repository's settings and hooks, which are programs, are not among them.
 * Those that git makes with the first commit are made here, since a sandbox knows only what is there.
 * @returns none where the folder is no linked worktree
 */
export function listCommitFolders(worktree: string): string[] {
  try {
    const link = join(worktree, ".git");
    if (!statSync(link).isFile()) return [];
    const [, place] = /^gitdir: (.*\S)\s*$/.exec(readFileSync(link, "utf8")) ?? [];
    if (!place) return [];
    const own = resolve(worktree, place);
    const repository = resolve(own, readFileSync(join(own, "commondir"), "utf8").trim());
    const shared = ["objects", "refs", "logs"].map((name) => join(repository, name));
    for (const folder of shared) mkdirSync(folder, { recursive: true });
    return [own, ...shared];
  } catch {
    return [];
  }
}
