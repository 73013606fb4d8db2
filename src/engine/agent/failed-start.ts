import type { AgentOptions, AgentProcess } from "./agent-process.js";
import type { AgentEvent, AgentExit } from "./events.js";
import { describeFailure } from "./launch.js";

/** An agent that could not be started, as a process that ended at once with the reason in `stderr`. */
export function failedStart(
  options: AgentOptions,
  error: Error,
  onEvent: (event: AgentEvent) => void,
): AgentProcess {
  const exit: AgentExit = { type: "exit", code: null, signal: null, stderr: describeFailure(options, error) };
  // Later, because the caller must have the process before its first event.
  const exited = Promise.resolve().then(() => {
    onEvent(exit);
    return exit;
  });
  return {
    pid: 0,
    processStart: "0",
    send: () => false,
    answer: () => false,
    hold() {},
    letGo() {},
    worksBeside: () => false,
    interrupt: async () => false,
    end() {},
    kill: async () => {
      await exited;
    },
    exited,
  };
}
