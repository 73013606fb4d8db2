import type { WorkflowsServer } from "../../src/server/server.js";
import type { SeenCall, Word } from "./observed.js";
import type { Random } from "./random.js";
import type { Sabotage } from "./sabotage.js";
import type { CallStep, Sequence } from "./sequence.js";
import type { SteadyTime } from "./steady-time.js";

/** A tool and its arguments. */
export interface Asked {
  name: string;
  arguments: Record<string, unknown>;
}

/** What a client holds in its hands when a call is over. */
export interface Told {
  content?: unknown;
  structuredContent?: unknown;
  isError?: unknown;
  [field: string]: unknown;
}

/** A client's conversation with the server, on whichever protocol. */
export interface Chat {
  /** Opens it, and learns the tools. */
  open(server: WorkflowsServer): Promise<void>;
  /**
   * Makes one call, with all that it takes: forms, further rounds, a task. What happens in it is written into `call`.
   * @returns undefined when the client has left it going on
   * @throws what the client's library throws
   */
  call(asked: Asked, how: CallHow): Promise<Told | undefined>;
  readResource(uri: string): Promise<unknown>;
  listResources(): Promise<unknown>;
  /** Wants to be told of changes of the resource. */
  subscribe(uri: string): Promise<unknown>;
  complete(typed: string): Promise<unknown>;
  /** The server is about to end for good: what it refuses from now on is no fault. */
  expectEnd(): void;
  close(): Promise<void>;
}

export interface CallHow {
  call: SeenCall;
  step: CallStep;
  /** Ends when the client calls it off. */
  signal: AbortSignal;
  /** How long one request may take, in real ms. */
  timeoutMs: number;
}

/** What a chat is made of. */
export interface ChatOptions {
  seed: number;
  sequence: Sequence;
  random: Random;
  sabotage: Sabotage;
  key: string;
  time: SteadyTime;
  /** How long the server leaves forms open, in real ms. */
  formTimeMs: number;
  /** What a busy machine may add to a bound, in real ms. */
  slackMs: number;
  /** Takes down which rules were broken. */
  note(found: readonly string[]): void;
  words: Word[];
  /** How often the client did what it does beside plain calls. */
  deeds: Record<string, number>;
  trace(line: string): void;
  /** The server's process ends, and another one takes its place. */
  restartServer(): Promise<void>;
}
