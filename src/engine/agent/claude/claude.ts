import type { AgentKind } from "../agent-kind.js";
import { startAgent } from "./claude-agent.js";
import { findClaude } from "./find-claude.js";

/** Claude Code, over its own stream-json. */
export const claude: AgentKind = {
  name: "claude",
  title: "Claude Code",
  capabilities: {
    resume: true,
    chosenSessionId: true,
    messages: "now",
    questions: true,
    tellsCost: true,
    limits: { turns: true, budget: true },
    rules: "enforced",
    disallowedTools: true,
    sandbox: true,
    outputSchema: true,
    mcpServers: true,
    edits: "yes",
  },
  find: findClaude,
  start: startAgent,
};
