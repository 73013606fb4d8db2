import type { RunQuestion } from "../runs/run.js";

/** Tokens. */
export interface Usage {
  /** Everything that was put before the model, cached or not. */
  input: number;
  output: number;
}

/** What an agent's process tells while it works. */
export type AgentEvent =
  | { type: "init"; sessionId: string; model?: string; tools: string[] }
  /** The model has begun another answer; counted within this process, sub-agents left out. */
  | { type: "turn"; turn: number }
  /** What it does now, on one line: a tool call, or the first line of what it says; `detail`: the call, where the agent has said what it is for. */
  | { type: "action"; text: string; toolName?: string; detail?: string }
  /** What a command has printed, its middle left out where it is long; `failed`: it did not succeed. */
  | { type: "output"; text: string; failed?: true }
  /** A tool is called, by the agent or by one of its sub-agents. */
  | { type: "tool"; name: string }
  /** Running totals of this process. Between results the output is a lower bound: answers are counted when begun. */
  | ({ type: "tokens" } & Usage)
  /** What this process has cost so far, in USD, asked for at a turn. Roundly: a result brings the exact sum. */
  | { type: "cost"; usd: number }
  /** All of what the agent says in one go. */
  | { type: "text"; text: string }
  /** A message that was sent into the running work is before the model now. */
  | { type: "consumed"; messageId?: string }
  /** An entry of the agent's own list of things to do is done. */
  | { type: "phase"; name: string }
  | { type: "question"; question: RunQuestion }
  /** The question needs no answer any more: the agent was interrupted, or has ended. */
  | { type: "question_withdrawn"; questionId: string }
  /** The person's answer to another question answers this one, too. */
  | { type: "question_settled"; questionId: string; answer: string }
  /** The kinds of all that works in the background now: commands (`local_bash`), sub-agents and others. */
  | { type: "background"; tasks: string[] }
  /** A request was worked off. May come more than once: messages and background work open further turns. */
  | {
      type: "result";
      ok: boolean;
      subtype: string;
      text?: string;
      /** Turns of this process so far. */
      turns?: number;
      /** What this process has cost so far, in USD, by list prices. */
      costUsd?: number;
      /** Exact totals of this process so far. */
      tokens?: Usage;
      errors?: string[];
      /** Why the model's API did not answer, in the agent's own word for it: `billing_error`, `rate_limit` … */
      cause?: string;
    }
  /** Something in the stream could not be understood and was passed over; for the log. */
  | { type: "problem"; text: string }
  /** The process has ended and nothing that it started is left. Always the last event. */
  | AgentExit;

export interface AgentExit {
  type: "exit";
  code: number | null;
  signal: string | null;
  /** The end of what it wrote to stderr, fit to be shown, at most 2000 characters. */
  stderr: string;
}
