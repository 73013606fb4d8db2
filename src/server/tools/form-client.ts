import type { FormAnswer, FormClient, Question } from "../../actions/forms/form-client.js";
import { whileFollowing } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import { cleanLine, cleanText } from "../../shared/text.js";

/** While a form is open, this often a sign of life goes out, in ms: it resets the clock of clients that have one. */
const HEARTBEAT_MS = 10_000;

/**
 * No person turns a form down faster than this, in ms; clients without a person at hand do it by themselves, and
 * declare forms all the same. Seen: `codex exec` 0.169 and `copilot -p` 1.0 decline within 5 ms, `claude -p` 2.1
 * cancels within 20 ms.
 */
const FASTEST_PERSON_MS = 250;

/** A flat JSON schema, as the protocol has it for forms. */
export interface FormSchema {
  type: "object";
  properties: Record<string, unknown>;
  required?: string[];
}

/** What a form needs of the call it belongs to. */
export interface FormChannel {
  /** Whether the client declares forms. */
  supportsForms: boolean;
  /** Sends the elicitation and waits for its answer. */
  send(
    params: { message: string; requestedSchema: FormSchema },
    options: { timeout: number; signal: AbortSignal; about?: string | undefined },
  ): Promise<{
    action: string;
    content?: Record<string, unknown> | undefined;
    /** The form has stood before the person since before this call. */
    wasShownBefore?: boolean | undefined;
  }>;
  /** Why `send` has failed: out of time, refused by the client, or with an answer that cannot be read. */
  explain(error: unknown): "timeout" | "not_shown" | "no_answer";
  /** A sign of life on the call. */
  heartbeat(message: string): void;
}

/** The person asked by elicitation: one flat form, open as long as the setting allows. */
export function createFormClient(
  channel: FormChannel,
  options: { timeoutMs: number; signal: AbortSignal; clock: Clock },
): FormClient {
  const { clock, timeoutMs } = options;
  return {
    supported: channel.supportsForms,
    async ask(message, questions, closing, about): Promise<FormAnswer> {
      const signal = closing ? AbortSignal.any([options.signal, closing]) : options.signal;
      if (!channel.supportsForms) return { kind: "not_asked", why: "no_forms" };
      if (signal.aborted) return { kind: "cancelled", why: "call_cancelled" };
      const since = clock.elapsed();
      let stopBeat = () => {};
      const beat = () => {
        const seconds = Math.round((clock.elapsed() - since) / 1000);
        channel.heartbeat(`Waiting for the person's answer to the form (${seconds} s)`);
        stopBeat = clock.after(HEARTBEAT_MS, beat);
      };
      stopBeat = clock.after(HEARTBEAT_MS, beat);
      try {
        const shown = cleanText(message);
        const form = { message: shown, requestedSchema: buildSchema(questions, shown) };
        const answer = await whileFollowing(signal, (own) =>
          channel.send(form, { timeout: timeoutMs, signal: own, about }),
        );
        // The call may have been cancelled while the answer was on its way: then it counts no more.
        if (signal.aborted) return { kind: "cancelled", why: "call_cancelled" };
        if (answer.action === "accept")
          return { kind: "accepted", values: readValues(answer.content, questions) };
        const isTooFast = !answer.wasShownBefore && clock.elapsed() - since < FASTEST_PERSON_MS;
        const byClient = isTooFast ? { byClient: true as const } : {};
        if (answer.action === "decline") return { kind: "declined", ...byClient };
        return { kind: "cancelled", why: "closed", ...byClient };
      } catch (error) {
        if (signal.aborted) return { kind: "cancelled", why: "call_cancelled" };
        const why = channel.explain(error);
        // The client declares forms and has not shown this one: nobody has answered, so nothing may be sent.
        return why === "timeout" ? { kind: "cancelled", why } : { kind: "not_asked", why };
      } finally {
        stopBeat();
      }
    },
  };
}

/** Whatever a form is made of may come from elsewhere; the values to choose from go back as they are. */
function toShown(question: Question): Question {
  const { title, description, suggestion, choices } = question;
  return {
    ...question,
    title: cleanLine(title),
    description: cleanText(description),
    ...(suggestion === undefined ? {} : { suggestion: cleanLine(suggestion, Number.POSITIVE_INFINITY) }),
    ...(choices
      ? { choices: choices.map(({ value, title }) => ({ value, title: cleanLine(title, 600) })) }
      : {}),
  };
}

/** @param message what the form says above its fields: a field does not say it again */
function buildSchema(questions: readonly Question[], message: string): FormSchema {
  const properties = Object.fromEntries(
    questions.map(toShown).map((question) => [question.name, buildField(question, message)]),
  );
  const required = questions.filter((question) => question.required).map((question) => question.name);
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
}

function buildField(question: Question, message: string): Record<string, unknown> {
  const { title, description, suggestion, choices, required, several, type } = question;
  const tellOnce = (text: string) => (message.includes(text) ? {} : { description: text });
  if (several && choices) {
    const anyOf = choices.map(({ value, title }) => ({ const: value, title }));
    return { type: "array", title, ...tellOnce(description), items: { anyOf } };
  }
  if (type) {
    const value =
      suggestion === undefined ? undefined : type === "boolean" ? suggestion === "true" : Number(suggestion);
    return { type, title, ...tellOnce(description), ...(value === undefined ? {} : { default: value }) };
  }
  return {
    type: "string",
    title,
    // Codex and mcpdo show no default, and a required field has to be filled in there.
    ...tellOnce(
      required && suggestion && !description.includes(`Suggested: ${suggestion}`)
        ? `${description} Suggested: ${suggestion}`
        : description,
    ),
    ...(required && !choices ? { minLength: 1 } : {}),
    ...(suggestion === undefined ? {} : { default: suggestion }),
    ...(choices ? { oneOf: choices.map(({ value, title }) => ({ const: value, title })) } : {}),
  };
}

function readValues(
  content: Record<string, unknown> | undefined,
  questions: readonly Question[],
): Record<string, string | undefined> {
  return Object.fromEntries(
    questions.map(({ name }) => {
      const value = content?.[name];
      if (value === undefined || value === null) return [name, undefined];
      return [name, (Array.isArray(value) ? value.join(", ") : String(value)).trim()];
    }),
  );
}
