import { execFile } from "node:child_process";
import { posix, win32 } from "node:path";
import { findOnPath } from "../../shared/program-path.js";

/** Runs the `claude` program with these arguments; false when it failed. */
export type RunClaude = (args: readonly string[]) => Promise<boolean>;

/** A cold start from a slow disk takes seconds. In ms. */
const TIMEOUT_MS = 30_000;

/**
 * Looks for the `claude` program on the PATH. Claude Code writes its own file while it runs, so it is asked to change
 * it, where it can be.
 * @returns undefined when there is none that can be started without a shell
 */
export function findClaudeCli(options: {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
}): RunClaude | undefined {
  const { env, platform } = options;
  const isWindows = platform === "win32";
  const program = findOnPath(isWindows ? "claude.exe" : "claude", env, isWindows ? win32 : posix);
  return program === undefined ? undefined : (args) => run(program, args, env);
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: TIMEOUT_MS, windowsHide: true }, (error) =>
      resolve(error === null),
    ).stdin?.end();
  });
}
