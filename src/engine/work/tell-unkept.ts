import { cleanLine } from "../../shared/text.js";
import { formatUsd } from "../../shared/usd.js";
import type { AboutKind } from "../agent/agent-kind.js";
import type { EngineLimits } from "../engine-options.js";
import type { RunRequest } from "../runs/run.js";
import type { EngineWorkflow } from "../types.js";

/** Limits of cost that hold for a run, with the settings that they come from. */
type CostLimits = Pick<EngineLimits, "costLimitUsd" | "costLimitPerDayUsd" | "costLimitPerDayAndCallerUsd">;

/** Of what a workflow disallows so many rules are named. */
const RULES_TOLD = 3;

/**
 * What a run must not do, or cost, and its agent cannot be held to: it is not started then, since a rule that nobody
 * keeps is worse than none.
 * @returns the reason and what to do, as sentences for the person; undefined where all is kept
 */
export function tellUnkept(
  kind: AboutKind,
  run: { workflow: EngineWorkflow; request: RunRequest; limits: CostLimits },
): string | undefined {
  const problem =
    tellTools(kind, run.workflow) ?? tellTurns(kind, run.request) ?? tellCost(kind, run.request, run.limits);
  return problem && `${problem} Nothing was started.`;
}

function tellTools({ title, capabilities }: AboutKind, workflow: EngineWorkflow): string | undefined {
  const { name, disallowedTools, mcpServers = {} } = workflow;
  const elsewhere = `Use another agent, or a workflow without`;
  if (disallowedTools.length > 0 && !capabilities.disallowedTools) {
    const more = disallowedTools.length > RULES_TOLD ? ", …" : "";
    const rules = cleanLine(disallowedTools.slice(0, RULES_TOLD).join(", "), 200) + more;
    return `The workflow '${name}' disallows tools (${rules}), and ${title} cannot be held to that. ${elsewhere} \`disallowedTools\`.`;
  }
  if (Object.keys(mcpServers).length > 0 && !capabilities.mcpServers)
    return `The workflow '${name}' has MCP servers, and ${title} is given none by the engine. ${elsewhere} \`mcpServers\`.`;
  return undefined;
}

function tellTurns({ title, capabilities }: AboutKind, { maxTurns }: RunRequest): string | undefined {
  if (maxTurns === undefined || capabilities.turnLimit !== "no") return undefined;
  return `${title} does not tell its turns, so the limit of ${maxTurns} cannot be kept. Start it without \`max_turns\`.`;
}

function tellCost(
  { title, capabilities }: AboutKind,
  { costLimitUsd }: RunRequest,
  limits: CostLimits,
): string | undefined {
  if (capabilities.costLimit) return undefined;
  const set: [limitUsd: number | undefined, what: string, how: string][] = [
    [costLimitUsd, "a run", "Start it without a cost limit"],
    [limits.costLimitUsd, "a run", tellUnset("ENGINE_COST_LIMIT")],
    [limits.costLimitPerDayUsd, "a day", tellUnset("ENGINE_COST_LIMIT_PER_DAY")],
    [limits.costLimitPerDayAndCallerUsd, "a caller's day", tellUnset("ENGINE_COST_LIMIT_PER_DAY_AND_CALLER")],
  ];
  const [limitUsd, what, how] = set.find(([usd]) => usd !== undefined) ?? [];
  if (limitUsd === undefined) return undefined;
  return `${title} does not tell what it costs, so the limit of ${formatUsd(limitUsd)} for ${what} cannot be kept. ${how}, or use another agent.`;
}

const tellUnset = (variable: string) => `Unset AUTOMAGIK_WORKFLOWS_${variable}`;
