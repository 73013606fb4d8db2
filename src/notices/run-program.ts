import { type SpawnOptions, spawn } from "node:child_process";
import { NotNow } from "../integrations/delivery-error.js";

/** A program that takes longer is ended, in ms. */
const LIMIT_MS = 10_000;

/**
 * Runs a program to its end. What it writes is not looked at: it may quote secrets.
 * @param options.input goes to its stdin
 * @param options.shell `program` is a line for the shell
 * @param options.signal ends it
 * @throws NotNow, which says how it went wrong, with nothing of the program's own words
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "env" | "cwd"> & {
    input?: string;
    shell?: boolean;
    signal: AbortSignal;
    limitMs?: number;
  },
): Promise<void> {
  const { input, signal, limitMs = LIMIT_MS, env, cwd, shell = false } = options;
  if (signal.aborted) throw new NotNow("it was not started");
  const isPosix = process.platform !== "win32";
  const child = spawn(program, args, {
    env,
    cwd,
    shell,
    stdio: [input === undefined ? "ignore" : "pipe", "ignore", "ignore"],
    windowsHide: true,
    // A group of its own, so that what a shell has started ends with it.
    detached: isPosix,
  });
  const kill = () => {
    try {
      if (isPosix && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, limitMs);
  signal.addEventListener("abort", kill, { once: true });
  // A program that does not read its input may be gone before it is written.
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  try {
    const [code, by] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) =>
        reject(new NotNow(`it cannot be started (${code})`)),
      );
      // Not "close": what it leaves in the background is not waited for.
      child.once("exit", (...ended) => resolve(ended));
    });
    if (isLate) throw new NotNow(`it took longer than ${limitMs / 1000} s`);
    if (code !== 0) throw new NotNow(code === null ? `it was ended by ${by}` : `exit code ${code}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
  }
}
