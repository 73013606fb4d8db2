import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { explain, type GitRunner, type WorktreeLocation } from "./git-runner.js";
import { WorkspaceError } from "./types.js";

/** Folders that tools fill and fill again: nobody's work is lost with them. Compared in lower case. */
const REBUILDABLE_FOLDERS = new Set([
  // Packages that a lock file names.
  ...["node_modules", "bower_components", "jspm_packages", ".pnpm-store", ".yarn", "vendor", "pods"],
  ...[".venv", "venv", "site-packages", ".eggs", ".bundle"],
  // What compilers and bundlers write.
  ...["dist", "build", "target", "obj", "_build", "deriveddata", ".build", ".output"],
  ...[".next", ".nuxt", ".svelte-kit", ".astro", ".docusaurus", ".vercel", ".netlify", ".serverless"],
  // Caches.
  ...["__pycache__", ".cache", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox"],
  ...[".turbo", ".parcel-cache", ".vite", ".angular", ".gradle", ".nx", ".eslintcache", ".sass-cache"],
  ...[".terraform", ".dart_tool", ".stack-work", "elm-stuff", ".ipynb_checkpoints"],
  // What tests measure.
  ...["coverage", ".nyc_output", "htmlcov"],
]);

/** The same of single files: compiled, cached, or a system's own. */
const REBUILDABLE_FILES =
  /\.(?:py[co]|class|o|obj|tsbuildinfo|swp)$|^(?:\.ds_store|thumbs\.db|desktop\.ini|\.eslintcache|\.stylelintcache|\.coverage|npm-debug\.log.*|yarn-error\.log.*)$/;

/** More names than this are not looked for: what has so many is kept, or told of, anyway. */
export const MAX_FILES = 1_000;

/**
 * The git-ignored files of a worktree (relative, at most 1,000) that nobody can make anew. A worktree is checked out
 * without any, so all of them have come from the session's runs. Folders that are ignored as a whole are named by git
 * without being listed, and those that can be rebuilt are not entered, however many files they have.
 * @throws WorkspaceError when git can't tell
 */
export async function ignoredWork(git: GitRunner, at: WorktreeLocation): Promise<string[]> {
  const args = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"];
  const told = await git(args, { at, separator: "\0" });
  if (told.code !== 0 && !told.cut)
    throw new WorkspaceError(`The git-ignored files of the worktree could not be listed: ${explain(told)}`);
  const found: string[] = [];
  for (const path of told.text.split("\0")) {
    if (path === "" || found.length >= MAX_FILES) continue;
    if (!path.endsWith("/")) found.push(...(isRebuildableFile(path) ? [] : [path]));
    else await collect(at.worktree.path, path.slice(0, -1), found);
  }
  return found.sort();
}

/** Adds the files below an ignored folder, links not followed. */
async function collect(root: string, folder: string, found: string[]): Promise<void> {
  if (REBUILDABLE_FOLDERS.has(lastOf(folder))) return;
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (found.length >= MAX_FILES) return;
    const path = `${folder}/${entry.name}`;
    // Another repository's commits are work of their own, and its objects no names that help.
    if (entry.isDirectory() && entry.name !== ".git") await collect(root, path, found);
    else if (!isRebuildableFile(path)) found.push(path);
  }
}

function isRebuildableFile(path: string): boolean {
  return REBUILDABLE_FILES.test(lastOf(path));
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).toLowerCase();
}

/** How many there are and the first of them, in words. */
export function describeFiles(paths: readonly string[], what = "file", all = true): string {
  const names = paths.slice(0, 3).join(", ");
  const count = `${all ? "" : "more than "}${paths.length}`;
  return `${count} ${what}${paths.length === 1 && all ? "" : "s"} (${names}${paths.length > 3 ? ", …" : ""})`;
}
