import type { AgentName } from "./agent-name.js";
import type { StartAgent } from "./agent-process.js";

/** What a kind of agent can do, and what it can be held to. */
export interface AgentCapabilities {
  /** Another process can go on with a conversation. */
  resume: boolean;
  /** A new conversation gets the id that it is given. */
  chosenSessionId: boolean;
  /** When a message that comes while it works is before the model. */
  messages: "now" | "next turn" | "no";
  /** It can ask the person something of its own accord. */
  questions: boolean;
  /** It tells what it has cost, in USD. */
  tellsCost: boolean;
  /** Who keeps the turn limit of a run: the program itself, or the engine by counting; nobody, where no turn is told. */
  turnLimit: "agent" | "engine" | "no";
  /** It keeps a cost limit by itself. */
  costLimit: boolean;
  /** Rules for its tools are kept whatever it does, or are judged where it asks for permission. */
  rules: "enforced" | "asked";
  /** What a workflow disallows is out of its reach. */
  disallowedTools: boolean;
  /** The sandbox of the engine's settings is around its commands. */
  sandbox: boolean;
  /** It can be given a schema of what it has to give. */
  outputSchema: boolean;
  /** It takes the MCP servers of a workflow. */
  mcpServers: boolean;
  /** Its result tells that the work has succeeded; else what its workflow names has to speak for it. */
  tellsSuccess: boolean;
  /** Whether it is there for work that changes files. */
  edits: "yes" | "preview" | "no";
}

/** What the engine has to know of a kind to take a run on. */
export type AboutKind = Pick<AgentKind, "name" | "title" | "login" | "models" | "capabilities">;

/** An agent's program with the options that it should be started with, or what is wrong and what to do. */
export type FoundAgent =
  | {
      ok: true;
      path: string;
      version?: string;
      extraArgs?: string[];
      /** Variables that it should be started with. */
      env?: Record<string, string>;
      takesSchema?: boolean;
    }
  | { ok: false; problem: string };

/** Where an agent's program is looked for. */
export interface AgentPlace {
  /** Path or command name from the settings; default: the kind's own, on the PATH. */
  configured?: string;
  /** What its environment is made of: it is started with what agents get of it, and with nothing else. */
  env: NodeJS.ProcessEnv;
  /** Variables that agents get although their names are those of credentials: see `buildEnvironment`. */
  passedVariables?: readonly string[] | undefined;
  platform?: NodeJS.Platform;
}

/** One kind of agent: a program of this machine, and how the engine works with it. */
export interface AgentKind {
  name: AgentName;
  /** As people call it. */
  title: string;
  /** What to do where it is not logged in, as the beginning of a sentence: "Run `claude` in a terminal and log in". */
  login: string;
  /** The names by which anybody may have it use another model; others have to be named by the workflow. */
  models: readonly string[];
  capabilities: AgentCapabilities;
  /** Whether the program is there, which takes no start of it; left out for a kind that is always offered. */
  isInstalled?(place: AgentPlace): Promise<boolean>;
  /**
   * Looks for the program, and whether it can work, without asking a model.
   */
  find(place: AgentPlace): Promise<FoundAgent>;
  start: StartAgent;
}
