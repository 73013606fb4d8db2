import { devNull } from "node:os";
import { resolve } from "node:path";
import { systemClock } from "../clock.js";
import { withDeadline } from "../deadline.js";
import { type FoundBranch, findBranch } from "./branch-name.js";
import { gitEnvironment, runGit, SAFE_ARGUMENTS, sshEnvironment } from "./git-process.js";
import { checkBranchName, checkRepositoryUrl, publicRepositoryUrl } from "./repository-address.js";

/** Branches of a remote repository; `truncated` when it has more than were brought back. */
export interface RemoteBranches {
  defaultBranch?: string;
  branches: string[];
  truncated: boolean;
}

/** A repository on this machine. */
export interface LocalRepository {
  /** The folder that its files are in, or its git folder where it has none (bare); absolute. */
  top: string;
  /** Of its remote: origin, else the first one. */
  repositoryUrl?: string;
  /** What is checked out; missing where that is no branch. */
  branch?: string;
}

/** Looks things up with the git program in order to suggest and to check them. No method ever throws. */
export interface Git {
  /**
   * The repository that holds the folder. Undefined when it is no repository of this user, or git is missing, too slow
   * or aborted.
   */
  describeFolder(folder: string, signal?: AbortSignal): Promise<LocalRepository | undefined>;
  /**
   * Where the folder's repository pushes to: the address of its remote (origin, else the first one) for that, which may be
   * another one than it fetches from. Undefined when that cannot be found out, or is no https or ssh address.
   */
  findPushAddress(folder: string, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * Whether the folder is in a repository that can be used: `unknown` when git is missing, too slow, aborted, or does
   * not use it (one of another user).
   */
  findRepository(
    folder: string,
    signal?: AbortSignal,
  ): Promise<{ kind: "found"; top: string } | { kind: "none" | "unknown" }>;
  /** Branches of a remote repository, default first, at most 50. Undefined when they can't be had. */
  listBranches(repositoryUrl: string, signal?: AbortSignal): Promise<RemoteBranches | undefined>;
  /** What a branch name means in a remote repository. Undefined when that can't be found out. */
  findBranch(
    repositoryUrl: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<{ found: FoundBranch; defaultBranch?: string } | undefined>;
}

export interface GitOptions {
  /** Milliseconds one call may take in all; 3000 unless told. A form is waiting for the answer. */
  timeoutMs?: number;
  /** The git program; `git` unless told. */
  gitPath?: string;
  /** The environment git starts from, usually the server's own: it holds PATH, HOME and the user's ssh choices. */
  env?: NodeJS.ProcessEnv;
}

/** More than this nobody reads in a form. */
const MAX_BRANCHES = 50;
/** Reading leaves nothing behind, so git need not be waited for. */
const GRACE_MS = 200;
const HEADS = "refs/heads/";
const TAGS = "refs/tags/";

/**
 * Creates the look-up. Git runs without a shell, without a terminal, never asks for a password, and is killed
 * with all that it started when the time is up or the call is aborted.
 */
export function createGit(options: GitOptions = {}): Git {
  const { timeoutMs = 3000, gitPath = "git" } = options;
  const env = gitEnvironment(options.env ?? {});
  const run = (args: string[], signal: AbortSignal, extra: NodeJS.ProcessEnv = {}) =>
    runGit({ gitPath, args: [...SAFE_ARGUMENTS, ...args], env: { ...env, ...extra }, stop: signal });
  /** Any failure is undefined. A failure of one of two commands leaves the other not running. */
  const inTime = <T>(signal: AbortSignal | undefined, work: (stop: AbortSignal) => Promise<T>) =>
    withDeadline(systemClock, timeoutMs, work, signal).catch(() => undefined);

  return {
    describeFolder(folder, signal) {
      return inTime(signal, async (stop) => {
        const at = ["-C", resolve(folder)];
        const [place, head, remotes] = await Promise.all([
          findTop(folder, stop),
          run([...at, "symbolic-ref", "--quiet", "HEAD"], stop),
          run([...at, "remote"], stop),
        ]);
        if (place.kind !== "found" || remotes?.code !== 0) return undefined;
        const remote = mainRemote(remotes.text);
        const url =
          remote === undefined ? undefined : await run([...at, "remote", "get-url", "--", remote], stop);
        const repositoryUrl = url?.code === 0 ? publicRepositoryUrl(url.text) : undefined;
        const branch = head?.code === 0 && !place.isBare ? branchOfRef(lines(head.text)[0] ?? "") : undefined;
        return { top: place.top, ...(repositoryUrl && { repositoryUrl }), ...(branch && { branch }) };
      });
    },

    findPushAddress(folder, signal) {
      return inTime(signal, async (stop) => {
        const at = ["-C", resolve(folder)];
        const remote = mainRemote((await run([...at, "remote"], stop))?.text ?? "");
        if (remote === undefined) return undefined;
        const url = await run([...at, "remote", "get-url", "--push", "--", remote], stop);
        return url?.code === 0 ? publicRepositoryUrl(url.text) : undefined;
      });
    },

    async findRepository(folder, signal) {
      return (await inTime(signal, (stop) => findTop(folder, stop))) ?? { kind: "unknown" };
    },

    listBranches(repositoryUrl, signal) {
      return inTime(signal, async (stop) => {
        const told = await ask(repositoryUrl, [], stop);
        if (!told) return undefined;
        const { defaultBranch, branches } = readRefs(told.text);
        return {
          ...(defaultBranch !== undefined && { defaultBranch }),
          branches: branches.slice(0, MAX_BRANCHES),
          truncated: told.cut || branches.length > MAX_BRANCHES,
        };
      });
    },

    findBranch(repositoryUrl, name, signal) {
      return inTime(signal, async (stop) => {
        const checked = checkBranchName(name);
        if (!checked.ok) return undefined;
        const tag = TAGS + checked.value.replace(/^(?:refs\/)?tags\//, "");
        const told = await ask(repositoryUrl, [tag], stop);
        if (!told) return undefined;
        const { defaultBranch, branches, tags, ids } = readRefs(told.text);
        const isCommit = (id: string) => ids.some((one) => one.startsWith(id));
        const found = findBranch(checked.value, { branches, tags, isCommit });
        // What was cut off could hold the name itself.
        if (told.cut && found.kind !== "there") return undefined;
        return { found, ...(defaultBranch !== undefined && { defaultBranch }) };
      });
    },
  };

  async function findTop(folder: string, stop: AbortSignal) {
    // In a bare repository git fails at the last, after the first.
    const args = ["-C", resolve(folder), "rev-parse", "--absolute-git-dir", "--show-toplevel"];
    const told = await runGit({
      gitPath,
      args: [...SAFE_ARGUMENTS, ...args],
      env,
      stop,
      // Only so is it told what git complains of.
      graceMs: GRACE_MS,
    });
    const [gitDir, top] = lines(told?.text ?? "");
    if (told?.code === 0 && top !== undefined)
      return { kind: "found" as const, top: resolve(top), isBare: false };
    const isBare = gitDir !== undefined && /must be run in a work tree/.test(told?.problem ?? "");
    if (isBare) return { kind: "found" as const, top: resolve(gitDir), isBare };
    const isNone = /not a git repository|cannot change to/.test(told?.problem ?? "");
    return { kind: isNone ? ("none" as const) : ("unknown" as const) };
  }

  async function ask(repositoryUrl: string, more: string[], stop: AbortSignal) {
    const checked = checkRepositoryUrl(repositoryUrl);
    if (!checked.ok || checked.kind === "http") return undefined;
    // No repository: the server often stands in one, whose config could name a command to connect with.
    const nowhere = { GIT_DIR: devNull };
    const args = ["ls-remote", "--symref", "--", checked.value, "HEAD", `${HEADS}*`, ...more];
    const { value: address } = checked;
    const ssh = await sshEnvironment({
      gitPath,
      env: { ...env, ...nowhere },
      stop,
      address,
      connectMs: timeoutMs,
    });
    const told = await run(args, stop, { ...nowhere, ...ssh });
    return told && (told.code === 0 || told.cut) ? told : undefined;
  }
}

function lines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}

/** @param told what `git remote` has said */
function mainRemote(told: string): string | undefined {
  const names = lines(told);
  return names.includes("origin") ? "origin" : names[0];
}

function branchOfRef(ref: string): string | undefined {
  if (!ref.startsWith(HEADS)) return undefined;
  const name = ref.slice(HEADS.length);
  return checkBranchName(name).ok ? name : undefined;
}

/** Reads `git ls-remote --symref`: `ref: <ref>\tHEAD` and `<object id>\t<ref>` lines. The default branch is first. */
function readRefs(text: string) {
  let defaultBranch: string | undefined;
  const names = new Set<string>();
  const tags: string[] = [];
  const ids: string[] = [];
  for (const line of lines(text)) {
    const [left = "", ref = ""] = line.split("\t");
    if (ref === "HEAD" && left.startsWith("ref: ")) defaultBranch = branchOfRef(left.slice(5));
    else ids.push(left);
    const name = branchOfRef(ref);
    if (name !== undefined) names.add(name);
    else if (ref.startsWith(TAGS)) tags.push(ref.slice(TAGS.length));
  }
  const branches = [...new Set([...(defaultBranch === undefined ? [] : [defaultBranch]), ...names])];
  return { defaultBranch, branches, tags, ids };
}
