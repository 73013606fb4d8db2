import type { Answer } from "../answer.js";
import { tellAutomatic, tellNotAsked } from "../forms/ask-to-choose.js";
import type { FormAnswer, Question } from "../forms/form-client.js";
import type { StartArguments, StepContext, Task } from "./draft.js";

/**
 * What a form counts as for whoever has begun the call in a terminal where nobody can be asked: what has a default takes
 * it. Where the work is done has none: that an empty workspace is meant has to be said.
 * @returns the values, or the questions that are left
 */
export function fillIn(questions: readonly Question[]): Record<string, string | undefined> | Question[] {
  const open = questions.filter(
    ({ name, required, suggestion }) => name === "repository_url" || (required && suggestion === undefined),
  );
  if (open.length > 0) return open;
  return Object.fromEntries(
    questions.flatMap(({ name, required, suggestion }) => (required ? [[name, suggestion]] : [])),
  );
}

/** The answer with which a call ends when the person has not filled in the form; undefined when they have. */
export function answerUnfinishedForm(
  answer: FormAnswer,
  questions: readonly Question[],
  args: StartArguments,
  { call, task }: StepContext,
): Answer | undefined {
  const inputRequired = (why: string, entered: Record<string, string | undefined> = {}) =>
    askInAnswer({ why, questions, entered, args }, task, call.inTerminal);
  switch (answer.kind) {
    case "declined":
      if (answer.byClient) return turnedDownByClient("declined", questions, task);
      return {
        outcome: "declined",
        summary: call.inTerminal
          ? "You declined. Not started; nothing was charged."
          : "The person declined. Not started; nothing was charged. Do not start it again unless they ask for it.",
      };
    case "cancelled": {
      if (answer.why === "closed" && answer.byClient) return turnedDownByClient("cancelled", questions, task);
      const why = {
        closed: "The person closed the form.",
        timeout: "The form was not answered in time.",
        call_cancelled: call.isStopping()
          ? "This server is stopping, so the form was closed."
          : "The call was cancelled while the form was open.",
      }[answer.why];
      return {
        outcome: "cancelled",
        summary: `${why} Nothing was sent and no run was started. Ask the person before trying again.`,
      };
    }
    case "not_asked":
      return inputRequired(`${tellNotAsked(answer, call)} Nothing was sent.`);
    case "accepted": {
      const open = questions.filter((question) => question.required && !answer.values[question.name]?.trim());
      if (open.length === 0) return undefined;
      const names = open.map((question) => question.name).join(" and ");
      return inputRequired(
        `The form came back without ${names}, so it counts as not answered. Nothing was sent.`,
        answer.values,
      );
    }
  }
}

/** A form that came back before a person can have seen it. Where a client does that, the values go into the call. */
function turnedDownByClient(
  outcome: "declined" | "cancelled",
  questions: readonly Question[],
  { more = [] }: Task,
): Answer {
  // What only a form can agree to is left out, and of a plan's inputs what need not be said.
  const inputs = more.flatMap(({ name, required }) => (required ? [name] : []));
  const asked = questions.filter((question) => question.name !== "uncommitted" && !more.includes(question));
  const names = [
    ...(inputs.length > 0 ? [`inputs (${inputs.join(", ")})`] : []),
    ...asked.map(({ name }) => name),
  ].join(", ");
  return {
    outcome,
    summary:
      `${tellAutomatic(outcome)} Nothing was sent and no run was started. If the person wants this run, call again ` +
      `with ${names}: then no form is needed. An empty text means the default.`,
  };
}

/**
 * What is missing, as an answer that a model can act on by asking the person itself. What the person has filled in
 * is kept; a choice that nobody has made is left open.
 */
function askInAnswer(
  {
    why,
    questions,
    entered,
    args,
  }: {
    why: string;
    questions: readonly Question[];
    entered: Record<string, string | undefined>;
    args: StartArguments;
  },
  task: Task,
  inTerminal = false,
): Answer {
  const filled = Object.fromEntries(
    questions.flatMap(({ name, suggestion, required, choices }) => {
      // Which workflow is paid for is nobody's choice but the person's, however well one fits.
      const beforehand = name === "workflow_name" ? undefined : suggestion;
      const value = entered[name] || beforehand || (required && choices ? undefined : "");
      if (value === undefined) return [];
      return [[name, name === "uncommitted" ? value === "true" : value]];
    }),
  );
  return {
    outcome: "input_required",
    // Whoever is in a terminal is the person.
    summary: inTerminal ? why : `${why} Ask the person for: ${questions.map(({ name }) => name).join(", ")}.`,
    missing: toMissing(questions),
    next: task.startAgain(
      { ...args, ...filled },
      "Ask the person, then call again with their values in place of these suggestions; an empty text means the default.",
    ),
  };
}

/** Questions as an answer has what is missing. */
export function toMissing(questions: readonly Question[]): NonNullable<Answer["missing"]> {
  return questions.map(({ name, description, required, suggestion, choices }) => ({
    name,
    description,
    required,
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(choices === undefined ? {} : { choices: choices.map((choice) => ({ ...choice })) }),
  }));
}
