/** A value that a run may need from the person. Flat and textual: every client can show that. */
export interface Question {
  name: string;
  title: string;
  description: string;
  required: boolean;
  /** What is filled in beforehand. */
  suggestion?: string;
  /** Several choices may be taken; the answer then lists them. */
  several?: true;
  /** The values to choose from; without them the answer is free text. */
  choices?: readonly { value: string; title: string }[];
}

/** What became of a form. Only `accepted` allows anything to be sent. */
export type FormAnswer =
  | { kind: "accepted"; values: Record<string, string | undefined> }
  /** `byClient`: too fast for a person, so nobody was asked. */
  | { kind: "declined"; byClient?: true }
  /** The form was closed (as above), ran out of time, or the call was cancelled. */
  | { kind: "cancelled"; why: "closed"; byClient?: true }
  | { kind: "cancelled"; why: "timeout" | "call_cancelled" }
  /**
   * Nobody's word is there: the client has no forms, answered this one with an error instead of showing it, or
   * brought back something that is no answer.
   */
  | { kind: "not_asked"; why: "no_forms" | "not_shown" | "no_answer" };

/** The person at the other end of the call, asked through the chat client. */
export interface Person {
  /** Whether the client says that it can show forms. */
  readonly reachable: boolean;
  /**
   * Shows one form and waits for the answer. Never throws.
   * @param signal takes the form back; it then counts as cancelled
   */
  ask(message: string, questions: readonly Question[], signal?: AbortSignal): Promise<FormAnswer>;
}
