import { type ChildProcess, spawn } from "node:child_process";
import { devNull } from "node:os";
import { resolve } from "node:path";
import { checkBranchName, checkRepositoryUrl, publicRepositoryUrl } from "./repository-address.js";

/** Branches of a remote repository; `truncated` when it has more than were brought back. */
export interface RemoteBranches {
  defaultBranch?: string;
  branches: string[];
  truncated: boolean;
}

/** Looks things up with the git program in order to suggest them. Neither method ever throws. */
export interface Git {
  /**
   * The remote (origin, else the first one) and the current branch of the repository that holds the folder.
   * Undefined when it is no repository of this user, or git is missing, too slow or aborted.
   */
  describeFolder(
    folder: string,
    signal?: AbortSignal,
  ): Promise<{ repositoryUrl?: string; branch?: string } | undefined>;
  /** Branches of a remote repository, default first, at most 50. Undefined when they can't be had. */
  listBranches(repositoryUrl: string, signal?: AbortSignal): Promise<RemoteBranches | undefined>;
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
/** Some 14,000 branches; a remote that says more is not listened to. */
const MAX_OUTPUT_BYTES = 1024 * 1024;
const HEADS = "refs/heads/";

/** Where the repository is, as git sets it for hooks: it would win over the folder that was asked about. */
const PLACE_VARIABLE =
  /^GIT_(?:DIR|WORK_TREE|COMMON_DIR|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX)$/i;

/** Settings that win over any configuration file: nothing of a repository's choosing runs, nobody is asked. */
const FIXED_ARGUMENTS = [
  "--no-pager",
  ...["-c", "core.fsmonitor=false"],
  ...["-c", "core.askPass="],
  ...["-c", "credential.interactive=false"],
  ...["-c", "protocol.ext.allow=never"],
];

/**
 * Creates the look-up. Git runs without a shell, without a terminal, never asks for a password, and is killed
 * with all that it started when the time is up or the call is aborted.
 */
export function createGit(options: GitOptions = {}): Git {
  const { timeoutMs = 3000, gitPath = "git" } = options;
  const env = gitEnvironment(options.env ?? {}, timeoutMs);
  const run = (args: string[], signal: AbortSignal, extra: NodeJS.ProcessEnv = {}) =>
    runBounded(gitPath, [...FIXED_ARGUMENTS, ...args], { ...env, ...extra }, signal);

  return {
    describeFolder(folder, signal) {
      return withinTime(timeoutMs, signal, async (stop) => {
        const at = ["-C", resolve(folder)];
        const [head, remotes] = await Promise.all([
          run([...at, "symbolic-ref", "--quiet", "HEAD"], stop),
          run([...at, "remote"], stop),
        ]);
        if (remotes?.code !== 0) return undefined;
        const names = lines(remotes.text);
        const remote = names.includes("origin") ? "origin" : names[0];
        const url =
          remote === undefined ? undefined : await run([...at, "remote", "get-url", "--", remote], stop);
        const repositoryUrl = url?.code === 0 ? publicRepositoryUrl(url.text) : undefined;
        const branch = head?.code === 0 ? branchOfRef(lines(head.text)[0] ?? "") : undefined;
        return { ...(repositoryUrl && { repositoryUrl }), ...(branch && { branch }) };
      });
    },

    listBranches(repositoryUrl, signal) {
      return withinTime(timeoutMs, signal, async (stop) => {
        const checked = checkRepositoryUrl(repositoryUrl);
        if (!checked.ok || checked.kind === "http") return undefined;
        // No repository: the server often stands in one, whose config could name a command to connect with.
        const nowhere = { GIT_DIR: devNull };
        const args = ["ls-remote", "--symref", "--", checked.value, "HEAD", `${HEADS}*`];
        const told = await run(args, stop, nowhere);
        return told && (told.code === 0 || told.cut) ? readBranches(told.text, told.cut) : undefined;
      });
    },
  };
}

function lines(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}

function branchOfRef(ref: string): string | undefined {
  if (!ref.startsWith(HEADS)) return undefined;
  const name = ref.slice(HEADS.length);
  return checkBranchName(name).ok ? name : undefined;
}

/** Reads `git ls-remote --symref`: `ref: <ref>\tHEAD` and `<object id>\t<ref>` lines. */
function readBranches(text: string, cut: boolean): RemoteBranches {
  let defaultBranch: string | undefined;
  const names = new Set<string>();
  for (const line of lines(text)) {
    const [left = "", ref = ""] = line.split("\t");
    if (ref === "HEAD" && left.startsWith("ref: ")) defaultBranch = branchOfRef(left.slice(5));
    const name = branchOfRef(ref);
    if (name !== undefined) names.add(name);
  }
  const all = [...new Set([...(defaultBranch === undefined ? [] : [defaultBranch]), ...names])];
  return {
    ...(defaultBranch !== undefined && { defaultBranch }),
    branches: all.slice(0, MAX_BRANCHES),
    truncated: cut || all.length > MAX_BRANCHES,
  };
}

/** What git(1) and ssh(1) need to be told so that neither ever waits for a person. */
function gitEnvironment(base: NodeJS.ProcessEnv, timeoutMs: number): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(base).filter(([name]) => !PLACE_VARIABLE.test(name)));
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
  // ControlMaster=no: a shared connection would outlive the call.
  const ssh = `ssh -o BatchMode=yes -o ControlMaster=no -o ConnectTimeout=${seconds}`;
  return {
    // GIT_SSH is the older way to choose the program; a user who set either has a reason.
    ...(env.GIT_SSH ? {} : { GIT_SSH_COMMAND: ssh }),
    ...env,
    GIT_ALLOW_PROTOCOL: "https:ssh",
    GIT_TERMINAL_PROMPT: "0",
    // Set but empty: git takes it as "no helper" and looks no further, on every system.
    GIT_ASKPASS: "",
    SSH_ASKPASS: "",
    SSH_ASKPASS_REQUIRE: "never",
    GIT_OPTIONAL_LOCKS: "0",
    LC_ALL: "C",
  };
}

/** Runs the work with a signal that fires on abort or after `ms`; any failure is undefined. */
async function withinTime<T>(
  ms: number,
  signal: AbortSignal | undefined,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const timer = setTimeout(stop, ms);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  try {
    return await work(controller.signal);
  } catch {
    return undefined;
  } finally {
    stop(); // A failure of one of two commands must not leave the other running.
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Text git wrote (whole lines only, where it was cut at the limit) and its exit code, null when it was killed. */
interface Told {
  text: string;
  cut: boolean;
  code: number | null;
}

/**
 * Runs git to its end, to the output limit or until `stop` fires (then undefined), whichever is first. Does not
 * wait for a killed process to be gone: one that hangs in the kernel would hold the answer up.
 */
function runBounded(
  gitPath: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  stop: AbortSignal,
): Promise<Told | undefined> {
  if (stop.aborted) return Promise.resolve(undefined);
  return new Promise((settle, fail) => {
    // Its own process group, so that ssh and git-remote-https go with it; also without a terminal to ask on.
    // The root as folder: on Windows a program is first looked for in the folder of the call.
    const grouped = process.platform !== "win32";
    const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
    const child = spawn(gitPath, args, {
      env,
      stdio,
      cwd: resolve("/"),
      detached: grouped,
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (told: Told | undefined, kill: boolean) => {
      stop.removeEventListener("abort", onStop);
      if (kill) killAll(child, grouped);
      settle(told);
    };
    const onStop = () => finish(undefined, true);
    stop.addEventListener("abort", onStop, { once: true });
    child.on("error", fail);
    child.on("close", (code) => finish({ text: Buffer.concat(chunks).toString(), cut: false, code }, false));
    child.stdout.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= MAX_OUTPUT_BYTES) return;
      const text = Buffer.concat(chunks).toString();
      finish({ text: text.slice(0, text.lastIndexOf("\n") + 1), cut: true, code: null }, true);
    });
  });
}

function killAll(child: ChildProcess, grouped: boolean): void {
  child.stdout?.destroy();
  if (child.pid === undefined) return;
  if (!grouped) {
    const args = ["/pid", String(child.pid), "/T", "/F"];
    spawn("taskkill", args, { stdio: "ignore", windowsHide: true }).on("error", () => child.kill());
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The whole group has ended by itself.
  }
}
