import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { posix, win32 } from "node:path";

/** Runs the `claude` program with these arguments; false when it failed. */
export type RunClaude = (args: readonly string[]) => Promise<boolean>;

/** A cold start from a slow disk takes seconds. In ms. */
const TIMEOUT_MS = 30_000;

/**
 * Looks for the `claude` program on the PATH. Claude Code writes its own file while it runs, so it is asked to change
 * it, where it can be.
 * @returns undefined when there is none that can be started without a shell
 */
export async function findClaudeCli(options: {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
}): Promise<RunClaude | undefined> {
  const { env, platform } = options;
  const path = platform === "win32" ? win32 : posix;
  const folders = (env.PATH ?? env.Path ?? "").split(path.delimiter).filter(path.isAbsolute);
  for (const folder of folders) {
    const program = path.join(folder, platform === "win32" ? "claude.exe" : "claude");
    const there = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there) return (args) => run(program, args, env);
  }
  return undefined;
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: TIMEOUT_MS, windowsHide: true }, (error) =>
      resolve(error === null),
    ).stdin?.end();
  });
}
