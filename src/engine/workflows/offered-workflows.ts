import type { Agents } from "../engine-options.js";
import type { EngineWorkflow } from "../types.js";
import { agentOf } from "./models.js";
import type { WorkflowLibrary } from "./workflow-library.js";

/**
 * The workflows that are offered: of those that came with the engine only those whose agent is there, and kept out by no setting.
 * @param agents undefined where all agents count as there
 */
export async function listOffered(
  library: Pick<WorkflowLibrary, "list">,
  agents: Pick<Agents, "isOffered"> | undefined,
): Promise<EngineWorkflow[]> {
  const all = await library.list();
  const isOffered = await Promise.all(
    all.map(async (one) => !agents || !one.shipped || (await agents.isOffered(agentOf(one)))),
  );
  return all.filter((_, index) => isOffered[index]);
}
