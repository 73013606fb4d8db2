import { ActionError, type Answer } from "../actions/answer.js";
import { answerAction } from "../actions/answer-question.js";
import type { Call, Services } from "../actions/define-action.js";
import { ApiError } from "../api/errors.js";
import type { NeedView } from "../dashboard/views/needs.js";
import { asSentence, cleanLine } from "../shared/text.js";
import type { OutsideService } from "../shared/whose.js";

/** What has come of an answer: whether it counts, in a sentence; `again`: nobody knows yet. */
export type Applied = { done: string; counts: boolean } | { again: string };

/**
 * Gives an answer as a call does in which the person has agreed to it: they have seen all of it, and pressed the button.
 * @param given.answer as the action `answer` takes it
 * @param given.person as the service names them
 */
export async function applyAnswer(
  need: NeedView,
  given: { answer: string; person: string; service: OutsideService },
  services: Services,
  signal: AbortSignal,
): Promise<Applied> {
  const { answer, person, service } = given;
  const call: Call = {
    forms: { supported: true, ask: async () => ({ kind: "accepted", values: { confirm: "yes" } }) },
    signal,
    isStopping: () => signal.aborted,
    wantsProgress: false,
    progress() {},
    clientName: service,
    outside: service,
    person,
    follows() {},
    localFolders: async () => [],
  };
  try {
    const told = await answerAction.handle({ ...need.call?.arguments, answer }, call, services);
    if (told.outcome === "unknown") return { again: told.summary };
    return { done: tell(told), counts: told.outcome === "ok" };
  } catch (error) {
    const { name, message } = error as Error;
    if (isRefusal(error)) return { done: shorten(message), counts: false };
    if (["ApiError", "StoreError", "PlansUnavailable"].includes(name)) return { again: message };
    throw error;
  }
}

/** The same answer would be refused again. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ApiError) return error.kind === "refused" || error.kind === "not_found";
  return error instanceof ActionError;
}

function tell({ happened, summary }: Answer): string {
  return shorten(happened ?? summary);
}

function shorten(text: string): string {
  return asSentence(cleanLine(text.split("\n", 1)[0] ?? "", 300));
}
