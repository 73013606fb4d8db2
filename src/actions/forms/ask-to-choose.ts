import type { Answer } from "../answer.js";
import type { Call } from "../define-action.js";
import type { FormAnswer, Question } from "./form-client.js";

/**
 * The result of the question: `nobody` when there was nobody to ask, or nothing was chosen. `note` then says what went
 * wrong in a client that should have asked, or is "".
 */
type Reply =
  | { kind: "chosen"; value: string }
  | { kind: "ended"; answer: Answer }
  | { kind: "nobody"; note: string };

/** A sentence that says that nobody has seen the form, because the answer came too fast for a person. */
export function tellAutomatic(outcome: "declined" | "cancelled"): string {
  return `The client ${outcome === "declined" ? "declined" : "closed"} the form automatically; nobody saw it.`;
}

/** A sentence that says why the person was not asked. */
export function tellNotAsked(
  { why }: Extract<FormAnswer, { kind: "not_asked" }>,
  { inTerminal }: Pick<Call, "inTerminal">,
): string {
  return {
    no_forms: inTerminal ? "Nobody can be asked here." : "The client cannot show forms.",
    not_shown:
      "The client says that it can show forms, but answered this one with an error, so the person has most likely not seen it.",
    no_answer: "The client says that it can show forms, but its answer to this one cannot be read.",
  }[why];
}

/** Asks the person for one choice; a form that brings none ends the call. */
export async function askToChoose(question: Question, call: Call): Promise<Reply> {
  const answer = await call.forms.ask(question.description, [question]);
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
          summary: `${question.description} ${answer.byClient ? tellAutomatic("declined") : "The person declined."} Nothing was sent.`,
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
      return { kind: "nobody", note: answer.why === "no_forms" ? "" : ` ${tellNotAsked(answer, call)}` };
  }
}

/** What went wrong in a client that should have shown the question; "" when nothing did. */
export function tellNobody(reply: Reply): string {
  return reply.kind === "nobody" ? reply.note : "";
}

/** The question as an answer shows it to a client without forms. */
export function toMissing({ name, description, required, choices }: Question) {
  return { name, description, required, choices: (choices ?? []).map((choice) => ({ ...choice })) };
}
