import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { REMOTE_PROTOCOLS } from "../../shared/git/git-process.js";
import {
  checkLocalRepository,
  checkRepositoryUrl,
  isLocalRepository,
} from "../../shared/git/repository-address.js";
import type { Consent } from "./consent.js";
import { explain, type GitRunner, type OpenedRepository } from "./git-runner.js";
import { folderName } from "./names.js";
import { openFolder } from "./open-folder.js";
import { WorkspaceError } from "./types.js";

/** A repository that sessions may work on. */
export interface Repository {
  /** The name of its folder in the cache. */
  name: string;
  /** What git is given: a checked address, or the real path of a local repository. */
  address: string;
  local: boolean;
  /** What git may speak with it, in the notation of GIT_ALLOW_PROTOCOL. */
  protocols: string;
  /**
   * Opens a local repository for one use: what is open is looked at once more, and git gets that and not the path,
   * in the place of which something else could be put in between.
   * @throws WorkspaceError when what is there by now lies outside of the allowed folders
   */
  open?(): Promise<OpenedLocal>;
  /** Whether a folder on this machine, as it really is, lies inside the allowed ones. */
  allows?(folder: string): Promise<boolean>;
}

/** A local repository that is open. */
export interface OpenedLocal extends OpenedRepository {
  /** The git folder that all its worktrees share; its real path. */
  commonDir: string;
  close(): Promise<void>;
}

export interface ResolveOptions {
  allowedFolders: readonly string[];
  /** Repositories that a person has allowed one by one. */
  consents?: readonly Consent[];
  git: GitRunner;
  signal?: AbortSignal;
}

/** As deep as git itself follows borrowed object stores. */
const MAX_ALTERNATES = 5;

/**
 * Finds out what a repository address means. Local repositories must lie inside an allowed folder, or be allowed
 * themselves, with all that they consist of: the path, its git folder (which a `.git` file may put elsewhere), its objects and what those
 * borrow from. Addresses that differ in the case of the host or in closing slashes are the same repository.
 * @throws WorkspaceError that says what is wrong; it never repeats an address that might hold a password
 */
export async function resolveRepository(text: string, options: ResolveOptions): Promise<Repository> {
  const value = text.trim();
  if (isLocalRepository(value)) return resolveLocal(value, options);
  const checked = checkRepositoryUrl(value);
  if (!checked.ok) throw new WorkspaceError(checked.problem);
  if (checked.kind === "http")
    throw new WorkspaceError(
      "The repository address uses http, which anybody on the way can change. Use https.",
    );
  const address = checked.value.replace(/\/+$/, "");
  const identity = address.replace(/^((?:[a-z]+:\/\/)?(?:[^/@]*@)?)([^/:]+)/i, (_, before, host) => {
    return before + host.toLowerCase();
  });
  return {
    name: folderName(lastPart(address), identity),
    address,
    local: false,
    protocols: REMOTE_PROTOCOLS,
  };
}

async function resolveLocal(value: string, options: ResolveOptions): Promise<Repository> {
  const checked = checkLocalRepository(value);
  if (!checked.ok) throw new WorkspaceError(checked.problem);
  const consents = options.consents ?? [];
  if (options.allowedFolders.length === 0 && consents.length === 0)
    throw new WorkspaceError(
      "The repository address is a local path, and no folder is allowed for local repositories. Allow the repository with `automagik-workflows-mcp allow` in a terminal, or its folder in the engine's settings, or use an https or ssh address.",
    );
  // The same words for what is outside and what is not there: nobody learns what exists elsewhere.
  const refuse = () =>
    new WorkspaceError(
      "There is no git repository at this local path that you or the engine's settings allow: `automagik-workflows-mcp allow` in a terminal allows one. Links that lead out of what is allowed do not count.",
    );

  const real = await realOrUndefined(checked.path);
  const consent = real === undefined ? undefined : consents.find((one) => one.path === real);
  const folders = [...options.allowedFolders, ...(consent?.folders ?? [])];
  const allowed = (await Promise.all(folders.map(realOrUndefined))).filter(isText);
  const isAllowed = (path: string) => allowed.some((folder) => isWithin(folder, path));
  if (!real || !isAllowed(real)) throw refuse();
  const parts = await findParts(real, options, isAllowed);
  if (!parts) throw refuse();
  const { gitDir } = parts;
  return {
    name: folderName(lastPart(real), real),
    address: real,
    local: true,
    protocols: "file",
    async allows(folder) {
      const found = await realOrUndefined(folder);
      return found !== undefined && isAllowed(found);
    },
    async open() {
      const folder = await openFolder(gitDir).catch(() => {
        throw refuse();
      });
      const at = folder.pinned ?? folder.path;
      // A worktree's git folder names the one that it shares; all others are their own.
      const common = await readFile(join(at, "commondir"), "utf8").catch(() => ".");
      const commonDir = resolve(folder.path, common.trim());
      const store = await realOrUndefined(join(commonDir, "objects"));
      const isInside = isAllowed(folder.path) && store !== undefined && isAllowed(store);
      if (isInside && (await borrowsOnlyFrom(store, isAllowed, 0)))
        return {
          address: real,
          ...(folder.pinned && { pinned: folder.pinned }),
          commonDir,
          close: folder.close,
        };
      await folder.close();
      throw refuse();
    },
  };
}

/**
 * What a local repository consists of beside its own folder.
 * @param isAllowed is asked of each part; undefined as the answer when one is not, or there is no repository
 * @throws WorkspaceError when git does not use it, because it belongs to another user
 */
async function findParts(
  real: string,
  { git, signal }: Pick<ResolveOptions, "git" | "signal">,
  isAllowed: (path: string) => boolean,
): Promise<{ gitDir: string } | undefined> {
  const args = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"];
  const told = await git(["-C", real, ...args, "--git-path", "objects"], {
    env: { GIT_CEILING_DIRECTORIES: dirname(real) },
    ...(signal && { signal }),
  });
  const exception = /^\s*(git config --global --add safe\.directory .+)$/m.exec(told.problem)?.[1];
  if (exception)
    throw new WorkspaceError(
      `Git does not use this repository, because another user owns it: ${explain(told)}. If you trust that user, run \`${exception}\` and try again.`,
    );
  const parts = await Promise.all(told.text.trimEnd().split("\n").map(realOrUndefined));
  const [gitDir, , objects] = parts;
  if (parts.length !== 3 || !gitDir || !objects) return undefined;
  if (!parts.every((part) => part !== undefined && isAllowed(part))) return undefined;
  return (await borrowsOnlyFrom(objects, isAllowed, 0)) ? { gitDir } : undefined;
}

/**
 * What a person has to agree to for a repository: its folder as it really is, and those of its parts that lie elsewhere
 * (a linked worktree's common git folder, the objects that it borrows).
 * @throws WorkspaceError when there is no repository at the path
 */
export async function describeConsent(
  text: string,
  options: Pick<ResolveOptions, "git" | "signal">,
): Promise<Consent> {
  const checked = checkLocalRepository(text);
  if (!checked.ok) throw new WorkspaceError(checked.problem);
  const path = await realOrUndefined(checked.path);
  const folders: string[] = [];
  const note = (part: string) => {
    if (!folders.some((folder) => isWithin(folder, part))) folders.push(part);
    return true;
  };
  if (path) note(path);
  if (!path || !(await findParts(path, options, note)))
    throw new WorkspaceError(`There is no git repository at ${checked.path}.`);
  const isCovered = (part: string) => folders.some((other) => other !== part && isWithin(other, part));
  return { path, folders: folders.filter((folder) => !isCovered(folder)) };
}

/** Whether an object store borrows (objects/info/alternates) only from allowed folders. */
async function borrowsOnlyFrom(
  objects: string,
  isAllowed: (real: string) => boolean,
  depth: number,
): Promise<boolean> {
  const text = await readFile(join(objects, "info", "alternates"), "utf8").catch(() => "");
  for (const line of text.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) {
    // A quoted path is C-style; what cannot be read plainly is not allowed.
    const real = line.startsWith('"') ? undefined : await realOrUndefined(resolve(objects, line));
    if (!real || !isAllowed(real) || depth >= MAX_ALTERNATES) return false;
    if (!(await borrowsOnlyFrom(real, isAllowed, depth + 1))) return false;
  }
  return true;
}

async function realOrUndefined(path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  const real = await realpath(path).catch(() => undefined);
  return real && (await stat(real)).isDirectory() ? real : undefined;
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function isText(value: string | undefined): value is string {
  return value !== undefined;
}

/** What people call the repository. */
export function lastPart(address: string): string {
  return (
    address
      .split(/[/\\:]/)
      .filter(Boolean)
      .at(-1)
      ?.replace(/\.git$/, "") ?? ""
  );
}
