import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { onTestFinished } from "vitest";
import { BIN } from "./bin.js";

const SCRIPT = "/usr/bin/script";

/** Whether there is a program that gives the bin a terminal of its own. */
export const hasTerminal = process.platform === "linux" && existsSync(SCRIPT);

/**
 * Runs the bin to its end in a terminal of its own, where a person types.
 * @param line what stands behind the bin, for a shell
 * @param cwd where the person stands
 * @param typed what is typed, each as soon as its prompt is there; the next prompt is waited for behind it. A function
 * does something first
 */
export function runInTypedTerminal(
  line: string,
  env: Record<string, string>,
  typed: readonly (readonly [prompt: string, text: string | (() => Promise<string>)])[],
  cwd?: string,
): Promise<{ code: number; text: string }> {
  const left = [...typed];
  return new Promise((resolve, reject) => {
    const all = { PATH: process.env.PATH, TERM: "xterm", ...env };
    const command = `${process.execPath} ${BIN} ${line}`;
    const child = execFile(SCRIPT, ["-qec", command, "/dev/null"], { env: all, cwd }, (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), text: stdout }),
    );
    onTestFinished(() => void child.kill());
    let seen = "";
    child.stdout?.on("data", (text: string) => {
      seen += text;
      const [next] = left;
      const at = next ? seen.indexOf(next[0]) : -1;
      if (!next || at < 0) return;
      left.shift();
      seen = seen.slice(at + next[0].length);
      const type = (text: string) => void child.stdin?.write(`${text}\r`);
      if (typeof next[1] === "string") type(next[1]);
      else next[1]().then(type, reject);
    });
  });
}
