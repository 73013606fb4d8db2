/** A value that a run may need from the person. Flat and textual: every client can show that. */
export interface Question {
  name: string;
  title: string;
  description: string;
  required: boolean;
  /** What is filled in beforehand. */
  suggestion?: string;
  /** What the answer is, where it is no text: it comes back as the text for it. */
  type?: "boolean" | "integer" | "number";
  /** The answer may have several lines: one item each. */
  lines?: true;
  /** Several choices may be taken; the answer then lists them. */
  several?: true;
  /** It matters only where the question of that name was answered so: who can ask one after the other leaves it out else. */
  onlyWith?: { name: string; value: string };
  /** The values to choose from; without them the answer is free text. */
  choices?: readonly { value: string; title: string }[];
}

/** The result of a form. Only `accepted` allows anything to be sent. */
export type FormAnswer =
  | { kind: "accepted"; values: Record<string, string | undefined> }
  /** `byClient`: too fast for a person, so nobody was asked. */
  | { kind: "declined"; byClient?: true }
  /** The form was closed (as above), ran out of time, or the call was cancelled. */
  | { kind: "cancelled"; why: "closed"; byClient?: true }
  | { kind: "cancelled"; why: "timeout" | "call_cancelled" }
  /**
   * Nobody has answered: the client has no forms, answered this one with an error instead of showing it, or with
   * something that cannot be read.
   */
  | { kind: "not_asked"; why: "no_forms" | "not_shown" | "no_answer" };

/** Why a form is closed before it was answered: a sentence for the person whose answer comes too late. */
export class FormClosed extends Error {
  override name = "FormClosed";
}

/** The person at the other end of the call, asked through the chat client. */
export interface FormClient {
  /** Whether the client says that it can show forms. */
  readonly supported: boolean;
  /**
   * Shows one form and waits for the answer. Never throws.
   * @param signal closes the form; it then counts as cancelled. Its reason may be a FormClosed
   * @param about names what is asked beyond this call: an answer that comes to a later call still finds it
   */
  ask(
    message: string,
    questions: readonly Question[],
    signal?: AbortSignal,
    about?: string,
  ): Promise<FormAnswer>;
}
