import { cleanLine } from "../../shared/text.js";
import type { RunQuestion } from "../runs/run.js";
import { readChosen, shownLabels } from "./choice-labels.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";
import type { AgentAnswer, NewRequest } from "./open-request.js";

/** More in one request are refused: the agent can ask again. */
const MOST_QUESTIONS = 20;
/** A person does not read through more, and an answer in their own words may still be one of the others. */
const MOST_CHOICES = 20;
const TEXT_CHARACTERS = 1_000;
const DESCRIPTION_CHARACTERS = 300;

/** A choice by what the person is shown of it, and by what the agent has called it. */
interface Choice {
  shown: RunQuestion["choices"][number];
  label: string;
}

/**
 * The agent's own questions (its tool `AskUserQuestion`). One request may hold several; each is asked by itself, and
 * the agent gets its response when all have answers.
 * @param input the tool's input
 * @param askedAt epoch ms
 * @returns undefined when there is no question in it; the response when there are more than a person is asked
 */
export function readOwnQuestions(
  requestId: string,
  input: JsonRecord,
  askedAt: number,
): NewRequest | { response: JsonRecord } | undefined {
  const parts = asList(input.questions)
    .map(asRecord)
    .filter((part) => asText(part.question));
  if (parts.length === 0) return undefined;
  if (parts.length > MOST_QUESTIONS)
    return { response: { behavior: "deny", message: tellTooMany(parts.length) } };
  const choices = parts.map(readChoices);
  const ids = parts.map((_, index) => (parts.length === 1 ? requestId : `${requestId}-${index + 1}`));
  const answers = new Map<string, AgentAnswer>();
  return {
    request: {
      requestId,
      questionIds: ids,
      answer(id, answer) {
        answers.set(id, answer);
        this.questionIds = this.questionIds.filter((one) => one !== id);
        if (this.questionIds.length > 0) return undefined;
        const given = ids.map((one) => answers.get(one) ?? { text: "" });
        const silence = given.find((one) => one.timedOut !== undefined)?.timedOut;
        if (silence !== undefined && given.every((one) => one.timedOut !== undefined))
          return { behavior: "deny", message: silence };
        const texts = parts.map((part, index) => [
          String(part.question),
          given[index]?.timedOut ?? asOffered(given[index]?.text ?? "", part, choices[index] ?? []),
        ]);
        return {
          behavior: "allow",
          updatedInput: { ...input, answers: Object.fromEntries(texts) },
        };
      },
    },
    questions: parts.map((part, index) =>
      describeOwn(ids[index] ?? requestId, part, choices[index] ?? [], askedAt),
    ),
  };
}

/** For the agent. */
function tellTooMany(count: number): string {
  return (
    `These are ${count} questions, and the person can be asked at most ${MOST_QUESTIONS} at once: none was asked. Ask ` +
    "first what you cannot go on without, and the rest afterwards, where it still matters."
  );
}

function readChoices(part: JsonRecord): Choice[] {
  const options = asList(part.options).slice(0, MOST_CHOICES).map(asRecord);
  const titles = shownLabels(options.map(({ label }) => asText(label) ?? ""));
  return options.flatMap((option, index) => {
    const [title, label] = [titles[index], asText(option.label)];
    const description = cleanLine(asText(option.description) ?? "", DESCRIPTION_CHARACTERS);
    if (!title || !label) return [];
    return [{ shown: { value: title, title, ...(description ? { description } : {}) }, label }];
  });
}

/** The answer as the agent knows it: what was chosen by exactly the words in which it was offered. */
function asOffered(answer: string, { multiSelect }: JsonRecord, choices: Choice[]): string {
  const labelOf = (value: string) => choices.find(({ shown }) => shown.value === value)?.label;
  const values = choices.map(({ shown }) => shown.value);
  const several = multiSelect === true ? readChosen(answer, values) : undefined;
  return labelOf(answer) ?? several?.map(labelOf).join(", ") ?? answer;
}

function describeOwn(questionId: string, part: JsonRecord, choices: Choice[], askedAt: number): RunQuestion {
  const offered = asList(part.options).filter((option) => asText(asRecord(option).label)).length;
  const note =
    offered > choices.length
      ? ` (${choices.length} of ${offered} choices are shown. In your own words you can name another.)`
      : "";
  return {
    questionId,
    kind: "question",
    askedAt,
    text: cleanLine(asText(part.question) ?? "", TEXT_CHARACTERS - note.length) + note,
    choices: choices.map(({ shown }) => shown),
    multiSelect: part.multiSelect === true,
  };
}
