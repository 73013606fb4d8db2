import {
  type GitOutput,
  gitEnvironment,
  REMOTE_PROTOCOLS,
  runGit,
  SAFE_ARGUMENTS,
  sshEnvironment,
} from "../shared/git/git-process.js";

/** Runs git for one look at a repository. Undefined when it was stopped. @throws when git cannot be started */
export type Git = (args: readonly string[], maxBytes?: number) => Promise<GitOutput | undefined>;

/** When stopped, git has so long to take its unfinished files away, in ms. */
const GRACE_MS = 500;

/** Nothing of the repository is carried out, and nothing else begun on the way. */
const QUIET_ARGUMENTS = [
  ...["-c", "gc.auto=0", "-c", "maintenance.auto=false"],
  ...["-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false"],
];

/** For a repository on this machine, which gets nothing from elsewhere: an object that it lacks stays missing. */
export function openLocalGit(options: {
  folder: string;
  env: NodeJS.ProcessEnv;
  stop: AbortSignal;
  gitPath?: string;
}): Git {
  const { folder, stop, gitPath = "git" } = options;
  const env = gitEnvironment(options.env, "none");
  return (args, maxBytes) =>
    runGit({
      gitPath,
      args: [...SAFE_ARGUMENTS, ...QUIET_ARGUMENTS, "-C", folder, ...args],
      env,
      stop,
      graceMs: GRACE_MS,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
}

/**
 * For a repository elsewhere.
 * @param options.gitDir where git works: a folder of our own, or `devNull` for none
 */
export async function openRemoteGit(options: {
  address: string;
  gitDir: string;
  env: NodeJS.ProcessEnv;
  stop: AbortSignal;
  connectMs: number;
  gitPath?: string;
}): Promise<Git> {
  const { address, gitDir, stop, connectMs, gitPath = "git" } = options;
  const env: NodeJS.ProcessEnv = { ...gitEnvironment(options.env, REMOTE_PROTOCOLS), GIT_DIR: gitDir };
  Object.assign(env, await sshEnvironment({ gitPath, env, stop, address, connectMs }));
  return (args, maxBytes) =>
    runGit({
      gitPath,
      args: [...SAFE_ARGUMENTS, ...QUIET_ARGUMENTS, ...args],
      env,
      stop,
      graceMs: GRACE_MS,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
}
