import { lstat, readFile, realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { explain, type GitRunner, type WorktreeLocation } from "./git-runner.js";
import type { OpenedLocal, Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";

/** Paths that one command line takes, in bytes. */
const MAX_ARGUMENT_BYTES = 60_000;

/**
 * A worktree of a local repository as a person has it, where its folder and the repository say so of each other, and it
 * lies where the engine may be; undefined otherwise.
 * @param holder its folder
 */
export async function findCheckout(
  repository: Repository,
  { commonDir }: OpenedLocal,
  holder: string,
): Promise<WorktreeLocation | undefined> {
  if (!(await repository.allows?.(holder))) return undefined;
  const link = join(holder, ".git");
  const found = await lstat(link).catch(() => undefined);
  if (found?.isDirectory())
    return (await realpath(link)) === commonDir
      ? { clone: commonDir, worktree: { path: holder, gitDir: commonDir } }
      : undefined;
  if (!found?.isFile()) return undefined;
  const named = /^gitdir: (.+)$/m.exec(await readFile(link, "utf8"))?.[1];
  const gitDir = named && (await realpath(resolve(holder, named)).catch(() => undefined));
  if (!gitDir || dirname(gitDir) !== join(commonDir, "worktrees")) return undefined;
  return { clone: commonDir, worktree: { path: holder, gitDir } };
}

/** Names of the filters that any settings have a program for. */
export async function filterNames(git: GitRunner, at: WorktreeLocation): Promise<string[]> {
  const args = ["config", "-z", "--name-only", "--get-regexp", "^filter\\..*\\.(clean|smudge|process)$"];
  const told = await git(args, { at, separator: "\0" });
  const keys = told.text.split("\0").filter((key) => key !== "");
  return [...new Set(keys.map((key) => key.slice("filter.".length, key.lastIndexOf("."))))];
}

/**
 * Those of the paths that pass a filter of a name (Git LFS or the like), by the attributes that are there.
 * @throws WorkspaceError when git can't tell
 */
export async function filteredPaths(
  git: GitRunner,
  at: WorktreeLocation,
  paths: readonly string[],
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const some of inChunks(paths)) {
    const told = await git(["check-attr", "-z", "filter", "--", ...some], { at, separator: "\0" });
    if (told.code !== 0)
      throw new WorkspaceError(`The attributes of its files could not be read: ${explain(told)}`);
    const fields = told.text.split("\0");
    for (let index = 0; index + 2 < fields.length; index += 3)
      if (!["unspecified", "unset"].includes(fields[index + 2] ?? "")) found.add(fields[index] ?? "");
  }
  return found;
}

/** The same in parts that fit a command line. */
export function inChunks(items: readonly string[]): string[][] {
  const chunks: string[][] = [];
  let room = 0;
  for (const item of items) {
    room -= Buffer.byteLength(item) + 1;
    if (room >= 0) chunks.at(-1)?.push(item);
    else {
      chunks.push([item]);
      room = MAX_ARGUMENT_BYTES - Buffer.byteLength(item);
    }
  }
  return chunks;
}

/** What else could make git write beside the index that it is given, or refuse a file for its line ends. */
const PLAIN: readonly (readonly [string, string])[] = [
  ["core.splitIndex", "false"],
  ["core.untrackedCache", "false"],
  ["core.safecrlf", "false"],
  ["index.sparse", "false"],
];

/**
 * Settings, as environment, with which git runs no filter in a person's checkout, and writes one plain index.
 * @param more further settings
 */
export async function withoutPrograms(
  git: GitRunner,
  at: WorktreeLocation,
  more: readonly (readonly [string, string])[] = [],
): Promise<NodeJS.ProcessEnv> {
  const names = await filterNames(git, at);
  const filters = names.flatMap((name) => [
    ...["clean", "smudge", "process"].map((part) => [`filter.${name}.${part}`, ""] as const),
    [`filter.${name}.required`, "false"] as const,
  ]);
  const settings = [...filters, ...PLAIN, ...more];
  return Object.fromEntries([
    ["GIT_CONFIG_COUNT", String(settings.length)],
    ...settings.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}
