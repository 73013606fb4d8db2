import { HttpResponse, http } from "msw";
import type { useSimulatedApi } from "../../mocks/vitest.js";

/** Makes the API's runs ask these questions at once, until one is answered; then they end. */
export function askOnce(sim: ReturnType<typeof useSimulatedApi>, texts: readonly string[] = ["Which hash?"]) {
  const answers: unknown[] = [];
  let reads = 0;
  sim.server.use(
    http.post("*/run/:runId/questions/:questionId/answer", async ({ request }) => {
      answers.push(await request.json());
      return HttpResponse.json({ success: true });
    }),
    http.get("*/run/:runId/status", ({ params }) => {
      if (answers.length > 0) reads++;
      const common = { kind: "question", choices: [] };
      const questions = texts.map((text, at) => ({ ...common, question_id: `q${at + 1}`, text }));
      return HttpResponse.json({
        run_id: params.runId,
        status: answers.length > 0 ? "completed" : "running",
        questions: answers.length > 0 ? [] : questions,
      });
    }),
  );
  return { answers, readsAfter: () => reads };
}
