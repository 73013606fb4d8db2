/** The kinds of agents, as workflows and starts name them; the first one carries out whatever names none. */
export const AGENT_NAMES = ["claude", "codex"] as const;
export type AgentName = (typeof AGENT_NAMES)[number];
export const USUAL_AGENT: AgentName = AGENT_NAMES[0];
