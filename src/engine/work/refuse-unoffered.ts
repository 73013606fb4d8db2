import { whoAndWhere } from "../../shared/whose.js";
import type { RunQuestion } from "../runs/run.js";
import { EngineRefusal } from "../types.js";

/** @throws EngineRefusal for a permission in a way in which the person was not asked for it */
export function refuseUnoffered({ answeredAt, kind, choices, cut }: RunQuestion, answer: string): void {
  const isOffered = choices.some((choice) => choice.value === answer);
  if (answeredAt !== undefined || kind !== "permission" || !answer.startsWith("allow") || isOffered) return;
  throw new EngineRefusal(
    422,
    cut
      ? "This request is too long to be shown in full, so it cannot be allowed. Deny it: the agent is then told to make it shorter."
      : `"${answer}" is none of the choices: ${choices.map(({ value }) => value).join(", ")}`,
  );
}

/** Somebody was first: who, where that is known. */
export function refuseAnswered({ questionId, answeredBy, whose }: RunQuestion): EngineRefusal {
  const by = whose ? whoAndWhere(whose) : ` (${answeredBy})`;
  return new EngineRefusal(409, `Question ${questionId} was answered already${by}`);
}
