import type { EngineWorkflow } from "../types.js";

/** The names by which Claude Code (`--model`; 2.1.332) takes its newest models, whatever those are called in full. */
const ALIASES = ["sonnet", "opus", "haiku", "fable", "best", "opusplan"] as const;
/** The same with a context of a million tokens. */
const LARGE = ["sonnet[1m]", "opus[1m]", "fable[1m]"] as const;

/** Models that a run of the workflow may be told to use: those that it names, else those that Claude Code has names for. */
export function allowedModels({ model, models }: Pick<EngineWorkflow, "model" | "models">): string[] {
  return [...new Set([...(models ?? [...ALIASES, ...LARGE]), ...(model === undefined ? [] : [model])])];
}
