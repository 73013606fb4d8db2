import type { Clock } from "../../shared/clock.js";
import type { RunPolicy } from "../permissions/run-policy.js";
import type { AgentEvent } from "./events.js";
import { asRecord, asText, type JsonRecord } from "./json.js";
import type { AgentAnswer, NewRequest, OpenRequest } from "./open-request.js";
import { readOwnQuestions } from "./own-questions.js";
import { ALLOW_ONCE, ALLOW_RUN, createPermissionQuestions } from "./permission-questions.js";

/** The agent's requests that wait for a person. */
export interface AgentQuestions {
  /** The agent's `control_request`. True when it was one for us. */
  ask(requestId: string, request: JsonRecord): boolean;
  /** The agent's `control_cancel_request`. */
  cancel(requestId: string): void;
  answer(questionId: string, answer: AgentAnswer): void;
  withdrawAll(): void;
  /** How many requests are open. */
  open(): number;
}

/**
 * Turns the agent's requests into questions for the person and their answers into responses. Nothing is ever allowed
 * but what `policy` allows, or what the person allowed, here or earlier in the same run.
 * @param options.policy what needs no question; without it everything is asked
 * @param options.respond sends the `response` part of a control response
 * @param options.who how the agent is called in questions
 */
export function createAgentQuestions(options: {
  cwd: string;
  clock: Clock;
  who: string;
  policy?: RunPolicy | undefined;
  emit: (event: AgentEvent) => void;
  respond: (requestId: string, response: JsonRecord) => void;
}): AgentQuestions {
  const { clock, emit, respond } = options;
  const permissions = createPermissionQuestions({ ...options, now: clock.now });
  const requests = new Map<string, OpenRequest>();

  function open({ request, questions }: NewRequest): void {
    requests.set(request.requestId, request);
    for (const question of questions) emit({ type: "question", question });
  }

  /**
   * "Allow for this run" of one of several open requests is the answer to all that are the same: a burst of them is
   * one decision. "Allow once" and "Deny" are about the one request only.
   */
  function settleSame(answered: OpenRequest): void {
    for (const other of [...requests.values()]) {
      const [questionId] = other.questionIds;
      if (!questionId || !other.same?.some((one) => answered.same?.includes(one))) continue;
      const response = other.answer(questionId, { text: ALLOW_RUN });
      if (!response) continue;
      requests.delete(other.requestId);
      respond(other.requestId, response);
      emit({ type: "question_settled", questionId, answer: ALLOW_RUN });
    }
  }

  function withdraw(request: OpenRequest): void {
    requests.delete(request.requestId);
    for (const questionId of request.questionIds) emit({ type: "question_withdrawn", questionId });
  }

  return {
    ask(requestId, request) {
      const toolName = asText(request.tool_name);
      if (request.subtype !== "can_use_tool" || !toolName) return false;
      const own =
        toolName === "AskUserQuestion"
          ? readOwnQuestions(requestId, asRecord(request.input), clock.now())
          : undefined;
      const read = own ?? permissions.read(requestId, toolName, request);
      if ("response" in read) respond(requestId, read.response);
      else open(read);
      return true;
    },
    cancel(requestId) {
      const request = requests.get(requestId);
      if (request) withdraw(request);
    },
    answer(questionId, answer) {
      const request = [...requests.values()].find((one) => one.questionIds.includes(questionId));
      const response = request?.answer(questionId, answer);
      if (!request || !response) return;
      requests.delete(request.requestId);
      respond(request.requestId, response);
      if (request.same && response.behavior === "allow" && answer.text.trim() !== ALLOW_ONCE)
        settleSame(request);
    },
    withdrawAll() {
      for (const request of [...requests.values()]) withdraw(request);
    },
    open: () => requests.size,
  };
}
