import type { Channel } from "./channel.js";
import { runProgram } from "./run-program.js";

/**
 * A command of the person's own. The shell (`sh`, on Windows `cmd`) reads nothing but their line; the notice is its
 * input, as JSON.
 */
export function createCommandChannel(options: {
  command: string;
  env: NodeJS.ProcessEnv;
  /** Where it is run. */
  home: string;
}): Channel {
  const { command, env, home } = options;
  return {
    name: "command",
    send: (notice, signal) =>
      runProgram(command, [], { env, cwd: home, shell: true, input: `${JSON.stringify(notice)}\n`, signal }),
  };
}
