import type { RunQuestion } from "../runs/run.js";
import type { JsonRecord } from "./json.js";

/** A person's answer to a question of a run. */
export interface AgentAnswer {
  /**
   * For permissions one of the choices that were offered; any other text refuses and tells the agent why. For the
   * agent's own questions the chosen values, joined by ", ", or free text.
   */
  text: string;
  /** Nobody has answered: what the agent is told instead. A permission is then refused. */
  timedOut?: string | undefined;
}

/** A request of the agent that waits for a person. */
export interface OpenRequest {
  requestId: string;
  /** The tool call that it is about, where the agent tells it. */
  callId?: string | undefined;
  /** Its questions that have no answer yet. */
  questionIds: string[];
  /** For permissions: keys of what it asks for. "Allow for this run" also answers requests that share one of them. */
  same?: string[];
  /** The response to the agent; undefined while further questions of the same request are open. */
  answer(questionId: string, answer: AgentAnswer): JsonRecord | undefined;
}

/** A request with the questions that the person is asked. */
export interface NewRequest {
  request: OpenRequest;
  questions: RunQuestion[];
}
