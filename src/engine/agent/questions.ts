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
  /** @returns whether the agent has, or has as soon as it is not held, all that the question's request waits for */
  answer(questionId: string, answer: AgentAnswer): boolean;
  withdrawAll(): void;
  /** How many requests are open, or have answers that are kept. */
  open(): number;
  /** The tool calls that open requests are about; undefined for one that does not tell. */
  calls(): (string | undefined)[];
  /** Keeps answers of the person until `letGo`. */
  hold(): void;
  letGo(): void;
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
  const { clock, emit } = options;
  const permissions = createPermissionQuestions({ ...options, now: clock.now });
  const requests = new Map<string, OpenRequest>();
  let isHeld = false;
  /** Answers of the person that the agent gets when it is let go, by their requests. */
  const kept = new Map<string, JsonRecord>();

  function respond(requestId: string, response: JsonRecord): void {
    if (isHeld) kept.set(requestId, response);
    else options.respond(requestId, response);
  }

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
      // What needs no person is not kept: whoever asks is at work.
      if ("response" in read) options.respond(requestId, read.response);
      else open({ ...read, request: Object.assign(read.request, { callId: asText(request.tool_use_id) }) });
      return true;
    },
    cancel(requestId) {
      kept.delete(requestId);
      const request = requests.get(requestId);
      if (request) withdraw(request);
    },
    answer(questionId, answer) {
      const request = [...requests.values()].find((one) => one.questionIds.includes(questionId));
      const response = request?.answer(questionId, answer);
      if (!request || !response) return false;
      requests.delete(request.requestId);
      respond(request.requestId, response);
      if (request.same && response.behavior === "allow" && answer.text.trim() !== ALLOW_ONCE)
        settleSame(request);
      return true;
    },
    withdrawAll() {
      kept.clear();
      for (const request of [...requests.values()]) withdraw(request);
    },
    open: () => requests.size + kept.size,
    calls: () => [...requests.values()].map(({ callId }) => callId),
    hold() {
      isHeld = true;
    },
    letGo() {
      isHeld = false;
      for (const [requestId, response] of kept) options.respond(requestId, response);
      kept.clear();
    },
  };
}
