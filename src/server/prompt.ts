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

/**
 * What is said where a free text came as one word: clients such as Claude Code split what is typed behind a prompt's name
 * at the spaces, one word an argument, and leave out the rest.
 */
export function tellSplit(argument: string, value: string | undefined): string {
  if (!value || /\s/.test(value.trim())) return "";
  return `Your client may have cut what I typed behind the prompt's name into one word an argument: where I typed more words, all of them together are the ${argument}, and no other argument was meant.`;
}
