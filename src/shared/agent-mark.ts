/**
 * The environment variable that marks everything an agent starts. The real agent gives each of its commands a session
 * of its own, and what a command leaves in the background has no living parent: neither the process group nor the
 * parents lead to it, but it has inherited the environment.
 */
export const MARK_NAME = "WORKFLOW_AGENT_MARK";

/**
 * Why this program does nothing where it is; undefined when it was not started by an agent of the engine. An agent
 * that reached the engine would start paid runs and answer its own questions.
 */
export function refuseInsideAgent(env: NodeJS.ProcessEnv): string | undefined {
  if (!env[MARK_NAME]) return undefined;
  return (
    "Refused: this was started by an agent of the workflows engine. Agents cannot start, steer or answer runs. " +
    "Nothing was done."
  );
}
