import type { Answer } from "./answer.js";
import type { Call } from "./define-action.js";
import type { FormAnswer, Question } from "./form-client.js";

/**
 * What became of the question: `nobody` when there was nobody to ask, or nothing was chosen; then with what is to be
 * said of a client that should have asked.
 */
type Reply =
  | { kind: "chosen"; value: string }
  | { kind: "ended"; answer: Answer }
  | { kind: "nobody"; note: string };

/** That the person was not asked, and why, in a sentence. */
export function tellNotAsked({ why }: Extract<FormAnswer, { kind: "not_asked" }>): string {
  return {
    no_forms: "The client cannot show forms.",
    not_shown:
      "The client says that it can show forms, but answered this one with an error, so the person has most likely not seen it.",
    no_answer: "The client says that it can show forms, but what it brought back of this one is no answer.",
  }[why];
}

/** Asks the person for one choice; a form that brings none ends the call. */
export async function askToChoose(question: Question, call: Call): Promise<Reply> {
  const answer = await call.person.ask(question.description, [question]);
  switch (answer.kind) {
    case "accepted": {
      const value = answer.values[question.name];
      return value ? { kind: "chosen", value } : { kind: "nobody", note: "" };
    }
    case "declined":
      return {
        kind: "ended",
        answer: {
          outcome: "declined",
          summary: `${question.description} ${answer.byClient ? "The client declined for the person" : "The person declined"}. Nothing was sent.`,
        },
      };
    case "cancelled":
      return {
        kind: "ended",
        answer: {
          outcome: "cancelled",
          summary: `${question.description} The question was not answered. Nothing was sent.`,
        },
      };
    case "not_asked":
      return { kind: "nobody", note: answer.why === "no_forms" ? "" : ` ${tellNotAsked(answer)}` };
  }
}

/** What is to be said of a question that the client should have brought to the person; "" when it has none. */
export function tellNobody(reply: Reply): string {
  return reply.kind === "nobody" ? reply.note : "";
}

/** The question as an answer shows it to a client without forms. */
export function toMissing({ name, description, required, choices }: Question) {
  return { name, description, required, choices: (choices ?? []).map((choice) => ({ ...choice })) };
}
