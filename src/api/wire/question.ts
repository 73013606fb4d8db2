import * as z from "zod";
import { cleanLine } from "../../shared/text.js";
import { showEnds, showUnseen } from "../../shared/visible-text.js";
import { readWhose, type Whose } from "../../shared/whose.js";
import type { AnsweredQuestion, RunQuestion } from "../types.js";
import { anyId, compact, flag, line, parseTime, record, text, texts, told } from "./fields.js";

const questionWire = z.looseObject({
  question_id: anyId,
  kind: text,
  text: z.string(),
  tool_name: text,
  detail: text,
  detail_cut: flag,
  choices: texts,
  multi_select: flag,
  asked_at: text,
  answered_at: told(z.unknown()),
});
/** What a person reads through in a form; the engine's own limit of a request and what it says of it fit in. */
const DETAIL_CHARS = 9_500;
const TEXT_CHARS = 1_000;
const CUT =
  "It is too long to be shown in full here, so it cannot be allowed here, only denied. It can be looked at and " +
  "answered at the workflows API itself.";
/** An agent waits after each question, so there are few at a time; a person does not read through more choices. */
export const MOST_QUESTIONS = 10;
const MOST_CHOICES = 20;
const choiceWire = z.looseObject({ value: z.string(), title: text, description: text });

const DENY = { value: "deny", title: "Deny" };

/** What is asked in full, with everything in it visible; `cut` when that is too long. */
function readDetail(wire: z.output<typeof questionWire>): { detail: string | undefined; cut: boolean } {
  const { text, cut } = showEnds(showUnseen(wire.detail ?? ""), DETAIL_CHARS);
  const isCutHere = cut || showUnseen(wire.text).length > TEXT_CHARS;
  return {
    detail: [text, isCutHere && wire.kind === "permission" && CUT].filter(Boolean).join("\n\n") || undefined,
    cut: isCutHere || wire.detail_cut === true,
  };
}

/** @returns undefined for what is no question or is answered already */
export function toQuestion(value: unknown): RunQuestion | undefined {
  const parsed = questionWire.safeParse(value);
  if (!parsed.success || parsed.data.answered_at) return undefined;
  const wire = parsed.data;
  const kind = wire.kind === "permission" ? "permission" : "question";
  const told = readDetail(wire);
  // A request that cannot be shown in full must not be allowed.
  const cut = kind === "permission" && told.cut;
  return compact<RunQuestion>({
    questionId: cleanLine(wire.question_id, 200),
    kind,
    text: cleanLine(showUnseen(wire.text), TEXT_CHARS),
    toolName: line(wire.tool_name),
    detail: told.detail,
    cut: cut ? true : undefined,
    askedAt: parseTime(wire.asked_at),
    choices: cut
      ? [DENY]
      : (wire.choices ?? []).slice(0, MOST_CHOICES).flatMap((one) => {
          const choice = choiceWire.safeParse(one);
          if (!choice.success) return [];
          const { value, title, description } = choice.data;
          const shown = cleanLine(value, 200);
          return [
            compact<RunQuestion["choices"][number]>({
              value: shown,
              sent: shown === value ? undefined : value,
              title: line(title, 200) ?? shown,
              description: line(description),
            }),
          ];
        }),
    multiSelect: wire.multi_select === true,
  });
}

/** Whose an answer was; undefined where that is not told. */
export function toWhose(answerer: unknown): Whose | undefined {
  const { name, place } = (answerer ?? {}) as Record<string, unknown>;
  return readWhose({ by: name, via: place });
}

/** An answer as it is sent. */
export function fromWhose({ by, via }: Whose): Record<string, unknown> {
  return compact({ name: by, place: via });
}

const answeredWire = z.looseObject({ question_id: anyId, text: z.string(), answer: text, answerer: record });

/** @returns undefined for what is no question that was answered, or is not told by whom */
export function toAnswered(value: unknown): AnsweredQuestion | undefined {
  const parsed = answeredWire.safeParse(value);
  const whose = parsed.success ? toWhose(parsed.data.answerer) : undefined;
  if (!parsed.success || !whose) return undefined;
  const { question_id, text, answer } = parsed.data;
  return {
    questionId: cleanLine(question_id, 200),
    text: cleanLine(showUnseen(text), TEXT_CHARS),
    answer: cleanLine(showUnseen(answer ?? ""), TEXT_CHARS),
    whose,
  };
}
