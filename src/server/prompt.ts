import type { Completes } from "./completions.js";
import type { ProjectStep } from "./tools/output.js";

/** A prompt as it is published, free of any framework. */
export interface PromptDefinition {
  name: string;
  description: string;
  arguments: readonly { name: string; description: string; required: boolean; completes?: Completes }[];
  /** The text for the agent, in the names of the published tools. */
  write(args: Record<string, string | undefined>, project: ProjectStep): string;
}

/** "orchestrate_workflow {…}": a call as a model should make it; undefined when the API does not offer it. */
export function call(
  project: ProjectStep,
  action: string,
  args: Record<string, unknown>,
): string | undefined {
  const step = project({ action, arguments: args, reason: "" });
  if (!step) return undefined;
  return `\`${step.tool}\` with \`${JSON.stringify(step.arguments)}\``;
}
