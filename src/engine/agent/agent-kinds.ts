import { codex } from "./acp/codex.js";
import type { AgentKind } from "./agent-kind.js";
import { claude } from "./claude/claude.js";

/** All kinds of agents that the engine knows, the usual one first. */
export const AGENT_KINDS: readonly AgentKind[] = [claude, codex];

/** Where the settings say that a kind's program is; undefined for the kind's own, on the PATH. */
export function configuredPath(
  { name }: Pick<AgentKind, "name">,
  settings: { claudePath?: string | undefined; codexAcpPath?: string | undefined } | undefined,
): string | undefined {
  return name === "claude" ? settings?.claudePath : settings?.codexAcpPath;
}
