import type { Answer } from "./answer.js";
import { tellNotAsked } from "./ask-to-choose.js";
import type { Call } from "./define-action.js";
import type { Question } from "./form-client.js";

/**
 * Gets the person's word before something that cannot be taken back. In a client without forms `confirm: true`
 * stands for it; a person's "no" is final whatever `confirm` says.
 * @returns undefined when it may be done, else the answer that the call ends with
 */
export async function confirmWithPerson(
  ask: {
    action: "kill" | "cleanup" | "answer";
    deed: string;
    /** What the person has to see of it besides, whole. */
    detail?: string | undefined;
    /** What the person should know besides, in sentences. */
    remark?: string;
    arguments: Record<string, unknown>;
    confirm: boolean | undefined;
  },
  call: Call,
  /** Takes the form back. */
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  const question: Question = {
    name: "confirm",
    title: "Are you sure?",
    description: ask.deed,
    required: true,
    // Codex begins at the first choice, and a stray Enter must not be a yes.
    choices: [
      { value: "no", title: "No" },
      { value: "yes", title: "Yes, do it" },
    ],
  };
  const detail = ask.detail ? `\n\n${ask.detail}` : "";
  const answer = await call.person.ask(`${ask.remark ?? ""}${ask.deed}?${detail}`, [question], signal);
  const nothing = "Nothing was sent; the run is as it was.";
  if (answer.kind === "accepted" && answer.values.confirm === "yes") return undefined;
  if ((answer.kind === "declined" || answer.kind === "cancelled") && "byClient" in answer) {
    return {
      outcome: answer.kind,
      summary:
        `The form (${ask.deed}?) was ${answer.kind} in an instant, so by the client itself: no person was asked. ` +
        `${nothing} It can be agreed to in a client that shows forms or has none.`,
    };
  }
  if (answer.kind === "declined" || (answer.kind === "accepted" && answer.values.confirm === "no")) {
    return { outcome: "declined", summary: `The person said no to: ${ask.deed}. ${nothing}` };
  }
  if (answer.kind === "cancelled") {
    return {
      outcome: "cancelled",
      summary: `The person was asked (${ask.deed}) and did not answer. ${nothing}`,
    };
  }
  // A client that has forms must bring the word by one: an answer that came back empty or wrong is no yes.
  const { reachable } = call.person;
  if (!reachable && ask.confirm === true) return undefined;
  const why =
    answer.kind === "not_asked" ? tellNotAsked(answer) : "The form did not come back with a yes or a no.";
  const failed =
    ` ${why} confirm: true does not stand for it in a client that has forms. If the person never saw the form, let ` +
    "them use a client that shows forms or has none, or the workflows API itself.";
  return {
    outcome: "input_required",
    summary: `The person has to agree first: ${ask.deed}. ${nothing}${reachable ? failed : ""}`,
    missing: [{ name: "confirm", description: ask.deed, required: true }],
    next: {
      action: ask.action,
      arguments: { ...ask.arguments, ...(reachable ? {} : { confirm: true }) },
      reason: reachable ? "Asks the person by a form once more." : "Only after the person has said yes.",
    },
  };
}
