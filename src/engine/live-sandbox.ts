import type { Log } from "../shared/log.js";
import { findSandbox, type Sandbox } from "./agent/claude/sandbox.js";

/** Whether agents that begin now get a sandbox, by the setting and by what the machine has. */
export interface LiveSandbox {
  /** Whether agents that begin now get one. */
  wanted(): boolean;
  /** The machine's, as it was found last; undefined when there is none. */
  found(): Extract<Sandbox, { usable: true }> | undefined;
  /** Agents may only begin with one. */
  required(): boolean;
  /** Why no agent may begin: one has to be there, and is not. */
  problem(): string | undefined;
  /** Follows the setting. */
  follow(mode: "auto" | "on" | "off"): Promise<void>;
}

/** Looks at the machine once, when it is first needed. Says in the log what is missing. */
export function createLiveSandbox(options: {
  env: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
  log: Log;
}): LiveSandbox {
  let found: Sandbox | undefined;
  let isWanted = false;
  let isRequired = false;
  let problem: string | undefined;

  return {
    wanted: () => isWanted,
    found: () => (found?.usable ? found : undefined),
    required: () => isRequired,
    problem: () => problem,
    async follow(mode) {
      isRequired = mode === "on";
      if (mode === "off") {
        isWanted = false;
        problem = undefined;
        return;
      }
      // What was missing may have been installed since.
      if (!found?.usable) found = await findSandbox(options);
      isWanted = found.usable;
      problem = undefined;
      if (found.usable) return;
      if (mode === "on") {
        problem =
          `The settings require a sandbox for agents, but there is none: ${found.why}. Install what is missing, or set ` +
          "AUTOMAGIK_WORKFLOWS_ENGINE_SANDBOX to auto or off.";
      } else {
        options.log.warn(
          `Commands of agents run without a sandbox: ${found.why}. You are asked about them, but they are not confined.`,
        );
      }
    },
  };
}
