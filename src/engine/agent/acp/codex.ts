import type { AgentKind } from "../agent-kind.js";
import { acp } from "./acp-agent.js";
import { codexProfile } from "./codex-profile.js";
import { findCodex, isCodexInstalled } from "./find-codex.js";

/** Codex, by the Agent Client Protocol. */
export const codex: AgentKind = {
  name: "codex",
  title: codexProfile.title,
  login: "Run `codex login` in a terminal",
  models: [],
  capabilities: {
    resume: true,
    chosenSessionId: false,
    messages: "now",
    questions: true,
    tellsCost: false,
    turnLimit: "engine",
    costLimit: false,
    rules: "asked",
    disallowedTools: false,
    sandbox: false,
    outputSchema: false,
    mcpServers: true,
    tellsSuccess: false,
    edits: "preview",
  },
  isInstalled: isCodexInstalled,
  find: findCodex,
  start: acp(codexProfile),
};
