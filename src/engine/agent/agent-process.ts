import type { Clock } from "../../shared/clock.js";
import type { RunPolicy } from "../permissions/run-policy.js";
import type { QueuedMessage } from "../runs/run.js";
import type { EngineWorkflow, McpServer } from "../types.js";
import type { AgentEvent, AgentExit } from "./events.js";
import type { JsonRecord } from "./json.js";
import type { AgentAnswer } from "./open-request.js";

/** What an agent may do, as far as its kind can be held to it. */
interface AgentRules {
  /** In the notation of workflows. */
  allowedTools: string[];
  disallowedTools: string[];
  permissionMode: EngineWorkflow["permissionMode"];
  /** Runs the hooks of the person's own settings and plugins, too. Off unless asked for. */
  personHooks?: boolean;
  /** Absolute paths of files or folders of instructions (CLAUDE.md, rules) that the agent must not load. */
  excludedInstructions?: string[];
  /** Its commands run in this sandbox; without it they run as the engine does. */
  sandbox?: { weaker: boolean } | undefined;
  /** Absolute paths that the agent's own tools neither read nor write, whatever a workflow allows. */
  privatePaths?: readonly string[];
}

/** What any kind of agent is started with. */
export interface AgentOptions extends AgentRules {
  /** The program, or a script for this Node. */
  path: string;
  /** Options that this version of the program should be started with. */
  extraArgs?: string[];
  cwd: string;
  /** Folders beside it that are the agent's own to write to: that of its handover note. Absolute. */
  ownFolders?: string[];
  prompt: string;
  /** Goes beside the agent's own instructions. */
  systemPrompt?: string;
  /** The conversation: a new one is given this id where the kind takes it, with `resume` it must exist. */
  sessionId: string;
  resume: boolean;
  maxTurns?: number;
  /** For this process alone, also when it continues a conversation. */
  maxBudgetUsd?: number;
  model?: string;
  /** What it has to give at its end, as a JSON Schema of an object. */
  outputSchema?: JsonRecord;
  /** The only MCP servers that the agent gets, by name. */
  mcpServers?: Record<string, McpServer>;
  env: NodeJS.ProcessEnv;
  /** Variables that the agent gets although their names are those of credentials: see `buildEnvironment`. */
  passedVariables?: readonly string[];
  clock: Clock;
  /** Tells all that the agent starts from other processes, see `agentMark`. Default: a random one. */
  mark?: string;
  /** How the agent is called in its requests for permission: "implement wants to run …". Default "The agent". */
  name?: string;
  /** What it may do without a question; without it everything that it asks for is asked. */
  policy?: RunPolicy | undefined;
}

export interface AgentProcess {
  /** 0 when the program could not be started; the exit event says why. */
  pid: number;
  /** Identifies the process beyond its pid, and what it has started: see `endLeftover`. */
  processStart: string;
  /** Writes a message into the running work. False when nobody will read it any more. */
  send(message: Pick<QueuedMessage, "id" | "type" | "content">): boolean;
  /**
   * Answers a question; one that is not open any more is passed over.
   * @returns whether the agent goes on by it: not while further questions of the same request are open
   */
  answer(questionId: string, answer: AgentAnswer): boolean;
  /** From now on the agent gets no answers: they are taken, and kept until `letGo`. */
  hold(): void;
  /** Gives the agent the answers that were kept. */
  letGo(): void;
  /** Something of the agent works although a question is open: another sub-agent, as far as its output tells. */
  worksBeside(): boolean;
  /** Stops what the agent does at the moment. False when it did not say that it has. */
  interrupt(): Promise<boolean>;
  /**
   * No further message will come: the process ends when it has worked off what it has. While a question is open, or
   * something works in the background that may ask one, the input stays open too: the agent takes its end for a refusal.
   */
  end(): void;
  /**
   * Interrupts (not with `force`), ends the process and everything that it has started, and resolves when nothing is
   * left. A call with `force` cuts the grace of an earlier one short.
   */
  kill(options: { force: boolean; graceMs: number }): Promise<void>;
  exited: Promise<AgentExit>;
}

export type StartAgent = (options: AgentOptions, onEvent: (event: AgentEvent) => void) => AgentProcess;
