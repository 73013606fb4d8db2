import { type ChildProcess, spawn } from "node:child_process";
import type { McpServer } from "../types.js";
import { type ArgumentOptions, buildArguments } from "./arguments.js";
import { buildEnvironment } from "./environment.js";
import { createStartFiles } from "./start-files.js";
import { readUserRules } from "./user-rules.js";

/** What it takes to start the agent's process. */
export interface LaunchOptions extends ArgumentOptions {
  /** The program, or a script for this Node. */
  claudePath: string;
  /** Goes beside the agent's own instructions. */
  systemPrompt?: string;
  /** The only MCP servers that the agent gets, by name. */
  mcpServers?: Record<string, McpServer>;
  env: NodeJS.ProcessEnv;
  /** Variables that the agent gets although their names are those of credentials: see `buildEnvironment`. */
  passedVariables?: readonly string[];
}

export interface Launched {
  child: ChildProcess;
  /** Removes the files that the agent has read when it says that it is there. */
  forgetFiles(): void;
}

/**
 * Starts the process in a group of its own, without a shell.
 * @param mark see `MARK_NAME`
 * @throws when the system refuses the start at once (arguments too long …); other failures come as its `error` event
 */
export function launch(options: LaunchOptions, mark: string): Launched {
  const { files, forget: forgetFiles } = createStartFiles(options);
  const args = buildArguments({ ...options, userRules: readUserRules(options.env) }, files);
  const isScript = /\.[cm]?js$/.test(options.claudePath);
  try {
    const child = spawn(
      isScript ? process.execPath : options.claudePath,
      isScript ? [options.claudePath, ...args] : args,
      {
        cwd: options.cwd,
        env: buildEnvironment(options.env, mark, options.passedVariables),
        // Its own group, so that a Ctrl+C at the engine's terminal does not reach it and it can be ended as a whole.
        detached: process.platform !== "win32",
        windowsHide: true,
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    return { child, forgetFiles };
  } catch (error) {
    forgetFiles();
    throw error;
  }
}

/** For the person: why there is no agent. */
export function describeFailure(options: LaunchOptions, error: Error): string {
  return `Claude Code could not be started (${options.claudePath} in ${options.cwd}): ${error.message}`;
}
