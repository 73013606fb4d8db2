import type { Clock } from "../../shared/clock.js";
import type { RunPolicy } from "../permissions/run-policy.js";
import type { QueuedMessage } from "../runs/run.js";
import type { AgentEvent, AgentExit } from "./events.js";
import type { LaunchOptions } from "./launch.js";
import type { AgentAnswer } from "./open-request.js";

export interface AgentOptions extends LaunchOptions {
  prompt: string;
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
   * left. A call with `force` hurries an earlier one.
   */
  kill(options: { force: boolean; graceMs: number }): Promise<void>;
  exited: Promise<AgentExit>;
}

export type StartAgent = (options: AgentOptions, onEvent: (event: AgentEvent) => void) => AgentProcess;
