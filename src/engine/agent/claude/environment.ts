import type { KindVariables } from "../environment.js";

/** What Claude Code needs of the environment. */
export const CLAUDE_VARIABLES: KindVariables = {
  access: /^(anthropic|claude)_/i,
  clouds: [
    { names: /^aws_/i, switches: ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_MANTLE"] },
    { names: /^(google|gcloud|cloud_ml|vertex)_/i, switches: ["CLAUDE_CODE_USE_VERTEX"] },
    { names: /^azure_/i, switches: ["CLAUDE_CODE_USE_FOUNDRY"] },
  ],
  defaults: {
    // Its list of things to do is what the phases of a run are read from; newer models have it off.
    CLAUDE_CODE_ENABLE_TODO_TOOLS: "1",
    // An update during a run would replace the program while it is in use.
    DISABLE_AUTOUPDATER: "1",
  },
  fixed: {
    CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD: "1",
    // "@/path" and "@~/file" in a message would send that file to the model, and nobody is asked.
    CLAUDE_CODE_DISABLE_ATTACHMENTS: "1",
  },
};
