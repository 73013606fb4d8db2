import type { AgentOptions } from "../agent-process.js";
import type { KindVariables } from "../environment.js";
import type { JsonRecord } from "../json.js";

/** Why a turn has ended that the agent calls well ended, or what it says of a failure. */
export interface TurnFailure {
  /** In the agent's words, on one line and bounded. */
  text: string;
  /** In the words of `end-reasons.ts`, where there is one for it. */
  cause?: string | undefined;
}

/** How a conversation stands. */
export interface ConversationState {
  /** Its model has not answered. */
  failed: boolean;
  /** The last reason for that, in the words of `end-reasons.ts`. */
  cause?: string | undefined;
}

/** In what one agent differs from the others that speak the Agent Client Protocol. */
export interface AcpProfile {
  /** How a person calls it: "Codex". */
  title: string;
  /** What it needs of the environment, and what its program is started with. */
  variables: (options: AgentOptions) => KindVariables;
  /** Why it must not be started in this workspace; undefined where it may. */
  refuse?: (options: AgentOptions) => string | undefined;
  /** The mode that a conversation has to be in before it is given anything to do. */
  mode: (options: AgentOptions) => string;
  /**
   * It has a model think of a title for a conversation that has none, with the person's own settings: so each gets one.
   */
  titlesByModel: boolean;
  /** Folders beside the workspace that it may write to without asking. */
  folders: (options: AgentOptions) => string[];
  /** A message as the model is to get it: some beginnings would make it a command to the program. */
  asText: (message: string) => string;
  /** The request by which a message is put into a turn that goes on; left out where there is none. */
  steering?: { method: string; meta: JsonRecord };
  /** Options of a refusal after which the turn goes on; after any other one it ends as cancelled. */
  mildRefusals: readonly string[];
  /** Commands outlive the cancelling of the turn that has started them. */
  commandsOutliveCancel: boolean;
  /** Whether the text is what the model says, and not the program. */
  isOfModel: (update: JsonRecord) => boolean;
  /** It tells with each answer of the model what that has used, and of some answers nothing else. */
  usageOfEachAnswer: boolean;
  /** How the conversation stands, where an update tells it. */
  readState: (update: JsonRecord) => Partial<ConversationState> | undefined;
  /** What the data of an error, or else its text, mean in the words of `end-reasons.ts`. */
  causeOf: (data: unknown, text: string) => string | undefined;
}
