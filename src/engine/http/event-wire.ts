import type { Whose } from "../../shared/whose.js";
import type { StoredEvent } from "../runs/run-store.js";
import { toAnswerer, toContractStatus } from "./run-wire.js";

/** An event as streams tell it. */
interface EventWire {
  type: string;
  data: unknown;
}

const TOLD: { [Type in StoredEvent["type"]]?: (event: StoredEvent) => EventWire } = {
  accepted: ({ status }) => ({ type: "status", data: { status: toContractStatus(status) } }),
  started: ({ status }) => ({ type: "status", data: { status: toContractStatus(status) } }),
  turn: ({ data }) => ({ type: "turn", data: { turn: data.turn } }),
  action: ({ data }) => ({
    type: "action",
    data: { action: data.text, turn: data.turn, detail: data.detail ?? null },
  }),
  output: ({ data }) => ({ type: "output", data: { text: data.text, failed: data.failed === true } }),
  phase: ({ data }) => ({ type: "phase", data: { phase: data.name } }),
  "message-added": ({ data }) => {
    const { id, content } = data.message as { id: string; content: string };
    return { type: "message", data: { added: id, content } };
  },
  "message-taken": ({ data }) => ({ type: "message", data: { taken: data.messageId ?? null } }),
  "message-withdrawn": ({ data }) => ({ type: "message", data: { withdrawn: data.messageId } }),
  "question-asked": ({ data }) => {
    const { questionId, text } = data.question as { questionId: string; text: string };
    return { type: "question", data: { question_id: questionId, text } };
  },
  "question-closed": ({ data }) => ({
    type: "answered",
    data: {
      question_id: data.questionId,
      by: data.by,
      answer: data.answer ?? null,
      ...(data.whose ? { answerer: toAnswerer(data.whose as Whose) } : {}),
    },
  }),
  "slot-given-up": () => ({ type: "slot", data: { has_slot: false } }),
  "slot-taken": () => ({ type: "slot", data: { has_slot: true } }),
  result: ({ data }) => ({ type: "result", data: { ok: data.ok } }),
  ended: ({ status }) => ({
    type: "finished",
    data: {
      status: toContractStatus(status),
      ...(status === "interrupted" ? { error_code: "interrupted" } : {}),
    },
  }),
  resumed: ({ data }) => ({ type: "resumed", data: { by: data.by } }),
  "not-resumed": ({ data }) => ({ type: "resumed", data: { by: null, reason: data.why } }),
  "work-changed": () => ({ type: "work", data: {} }),
  "cleaned-up": ({ data }) => ({ type: "cleanup", data: { removed: data.removed } }),
};

/** The event in the words of the API; undefined for what only matters inside. */
export function toEventWire(event: StoredEvent): EventWire | undefined {
  // A kill that was asked for before the run had begun is its end.
  if (event.type === "kill-asked" && event.status === "killed")
    return { type: "finished", data: { status: "killed" } };
  return TOLD[event.type]?.(event);
}
