import type { Question } from "../services/person.js";
import type { Answer } from "./answer.js";
import type { Call } from "./define-action.js";

/** What became of the question: `nobody` when there was nobody to ask, or nothing was chosen. */
type Reply = { kind: "chosen"; value: string } | { kind: "ended"; answer: Answer } | { kind: "nobody" };

/** Asks the person for one choice; a form that brings none ends the call. */
export async function askToChoose(question: Question, call: Call): Promise<Reply> {
  const answer = await call.person.ask(question.description, [question]);
  switch (answer.kind) {
    case "accepted": {
      const value = answer.values[question.name];
      return value ? { kind: "chosen", value } : { kind: "nobody" };
    }
    case "declined":
      return {
        kind: "ended",
        answer: {
          outcome: "declined",
          summary: `${question.description} The person declined. Nothing was sent.`,
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
      return { kind: "nobody" };
  }
}

/** The question as an answer shows it to a client without forms. */
export function toMissing({ name, description, required, choices }: Question) {
  return { name, description, required, choices: (choices ?? []).map((choice) => ({ ...choice })) };
}
