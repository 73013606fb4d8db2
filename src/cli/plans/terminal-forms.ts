import type { FormClient, Question } from "../../actions/forms/form-client.js";
import { cleanLine, cleanText } from "../../shared/text.js";
import { createKeyboardAnswerer, type Field } from "../demo/answer-form.js";
import { createAsk } from "../install/ask.js";
import { wrapWords } from "../sessions/fit-text.js";

/** Where forms are shown and answered. */
export interface FormTerminal {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  /** Called on Ctrl-C, which reaches nobody as a signal while a line is being typed. */
  interrupt?: () => void;
}

/** A question's text, in characters: what it is about stands above it in full. */
const TEXT_LIMIT = 1_000;

/**
 * Shows forms in a terminal, field by field; what is only agreed to, as a yes or no. Where nobody can answer there are
 * no forms.
 */
export function createTerminalForms({ input, output, interrupt }: FormTerminal): FormClient {
  const supported = input.isTTY === true;
  const line = (text: string) =>
    void output.write(`${wrapWords(cleanText(text), output.columns || undefined)}\n`);
  return {
    supported,
    async ask(message, questions, signal = new AbortController().signal) {
      const [first] = questions;
      if (!supported || !first) return { kind: "not_asked", why: "no_forms" };
      line(`\n${message}`);
      if (questions.length === 1 && first.name === "confirm") {
        const agreed = await createAsk(input, output)?.("Do it?");
        return agreed ? { kind: "accepted", values: { confirm: "yes" } } : { kind: "declined" };
      }
      const interrupted = new AbortController();
      const answerer = createKeyboardAnswerer({
        input,
        output,
        screen: { line },
        interrupt: () => {
          interrupted.abort();
          interrupt?.();
        },
      });
      const answer = await answerer.answer(
        questions.map(toField),
        AbortSignal.any([signal, interrupted.signal]),
      );
      switch (answer.action) {
        case "accept":
          return { kind: "accepted", values: (answer.content ?? {}) as Record<string, string> };
        case "decline":
          return { kind: "declined" };
        default:
          return { kind: "cancelled", why: "closed" };
      }
    },
  };
}

function toField(question: Question): Field {
  const { name, title, description, required, suggestion, choices, type, lines, onlyWith } = question;
  const yesOrNo = [
    { value: "true", title: "Yes" },
    { value: "false", title: "No" },
  ];
  return {
    name,
    title: cleanLine(title),
    description: cleanText(description, TEXT_LIMIT),
    required,
    suggestion,
    choices: choices ?? (type === "boolean" ? yesOrNo : []),
    lines,
    onlyWith,
  };
}
