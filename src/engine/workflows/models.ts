import type { AboutKind } from "../agent/agent-kind.js";
import { type AgentName, USUAL_AGENT } from "../agent/agent-name.js";
import type { EngineWorkflow } from "../types.js";

/** The kind of agent that carries a workflow out, unless a start names another one. */
export function agentOf({ agent }: Pick<EngineWorkflow, "agent">): AgentName {
  return agent ?? USUAL_AGENT;
}

/**
 * Models that a run of the workflow may be told to use: those that it names, else those that its agent has names for.
 * What it names is for its own agent only.
 */
export function allowedModels(
  workflow: Pick<EngineWorkflow, "agent" | "model" | "models">,
  kind: Pick<AboutKind, "name" | "models">,
): string[] {
  if (kind.name !== agentOf(workflow)) return [...kind.models];
  const { model, models = kind.models } = workflow;
  return [...new Set([...models, ...(model === undefined ? [] : [model])])];
}
