import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, vi } from "vitest";
import { type DemoOptions, runDemo } from "../../src/cli/demo/demo.js";
import { BIN, temporaryFolder } from "./bin.js";

const PATIENCE = { timeout: 20_000, interval: 20 };

/** Starts `demo` as a person would, but without a terminal. */
export function startDemo(env: Record<string, string>, flags: string[] = []) {
  const child = spawn(process.execPath, [BIN, "demo", ...flags], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const read = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    read.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    read.stderr += chunk;
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, read, ended, shows: (text: string) => waitForText(() => read.stdout, text) };
}

export function waitForText(read: () => string, text: string): Promise<void> {
  return vi.waitFor(() => expect(read()).toContain(text), PATIENCE);
}

/** A demo of this process with a terminal whose keys the test presses. */
export function startAtTerminal(options: Partial<DemoOptions> = {}) {
  const folder = temporaryFolder();
  vi.stubEnv("TMPDIR", folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  const errors = new PassThrough();
  let written = "";
  let from = 0;
  output.on("data", (chunk) => {
    written += chunk;
  });
  const ended = runDemo({
    input: input as unknown as NodeJS.ReadStream,
    output: output as unknown as NodeJS.WriteStream,
    errors,
    env: process.env,
    onSignal: () => () => {},
    paceMs: 600,
    serverScript: BIN,
    ...options,
  });
  return {
    folder,
    ended,
    input,
    errors: () => String(errors.read() ?? ""),
    /** Waits until the text has come anew, then types. */
    async answer(prompt: string, typed: string) {
      await waitForText(() => written.slice(from), prompt);
      from = written.length;
      input.write(`${typed}\r`);
    },
    /** What a terminal shows in the end: a line that was cleared shows what was written afterwards. */
    screen: () =>
      written
        .replaceAll(/[^\n]*\u001b\[2K/g, "")
        .replaceAll(/\u001b\[[\d;]*[A-Za-z]/g, "")
        .replaceAll("\r", ""),
  };
}
