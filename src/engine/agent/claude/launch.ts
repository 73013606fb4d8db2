import type { ChildProcess } from "node:child_process";
import type { AgentOptions } from "../agent-process.js";
import { buildEnvironment } from "../environment.js";
import { spawnProgram } from "../spawn-program.js";
import { buildArguments } from "./arguments.js";
import { CLAUDE_VARIABLES } from "./environment.js";
import { hideSandboxFiles, sandboxSettings } from "./sandbox.js";
import { createStartFiles } from "./start-files.js";
import { readUserRules } from "./user-rules.js";

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
export function launch(options: AgentOptions, mark: string): Launched {
  const { sandbox, privatePaths = [], path, cwd } = options;
  if (sandbox) hideSandboxFiles(cwd);
  const { files, forget: forgetFiles } = createStartFiles(options);
  const confined = sandbox && sandboxSettings(sandbox, privatePaths);
  const userRules = readUserRules(options.env);
  const args = buildArguments({ ...options, sandbox: confined, userRules }, files);
  // In the sandbox the person would be asked for the host that npm looks for its own updates at.
  const env = sandbox ? { npm_config_update_notifier: "false", ...options.env } : options.env;
  try {
    const all = buildEnvironment(env, mark, options.passedVariables ?? [], CLAUDE_VARIABLES);
    return { child: spawnProgram({ path, args, cwd, env: all }), forgetFiles };
  } catch (error) {
    forgetFiles();
    throw error;
  }
}
