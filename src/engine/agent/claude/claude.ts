import type { AgentKind } from "../agent-kind.js";
import { startAgent, TITLE } from "./claude-agent.js";
import { findClaude } from "./find-claude.js";

/** The names by which Claude Code (`--model`; 2.1.332) takes its newest models, whatever those are called in full. */
const ALIASES = ["sonnet", "opus", "haiku", "fable", "best", "opusplan"];
/** The same with a context of a million tokens. */
const LARGE = ["sonnet[1m]", "opus[1m]", "fable[1m]"];

/** Claude Code, over its own stream-json. */
export const claude: AgentKind = {
  name: "claude",
  title: TITLE,
  login: "Run `claude` in a terminal and log in, or correct ANTHROPIC_API_KEY where the engine is started",
  models: [...ALIASES, ...LARGE],
  capabilities: {
    resume: true,
    chosenSessionId: true,
    messages: "now",
    questions: true,
    tellsCost: true,
    turnLimit: "agent",
    costLimit: true,
    rules: "enforced",
    disallowedTools: true,
    sandbox: true,
    outputSchema: true,
    mcpServers: true,
    tellsSuccess: true,
    edits: "yes",
  },
  find: findClaude,
  start: startAgent,
};
