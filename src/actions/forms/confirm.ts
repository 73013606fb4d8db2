import type { Answer } from "../answer.js";
import type { Call } from "../define-action.js";
import { tellAutomatic, tellNotAsked } from "./ask-to-choose.js";
import type { Question } from "./form-client.js";

/**
 * Asks the person to agree to something that cannot be undone, or that lets an agent's work out of its workspace. In a client without forms `confirm: true` is the
 * person's agreement; a person's "no" is final whatever `confirm` says.
 * @returns undefined when it may be done, else the answer that the call ends with
 */
export async function confirmWithPerson(
  ask: {
    action: "run" | "kill" | "cleanup" | "take" | "discard" | "answer" | "plan" | "check_pr";
    deed: string;
    /** What the person has to see in full beside it. */
    detail?: string | undefined;
    /** The answer of a call that cannot ask has the detail, too: the person agrees by what it says. */
    tellsDetail?: boolean;
    /** What the person should know beside it, in sentences. */
    remark?: string;
    arguments: Record<string, unknown>;
    confirm: boolean | undefined;
    /** What is so when they do not agree, as a sentence. */
    untouched?: string;
  },
  call: Call,
  /** Closes the form. */
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
  const answer = await call.forms.ask(`${ask.remark ?? ""}${ask.deed}?${detail}`, [question], signal);
  const nothing = ask.untouched ?? "Nothing was sent; the run is as it was.";
  if (answer.kind === "accepted" && answer.values.confirm === "yes") return undefined;
  if ((answer.kind === "declined" || answer.kind === "cancelled") && "byClient" in answer) {
    return {
      outcome: answer.kind,
      summary:
        `${tellAutomatic(answer.kind)} The question was: ${ask.deed}? ${nothing} To agree, the person needs a client ` +
        "that shows forms, or one without forms, where the call takes `confirm: true`.",
    };
  }
  if (answer.kind === "declined" || (answer.kind === "accepted" && answer.values.confirm === "no")) {
    return {
      outcome: "declined",
      summary: `${call.inTerminal ? "You" : "The person"} said no to: ${ask.deed}. ${nothing}`,
    };
  }
  if (answer.kind === "cancelled") {
    return {
      outcome: "cancelled",
      summary: `The person was asked and did not answer: ${ask.deed}? ${nothing}`,
    };
  }
  // In a client that shows forms only a form can agree, and one that came back empty or wrong does not.
  const { supported } = call.forms;
  if (!supported && ask.confirm === true) return undefined;
  const why =
    answer.kind === "not_asked"
      ? tellNotAsked(answer, call)
      : "The form did not come back with a yes or a no.";
  const failed =
    ` ${why} This client can show forms, so \`confirm: true\` is ignored. If the person never saw the form, they can ` +
    "use a client that shows forms, one without forms, or the workflows API itself.";
  return {
    outcome: "input_required",
    summary: `The person has to agree first: ${ask.deed}. ${nothing}${supported ? failed : ""}`,
    missing: [
      { name: "confirm", description: ask.tellsDetail ? `${ask.deed}${detail}` : ask.deed, required: true },
    ],
    next: {
      action: ask.action,
      arguments: { ...ask.arguments, ...(supported ? {} : { confirm: true }) },
      reason: supported ? "Asks the person again, by a form." : "Only after the person has said yes.",
    },
  };
}
