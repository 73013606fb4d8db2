import { cleanLine } from "../../shared/text.js";
import type { RunQuestion } from "../runs/run.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";
import type { AgentAnswer, NewRequest } from "./open-request.js";

/**
 * The agent's own questions (its tool `AskUserQuestion`). One request may hold several; each is asked by itself, and
 * the agent gets its response when all have answers.
 * @param input the tool's input
 * @param askedAt epoch ms
 * @returns undefined when there is no question in it
 */
export function readOwnQuestions(
  requestId: string,
  input: JsonRecord,
  askedAt: number,
): NewRequest | undefined {
  const parts = asList(input.questions)
    .map(asRecord)
    .filter((part) => asText(part.question));
  if (parts.length === 0) return undefined;
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
          given[index]?.timedOut ?? given[index]?.text ?? "",
        ]);
        return {
          behavior: "allow",
          updatedInput: { ...input, answers: Object.fromEntries(texts) },
        };
      },
    },
    questions: parts.map((part, index) => describeOwn(ids[index] ?? requestId, part, askedAt)),
  };
}

function describeOwn(questionId: string, part: JsonRecord, askedAt: number): RunQuestion {
  const choices = asList(part.options)
    .map(asRecord)
    .flatMap((option) => {
      const label = asText(option.label);
      const description = asText(option.description);
      if (!label) return [];
      // The value goes back to the agent as it came; only what is shown is cleaned.
      return [
        {
          value: label,
          title: cleanLine(label, 120),
          ...(description ? { description: cleanLine(description, 300) } : {}),
        },
      ];
    });
  return {
    questionId,
    kind: "question",
    askedAt,
    text: cleanLine(asText(part.question) ?? "", 1_000),
    choices,
    multiSelect: part.multiSelect === true,
  };
}
