import { readWhose } from "../../shared/whose.js";
import type { Engine } from "../types.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";
import { answererSchema, questionSchema, questionsSchema } from "./run-schemas.js";
import { toQuestion } from "./run-wire.js";
import * as z from "./schemas.js";

const answerBody = z
  .object({
    answer: z.string().describe("A choice's value, or an own text where a question allows it"),
    answerer: answererSchema.optional(),
  })
  .openapi("Answer");

/** Adds the endpoints by which a person sees and answers what the agent of a run wants to know. */
export function addQuestionEndpoints(app: EngineApp, { engine }: { engine: Engine }): void {
  addEndpoint(app, {
    method: "get",
    path: "/run/{run_id}/questions",
    summary: "What the agent of a run has asked, with the answers so far",
    answer: questionsSchema,
    refusals: [404],
    handle: ({ id }) => ({ run_id: id, questions: engine.get(id).questions.map(toQuestion) }),
  });

  addEndpoint(app, {
    method: "post",
    path: "/run/{run_id}/questions/{question_id}/answer",
    summary: "Answer a question",
    body: answerBody,
    answer: questionSchema,
    refusals: [400, 404, 409, 413, 422],
    async handle({ id, body, context }) {
      const answer = body.answer.trim();
      if (answer === "") throw new HttpRefusal(400, "answer cannot be empty");
      const { name, place } = body.answerer ?? {};
      const whose = readWhose({ by: name, via: place });
      return toQuestion(await engine.answer(id, context.req.param("question_id") ?? "", answer, whose));
    },
  });
}
