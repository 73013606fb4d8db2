import type { AgentOptions, AgentProcess } from "./agent-process.js";
import type { AgentEvent, AgentExit } from "./events.js";

/** For the person: why there is no agent. @param title how its kind is called */
export function describeFailedStart(
  title: string,
  { path, cwd }: Pick<AgentOptions, "path" | "cwd">,
  error: Error,
): string {
  return `${title} could not be started (${path} in ${cwd}): ${error.message}`;
}

/**
 * An agent that could not be started, as a process that ended at once.
 * @param why see `describeFailedStart`
 */
export function failedStart(why: string, onEvent: (event: AgentEvent) => void): AgentProcess {
  const exit: AgentExit = { type: "exit", code: null, signal: null, stderr: why };
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
