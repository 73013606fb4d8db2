import type { PlanPort } from "./port.js";

/**
 * The world outside for a process that may have been replaced meanwhile, as one that was stopped and goes on: whatever
 * is done there beside starts, which ask for themselves, is done by the plan's owner only. What is not done is no failure:
 * the other one does it.
 * @param isOurs asked right before; it may throw, and nothing is done then
 */
export function guardPort(port: PlanPort, isOurs: () => Promise<boolean>): PlanPort {
  return {
    ...port,
    async openGate(command, state) {
      if (await isOurs()) await port.openGate(command, state);
    },
    async merge(command, how, signal) {
      if (await isOurs()) return port.merge(command, how, signal);
      return { kind: "not-now", reason: "Another process carries the plan out." };
    },
    async openPullRequest(command, text, signal) {
      if (await isOurs()) return port.openPullRequest(command, text, signal);
      return { kind: "not-now", reason: "Another process carries the plan out." };
    },
    async kill(runId, force) {
      if (await isOurs()) await port.kill(runId, force);
    },
  };
}
