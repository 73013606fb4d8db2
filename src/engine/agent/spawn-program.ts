import { type ChildProcess, spawn } from "node:child_process";

/**
 * Starts an agent's program in a group of its own, without a shell, with pipes for all that it reads and writes.
 * @param program.path the program, or a script for this Node
 * @throws when the system refuses the start at once (arguments too long …); other failures come as its `error` event
 */
export function spawnProgram(program: {
  path: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}): ChildProcess {
  const { path, args, cwd, env } = program;
  const isScript = /\.[cm]?js$/.test(path);
  return spawn(isScript ? process.execPath : path, isScript ? [path, ...args] : args, {
    cwd,
    env,
    // Its own group, so that a Ctrl+C at the engine's terminal does not reach it and it can be ended as a whole.
    detached: process.platform !== "win32",
    windowsHide: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
}
