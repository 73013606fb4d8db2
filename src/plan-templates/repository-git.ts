import {
  type GitOutput,
  gitEnvironment,
  QUIET_ARGUMENTS,
  REMOTE_PROTOCOLS,
  runGit,
  SAFE_ARGUMENTS,
  sshEnvironment,
} from "../shared/git/git-process.js";

/** Runs git for one look at a repository. Undefined when it was stopped. @throws when git cannot be started */
export type Git = (args: readonly string[], maxBytes?: number) => Promise<GitOutput | undefined>;

/** When stopped, git has so long to take its unfinished files away, in ms. */
const GRACE_MS = 500;

interface GitOptions {
  env: NodeJS.ProcessEnv;
  stop: AbortSignal;
  gitPath?: string;
}

/** For a repository on this machine, which gets nothing from elsewhere: an object that it lacks stays missing. */
export function openLocalGit({ folder, ...options }: GitOptions & { folder: string }): Git {
  return openGit(options, gitEnvironment(options.env, "none"), ["-C", folder]);
}

/**
 * For a repository elsewhere.
 * @param options.gitDir where git works: a folder of our own, or `devNull` for none
 */
export async function openRemoteGit(
  options: GitOptions & { address: string; gitDir: string; connectMs: number },
): Promise<Git> {
  const { address, gitDir, stop, connectMs, gitPath = "git" } = options;
  const env: NodeJS.ProcessEnv = { ...gitEnvironment(options.env, REMOTE_PROTOCOLS), GIT_DIR: gitDir };
  Object.assign(env, await sshEnvironment({ gitPath, env, stop, address, connectMs }));
  return openGit(options, env, []);
}

/** Nothing of the repository is carried out, and nothing else begun on the way. */
function openGit({ stop, gitPath = "git" }: GitOptions, env: NodeJS.ProcessEnv, place: string[]): Git {
  return (args, maxBytes) =>
    runGit({
      gitPath,
      args: [...SAFE_ARGUMENTS, ...QUIET_ARGUMENTS, ...place, ...args],
      env,
      stop,
      graceMs: GRACE_MS,
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
}
