import { lstat, readlink, realpath, rm } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { cleanLine } from "../../shared/text.js";
import { type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";

/** Paths in one command: far below what systems take as arguments (a path has up to 4,096 bytes). */
const AT_ONCE = 16;
/** That many are named; of more the number is told. */
const NAMED = 5;

/**
 * Takes the repository's links that lead out of the worktree away from its files, and tells git that they are left out,
 * so that they stay in every commit. The agent lists what a command names, but `cat *`, `grep -R` and `rg -L` follow a
 * link that nobody has named: with one a repository could have any file of this machine put before the model, and
 * nobody would be asked.
 * @param links all that are tracked
 * @returns their paths in the worktree
 * @throws WorkspaceError when git can't tell
 */
export async function removeOutsideLinks(
  git: GitRunner,
  at: WorktreeLocation,
  links: readonly string[],
): Promise<string[]> {
  const what = "The links of the worktree could not be looked at";
  const root = await realpath(at.worktree.path);
  const leaving: string[] = [];
  for (const path of links) if (await leadsOut(join(root, path), root)) leaving.push(path);
  for (let done = 0; done < leaving.length; done += AT_ONCE) {
    const paths = leaving.slice(done, done + AT_ONCE);
    await mustGit(git, what, ["update-index", "--skip-worktree", "--", ...paths], { at });
    for (const path of paths) await rm(join(root, path), { force: true });
  }
  return leaving;
}

/** One that leads nowhere is judged by what it says: there may be a file tomorrow. */
async function leadsOut(link: string, root: string): Promise<boolean> {
  const found = await lstat(link).catch(() => undefined);
  if (!found?.isSymbolicLink()) return false;
  // Where an agent has put a link in a folder's place this is another one, and not ours to remove.
  if (!isWithin(root, await realpath(dirname(link)))) return false;
  const target = await realpath(link).catch(async () => {
    const folder = await realpath(dirname(link));
    return resolve(folder, await readlink(link));
  });
  return !isWithin(root, target);
}

function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root + sep);
}

/** For the person. @param paths what `removeOutsideLinks` has taken out */
export function describeOutsideLinks(paths: readonly string[]): string {
  const names = paths.slice(0, NAMED).map((path) => cleanLine(path, 200));
  const more = paths.length > NAMED ? ` and ${paths.length - NAMED} more` : "";
  const [is, it] = paths.length === 1 ? ["is a link", "it"] : ["are links", "them"];
  return `${names.join(", ")}${more} ${is} to a place outside the repository, so the agent was not given ${it}.`;
}
