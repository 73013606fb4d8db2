import { HttpResponse, http } from "msw";
import type { useSimulatedApi } from "../../mocks/vitest.js";

/** Makes the API's runs ask one question, until it is answered; then they end. */
export function askOnce(sim: ReturnType<typeof useSimulatedApi>) {
  const answers: unknown[] = [];
  let reads = 0;
  sim.server.use(
    http.post("*/run/:runId/questions/:questionId/answer", async ({ request }) => {
      answers.push(await request.json());
      return HttpResponse.json({ success: true });
    }),
    http.get("*/run/:runId/status", ({ params }) => {
      if (answers.length > 0) reads++;
      const question = { question_id: "q1", kind: "question", text: "Which hash?", choices: [] };
      return HttpResponse.json({
        run_id: params.runId,
        status: answers.length > 0 ? "completed" : "running",
        questions: answers.length > 0 ? [] : [question],
      });
    }),
  );
  return { answers, readsAfter: () => reads };
}
