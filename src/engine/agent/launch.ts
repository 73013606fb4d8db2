import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ArgumentOptions, buildArguments, buildEnvironment } from "./arguments.js";

/** What it takes to start the agent's process. */
export interface LaunchOptions extends ArgumentOptions {
  /** The program, or a script for this Node. */
  claudePath: string;
  /** Goes beside the agent's own instructions. */
  systemPrompt?: string;
  env: NodeJS.ProcessEnv;
}

export interface Launched {
  child: ChildProcess;
  /** Removes the file with the system prompt, which the agent reads when it starts. */
  forgetPrompt(): void;
}

/**
 * Starts the process in a group of its own, without a shell.
 * @param mark see `MARK_NAME`
 * @throws when the system refuses the start at once (arguments too long …); other failures come as its `error` event
 */
export function launch(options: LaunchOptions, mark: string): Launched {
  const prompt = options.systemPrompt ? createPromptFile(options.systemPrompt) : undefined;
  const forgetPrompt = () => {
    if (prompt) rmSync(prompt.folder, { recursive: true, force: true });
  };
  const args = buildArguments(options, prompt?.path);
  const isScript = /\.[cm]?js$/.test(options.claudePath);
  try {
    const child = spawn(
      isScript ? process.execPath : options.claudePath,
      isScript ? [options.claudePath, ...args] : args,
      {
        cwd: options.cwd,
        env: buildEnvironment(options.env, mark, options),
        // Its own group, so that a Ctrl+C at the engine's terminal does not reach it and it can be ended as a whole.
        detached: process.platform !== "win32",
        windowsHide: true,
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    return { child, forgetPrompt };
  } catch (error) {
    forgetPrompt();
    throw error;
  }
}

/** For the person: why there is no agent. */
export function describeFailure(options: LaunchOptions, error: Error): string {
  return `Claude Code could not be started (${options.claudePath} in ${options.cwd}): ${error.message}`;
}

/** A file for the owner alone, because other users can read command lines. */
function createPromptFile(text: string): { folder: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), "workflow-agent-"));
  const path = join(folder, "system-prompt.md");
  writeFileSync(path, text, { mode: 0o600 });
  return { folder, path };
}
