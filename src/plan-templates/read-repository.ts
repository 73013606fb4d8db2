import { realpath } from "node:fs/promises";
import { devNull } from "node:os";
import { setBounded } from "../shared/bounded-map.js";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import {
  checkBranchName,
  checkLocalRepository,
  checkRepositoryUrl,
  isLocalRepository,
  publicRepositoryUrl,
} from "../shared/git/repository-address.js";
import { fetchFiles, TooLargeError } from "./fetch-files.js";
import { listFiles, readFiles } from "./read-commit.js";
import { type Git, openLocalGit, openRemoteGit } from "./repository-git.js";
import type { TemplateFile } from "./template-file.js";
import { REPOSITORY_FOLDER } from "./template-folders.js";
import type { TemplatePlace } from "./templates.js";

/** What a repository has of templates, at the commit at which a plan's runs would begin. */
export interface RepositoryTemplates {
  /** Names the repository for good: its address, or the real path of one on this machine. */
  identity: string;
  commit: string;
  files: TemplateFile[];
}

/**
 * Reads them; undefined where the place has no repository, or one that is not looked at from here.
 * @returns `problem`: whole sentences
 */
export type RepositoryReader = (
  place: TemplatePlace,
  signal?: AbortSignal,
) => Promise<RepositoryTemplates | { problem: string } | undefined>;

export interface RepositoryReaderOptions {
  clock: Clock;
  /** The environment that git gets. */
  env: NodeJS.ProcessEnv;
  /** Whether repositories on this machine are looked at. */
  readsFolders: boolean;
  /** Whether a repository elsewhere may be asked; any may when left out. */
  allows?: ((repositoryUrl: string) => boolean) | undefined;
  gitPath?: string;
  /** How long one look may take, in ms; what is over then counts as not readable. */
  timeoutMs?: number;
}

/** A call waits for it. A shallow fetch of trees alone takes a second or two; a host that is away is not waited for. */
const TIMEOUT_MS = 20_000;
/** Commits whose templates are remembered: one call asks several times, and a commit never changes. */
const MAX_KNOWN = 20;

/**
 * Reads templates by git out of the commit, in a repository on this machine where it is, of one elsewhere from a shallow
 * fetch without files into a folder that is removed again. Nothing is checked out or carried out.
 */
export function createRepositoryReader(options: RepositoryReaderOptions): RepositoryReader {
  const { clock, env, allows = () => true, timeoutMs = TIMEOUT_MS } = options;
  const gitPath = options.gitPath ? { gitPath: options.gitPath } : {};
  const known = new Map<string, RepositoryTemplates>();

  async function readLocal(
    address: string,
    gitBranch: string | undefined,
    stop: AbortSignal,
  ): Promise<RepositoryTemplates> {
    const checked = checkLocalRepository(address);
    if (!checked.ok) throw new Unreadable(checked.problem);
    const folder = await realpath(checked.path).catch(() => {
      throw new Unreadable("There is no such folder.");
    });
    const git = openLocalGit({ folder, env, stop, ...gitPath });
    const named = branchOf(gitBranch);
    const commit =
      (named && (await resolveCommit(git, `refs/heads/${named}`))) ?? (await resolveCommit(git, "HEAD"));
    // What has no commit yet has no templates either.
    if (commit === undefined) return { identity: folder, commit: "", files: [] };
    return remember({ identity: folder, commit }, async () => ({
      commit,
      files: await readFiles(git, await listFiles(git, commit)),
    }));
  }

  async function readRemote(
    address: string,
    gitBranch: string | undefined,
    stop: AbortSignal,
  ): Promise<RepositoryTemplates> {
    const remote = { address, env, stop, connectMs: timeoutMs, ...gitPath };
    const git = await openRemoteGit({ ...remote, gitDir: devNull });
    const named = branchOf(gitBranch);
    const refs = ["HEAD", ...(named ? [`refs/heads/${named}`] : [])];
    const told = await git(["ls-remote", "--", address, ...refs]);
    if (told?.code !== 0) throw new Unreadable("Git cannot reach it, or may not read it.");
    const commits = new Map(
      told.text.split("\n").map((line) => line.split("\t").reverse() as [string, string]),
    );
    const ref = refs.findLast((one) => commits.has(one));
    const commit = ref && commits.get(ref);
    const identity = identityOf(address);
    if (!ref || !commit) return { identity, commit: "", files: [] };
    return remember({ identity, commit }, () => fetchFiles({ ...remote, ref, clock }));
  }

  async function remember(
    what: Pick<RepositoryTemplates, "identity" | "commit">,
    read: () => Promise<Pick<RepositoryTemplates, "commit" | "files">>,
  ): Promise<RepositoryTemplates> {
    const key = `${what.commit} ${what.identity}`;
    const found = known.get(key) ?? { ...what, ...(await read()) };
    setBounded(known, key, found, MAX_KNOWN);
    return found;
  }

  return async ({ repositoryUrl, gitBranch }, signal) => {
    const address = repositoryUrl?.trim();
    if (!address) return undefined;
    const isLocal = isLocalRepository(address);
    if (isLocal ? !options.readsFolders : !allows(address)) return undefined;
    const checked = isLocal ? undefined : checkRepositoryUrl(address);
    // What is wrong with an address is told where it is asked for.
    if (checked && (!checked.ok || checked.kind === "http")) return undefined;
    const read = (stop: AbortSignal) =>
      checked?.ok
        ? readRemote(checked.value.replace(/\/+$/, ""), gitBranch, stop)
        : readLocal(address, gitBranch, stop);
    try {
      const found = await withDeadline(clock, timeoutMs, read, signal);
      return found ?? { problem: tell(`They were not read within ${Math.round(timeoutMs / 1000)} s.`) };
    } catch (error) {
      if (error instanceof Unreadable || error instanceof TooLargeError)
        return { problem: tell(error.message) };
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      return { problem: tell(isMissing ? "The program git was not found." : "Git has failed.") };
    }
  };
}

/** Its message is whole sentences for a person. */
class Unreadable extends Error {}

function tell(why: string): string {
  return `The repository's own plans (${REPOSITORY_FOLDER}) cannot be read: ${why}`;
}

function branchOf(gitBranch: string | undefined): string | undefined {
  const checked = gitBranch ? checkBranchName(gitBranch) : undefined;
  return checked?.ok ? checked.value : undefined;
}

async function resolveCommit(git: Git, ref: string): Promise<string | undefined> {
  const told = await git(["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`]);
  if (told?.code === 0) return told.text.trim();
  if (told?.code === 1) return undefined;
  throw new Unreadable("It is no git repository that git uses here.");
}

/** The same for addresses that differ in the host's case or the ending; never with a password. */
function identityOf(address: string): string {
  const shown = publicRepositoryUrl(address) ?? address;
  return shown
    .replace(/\.git$/, "")
    .replace(/^((?:[a-z]+:\/\/)?(?:[^/@]*@)?)([^/:]+)/i, (_, before, host) => before + host.toLowerCase());
}
