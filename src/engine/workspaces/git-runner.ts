import { devNull } from "node:os";
import { dirname } from "node:path";
import { follow } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import {
  type GitOutput,
  gitEnvironment,
  QUIET_ARGUMENTS,
  REMOTE_PROTOCOLS,
  runGit,
  SAFE_ARGUMENTS,
  sshEnvironment,
} from "../../shared/git/git-process.js";
import { cleanLine } from "../../shared/text.js";
import { WorkspaceError } from "./types.js";

/** Where a git command works. Named outright, because an agent can write the `.git` file in its worktree. */
export interface GitLocation {
  /** The bare clone. */
  clone: string;
  /** The worktree, and its own git folder inside the clone. */
  worktree?: { path: string; gitDir: string };
}

/** Where a git command in a worktree works. */
export interface WorktreeLocation extends Required<GitLocation> {
  /** Marks of files that have differed from their commit since they were checked out. */
  asCheckedOut?: readonly string[];
}

/** A local repository that is kept open, so that git opens this one whatever its path leads to meanwhile. */
export interface OpenedRepository {
  address: string;
  /** Missing where the system has none. */
  pinned?: string;
}

export interface GitCall {
  at?: GitLocation;
  /** The only remote that is spoken with, and how, in the notation of GIT_ALLOW_PROTOCOL; none unless told. */
  remote?: { address: string; protocols: string };
  /** What git opens in an address's place, on the way through the clone's settings as well. */
  opened?: OpenedRepository | undefined;
  signal?: AbortSignal;
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
  separator?: "\0";
  /** More output than this is cut; a megabyte unless told. */
  maxBytes?: number;
}

/**
 * Runs git to its end, whatever its exit code.
 * @throws WorkspaceError when git is missing, when the time was over or the call was stopped. Then git has ended.
 */
export type GitRunner = (args: string[], call?: GitCall) => Promise<GitOutput>;

/** Local work: far above what a large checkout needs, and still an end to waiting. */
const LOCAL_TIMEOUT_MS = 300_000;
/** A host that has not answered by then is down; the transfer itself may take longer. */
const CONNECT_MS = 30_000;
/** Time for git to remove its lock files and unfinished packs. */
const GRACE_MS = 2_000;

/** On top of what is safe for looking: our git runs no hook, starts nothing in the background, signs nothing. */
const OWN_ARGUMENTS = [
  ...QUIET_ARGUMENTS,
  ...["-c", `core.hooksPath=${devNull}`],
  ...["-c", "push.gpgSign=false", "-c", "push.recurseSubmodules=no", "-c", "advice.detachedHead=false"],
];

/** Creates what runs git for workspaces; nothing else does. */
export function createGitRunner(options: {
  env: NodeJS.ProcessEnv;
  clock: Clock;
  gitPath?: string;
}): GitRunner {
  const { clock, gitPath = "git" } = options;
  const sshByRemote = new WeakMap<object, Map<string, Promise<NodeJS.ProcessEnv>>>();

  /**
   * Asked once for each use of a remote, and for each repository that git works in: a person's settings may be for some
   * of them only (`includeIf "gitdir:…"`).
   */
  async function sshFor(
    remote: { address: string },
    ask: Omit<Parameters<typeof sshEnvironment>[0], "address">,
  ): Promise<NodeJS.ProcessEnv> {
    const known = sshByRemote.get(remote) ?? new Map<string, Promise<NodeJS.ProcessEnv>>();
    sshByRemote.set(remote, known);
    const repository = ask.env.GIT_DIR ?? "";
    const asked = known.get(repository) ?? sshEnvironment({ ...ask, address: remote.address });
    known.set(repository, asked);
    const found = await asked;
    // One that was stopped has learned nothing.
    if (ask.stop.aborted) known.delete(repository);
    return found;
  }

  return async (args, call = {}) => {
    const { at, signal, timeoutMs = LOCAL_TIMEOUT_MS } = call;
    const stop = new AbortController();
    const stopFollowing = follow(signal, stop);
    let late = false;
    const cancel = clock.after(timeoutMs, () => {
      late = true;
      stop.abort();
    });
    try {
      const env = {
        ...gitEnvironment(options.env, call.remote?.protocols ?? "none"),
        // A partial clone would fetch what is missing with a program that its own settings name.
        GIT_NO_LAZY_FETCH: "1",
        // Git LFS would ask its own server, with the person's login and without a limit. Pointers are checked out.
        GIT_LFS_SKIP_SMUDGE: "1",
        ...(at && locationVariables(at)),
        ...call.env,
      };
      const ask = { gitPath, env, stop: stop.signal, connectMs: CONNECT_MS };
      const far = call.remote?.protocols === REMOTE_PROTOCOLS ? call.remote : undefined;
      const told = await runGit({
        gitPath,
        args: [...SAFE_ARGUMENTS, ...OWN_ARGUMENTS, ...inPlaceOf(call.opened), ...args],
        env: {
          ...env,
          ...(far && (await sshFor(far, ask))),
        },
        stop: stop.signal,
        graceMs: GRACE_MS,
        ...(call.maxBytes && { maxBytes: call.maxBytes }),
        ...(call.separator && { separator: call.separator }),
      });
      if (told) return told;
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      throw new WorkspaceError(
        missing
          ? "The program git was not found. Install git, or put it on the PATH of the engine, and try again."
          : `The program git could not be started: ${cleanLine((error as Error).message)}`,
      );
    } finally {
      cancel();
      stopFollowing();
    }
    throw late
      ? new WorkspaceError(
          `git ${args[0]} did not finish within ${Math.round(timeoutMs / 1000)} s and was stopped.`,
        )
      : stopped(signal);
  };
}

/** What is thrown when a signal has fired; its reason, when that is a text, says why. */
export function stopped(signal: AbortSignal | undefined): WorkspaceError {
  const why: unknown = signal?.reason;
  return new WorkspaceError(`It was stopped before it finished${typeof why === "string" ? `: ${why}` : ""}.`);
}

/** The same git, each command of which ends when the signal fires. */
export function stoppable(git: GitRunner, signal: AbortSignal | undefined): GitRunner {
  if (!signal) return git;
  return (args, call = {}) =>
    git(args, { ...call, signal: call.signal ? AbortSignal.any([call.signal, signal]) : signal });
}

/** Runs git where only success will do: the whole text it wrote. @throws WorkspaceError with what git said. */
export async function mustGit(git: GitRunner, what: string, args: string[], call?: GitCall): Promise<string> {
  const told = await git(args, call);
  if (told.code === 0) return told.text;
  throw new WorkspaceError(`${what}: ${explain(told)}`);
}

/** One line that git wrote, or undefined when it had none or failed. */
export async function askGit(git: GitRunner, args: string[], call?: GitCall): Promise<string | undefined> {
  const told = await git(args, call);
  return (told.code === 0 && told.text.trim()) || undefined;
}

/** What went wrong in git's own words, and what usually helps. */
export function explain(told: GitOutput): string {
  const lines = told.problem.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  const telling = lines.filter((line) => /^(?:fatal|error|ssh|remote|.*denied)\b/i.test(line));
  const words = cleanLine((telling.length > 0 ? telling.slice(-2) : lines.slice(-1)).join(" "));
  if (/permission denied \(|host key verification failed/i.test(words))
    return `${words}. The engine uses the keys of your ssh agent and the hosts you know: try "git ls-remote" with this address in a terminal, and add the key with "ssh-add".`;
  if (/could not read (?:username|password)|authentication failed|terminal prompts disabled/i.test(words))
    return `${words}. The repository wants a login: sign in with a git credential helper (for GitHub "gh auth setup-git"), or use the ssh address.`;
  if (/promisor remote|lazy fetching disabled/i.test(told.problem))
    return 'the repository is a partial clone: some of its files are only at the place it was cloned from. Give that place\'s address instead, or make it whole with "git fetch --refetch --no-filter" in it.';
  return words || `git ended with code ${told.code}`;
}

function inPlaceOf(opened: OpenedRepository | undefined): string[] {
  return opened?.pinned ? ["-c", `url.${opened.pinned}.insteadOf=${opened.address}`] : [];
}

function locationVariables(at: GitLocation): NodeJS.ProcessEnv {
  // Ceiling: a bare clone that has gone must not make git look for another repository further up.
  const ceiling = { GIT_CEILING_DIRECTORIES: dirname(at.clone) };
  if (!at.worktree) return { ...ceiling, GIT_DIR: at.clone };
  const { path, gitDir } = at.worktree;
  return { ...ceiling, GIT_DIR: gitDir, GIT_COMMON_DIR: at.clone, GIT_WORK_TREE: path };
}
