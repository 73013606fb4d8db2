import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";

/** Some 14,000 branches; a remote that says more is not listened to. */
const MAX_OUTPUT_BYTES = 1024 * 1024;
/** The end of what git complained about is enough to say why it failed. */
const MAX_PROBLEM_BYTES = 4096;
/** How long after git's own end its output is waited for: a helper it left behind may hold the pipe open. */
const DRAIN_MS = 1000;
/** A process that SIGKILL does not end hangs in the kernel; nobody can wait for that. */
const KILLED_MS = 2000;

/** Where the repository is, as git sets it for hooks: it would win over the folder that was asked about. */
const PLACE_VARIABLE =
  /^GIT_(?:DIR|WORK_TREE|COMMON_DIR|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX)$/i;

/** Both, whatever the address: with `url.<base>.insteadOf` people have one taken for the other. */
export const REMOTE_PROTOCOLS = "https:ssh";
/** A plain command that starts OpenSSH by its name, without anything that a shell would read. */
const OPEN_SSH =
  /^(?:"(?:[^"]*[\\/])?ssh(?:\.exe)?"|'(?:[^']*[\\/])?ssh(?:\.exe)?'|(?:[^\s'"]*[\\/])?ssh(?:\.exe)?)(?:\s[^;&|#<>()]*)?$/i;
const PERSONAL_SCOPES = new Set(["system", "global", "command"]);

/** Settings that win over any configuration file: nothing of a repository's choosing runs, nobody is asked. */
export const SAFE_ARGUMENTS: readonly string[] = [
  "--no-pager",
  ...["-c", "core.fsmonitor=false"],
  ...["-c", "core.askPass="],
  ...["-c", "credential.interactive=false"],
  ...["-c", "protocol.ext.allow=never"],
];

/** Git begins nothing besides what it is asked for: no cleaning up in the background, nothing of submodules. */
export const QUIET_ARGUMENTS: readonly string[] = [
  ...["-c", "gc.auto=0", "-c", "maintenance.auto=false"],
  ...["-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false"],
];

/**
 * What git(1) and ssh(1) need to be told so that neither ever waits for a person. Whoever speaks with a remote adds
 * `sshEnvironment`.
 * @param protocols what git may speak, in the notation of GIT_ALLOW_PROTOCOL
 */
export function gitEnvironment(base: NodeJS.ProcessEnv, protocols = REMOTE_PROTOCOLS): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(base).filter(([name]) => !PLACE_VARIABLE.test(name)));
  return {
    ...env,
    GIT_ALLOW_PROTOCOL: protocols,
    GIT_TERMINAL_PROMPT: "0",
    // Set but empty: git takes it as "no helper" and looks no further, on every system.
    GIT_ASKPASS: "",
    SSH_ASKPASS: "",
    SSH_ASKPASS_REQUIRE: "never",
    GIT_OPTIONAL_LOCKS: "0",
    LC_ALL: "C",
  };
}

/**
 * How ssh is started: as the person has chosen it, in the environment or in their own git settings, so that their key
 * is found. A repository's settings don't count: an agent can write them.
 * @param ask.address of the remote, since settings can be for some remotes only
 * @param ask.connectMs how long ssh may take to connect, unless the person has said so
 */
export async function sshEnvironment(
  ask: Pick<GitRun, "gitPath" | "env" | "stop"> & { address: string; connectMs: number },
): Promise<NodeJS.ProcessEnv> {
  const { env, address, connectMs } = ask;
  const own =
    env.GIT_SSH_COMMAND || (await configuredSsh(ask, address)) || quotedProgram(env.GIT_SSH) || "ssh";
  const isOpenSsh = !env.GIT_SSH_VARIANT || env.GIT_SSH_VARIANT === "ssh";
  if (!isOpenSsh || !OPEN_SSH.test(own)) return { GIT_SSH_COMMAND: own };
  // Behind the person's own options: ssh takes the first of each. ControlMaster=no: a shared connection would outlive
  // the call.
  const seconds = Math.max(1, Math.ceil(connectMs / 1000));
  const never = `-o BatchMode=yes -o ControlMaster=no -o ConnectTimeout=${seconds}`;
  return { GIT_SSH_COMMAND: `${own} ${never}` };
}

/** What the person's git settings, also those that they include, say of the program to connect with. */
async function configuredSsh(
  { gitPath, env, stop }: Pick<GitRun, "gitPath" | "env" | "stop">,
  address: string,
): Promise<string | undefined> {
  const args = ["-c", `remote.origin.url=${address}`, "config", "--show-scope", "-z", "--get-all"];
  const told = await runGit({ gitPath, args: [...args, "core.sshCommand"], env, stop, separator: "\0" });
  const parts = told?.code === 0 ? told.text.split("\0") : [];
  return parts.filter((_, index) => PERSONAL_SCOPES.has(parts[index - 1] ?? "") && index % 2 === 1).at(-1);
}

function quotedProgram(path: string | undefined): string | undefined {
  return path && `'${path.replaceAll("'", "'\\''")}'`;
}

/** What git wrote (whole entries only, where it was cut at the limit) and its exit code, null when it was killed. */
export interface GitOutput {
  text: string;
  cut: boolean;
  code: number | null;
  /** The end of what it wrote to stderr; empty without `graceMs`. */
  problem: string;
}

export interface GitRun {
  gitPath: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Ends git and all that it started; the answer is then undefined. */
  stop: AbortSignal;
  /** What entries of the output end with; a line feed unless told. */
  separator?: "\n" | "\0";
  /** The output limit; a megabyte unless told. */
  maxBytes?: number;
  /**
   * For a git that writes: when stopped it is asked to end, so that it takes its lock files away, is killed only
   * after this many milliseconds, and the answer waits until it is gone. Without it, it is killed at once and not
   * waited for: one that hangs in the kernel would hold the answer up.
   */
  graceMs?: number;
}

/**
 * Runs git to its end, to the output limit or until `stop` fires (then undefined), whichever is first. Without a
 * shell or a terminal. Rejects when the program can't be started.
 */
export function runGit(run: GitRun): Promise<GitOutput | undefined> {
  const { gitPath, args, env, stop, separator = "\n", maxBytes = MAX_OUTPUT_BYTES, graceMs } = run;
  if (stop.aborted) return Promise.resolve(undefined);
  return new Promise((settle, fail) => {
    // Its own process group, so that ssh and git-remote-https go with it; also without a terminal to ask on.
    // The root as folder: on Windows a program is first looked for in the folder of the call.
    const grouped = process.platform !== "win32";
    const child = spawn(gitPath, args, {
      env,
      stdio: ["ignore", "pipe", graceMs === undefined ? "ignore" : "pipe"],
      cwd: resolve("/"),
      detached: grouped,
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    const timers: NodeJS.Timeout[] = [];
    let size = 0;
    let problem = "";
    let stopped = false;
    const text = () => Buffer.concat(chunks).toString();
    const finish = (told: GitOutput | undefined, kill: boolean) => {
      stop.removeEventListener("abort", onStop);
      for (const timer of timers) clearTimeout(timer);
      if (kill) killAll(child, grouped, "SIGKILL");
      settle(told);
    };
    const end = (code: number | null) =>
      finish(stopped ? undefined : { text: text(), cut: false, code, problem }, stopped);
    const onStop = () => {
      if (graceMs === undefined) return finish(undefined, true);
      stopped = true;
      killAll(child, grouped, "SIGTERM");
      timers.push(setTimeout(() => killAll(child, grouped, "SIGKILL"), graceMs));
      timers.push(setTimeout(() => finish(undefined, true), graceMs + KILLED_MS));
    };
    stop.addEventListener("abort", onStop, { once: true });
    child.on("error", (error) => {
      stop.removeEventListener("abort", onStop);
      fail(error);
    });
    child.on("close", end);
    if (graceMs !== undefined)
      child.on("exit", (code) => timers.push(setTimeout(() => end(code), stopped ? 0 : DRAIN_MS)));
    child.stderr?.on("data", (chunk: Buffer) => {
      problem = (problem + chunk.toString()).slice(-MAX_PROBLEM_BYTES);
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= maxBytes) return;
      const all = text();
      const whole = all.slice(0, all.lastIndexOf(separator) + 1);
      finish(stopped ? undefined : { text: whole, cut: true, code: null, problem }, true);
    });
  });
}

function killAll(child: ChildProcess, grouped: boolean, signal: "SIGTERM" | "SIGKILL"): void {
  if (signal === "SIGKILL") child.stdout?.destroy();
  if (child.pid === undefined) return;
  if (!grouped) {
    const args = ["/pid", String(child.pid), "/T", "/F"];
    spawn("taskkill", args, { stdio: "ignore", windowsHide: true }).on("error", () => child.kill());
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group has ended by itself.
  }
}
