import { HttpResponse, http } from "msw";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createClaimedQuestions } from "../src/runs/claimed-questions.js";
import type { RunEvent } from "../src/runs/run-events.js";
import { bareRun } from "../src/runs/run-facts.js";
import { connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi();

/** An API that numbers the questions of each run anew: every run asks `q1` until it is answered, then ends. */
function askOncePerRun(): string[] {
  const answered: string[] = [];
  sim.server.use(
    http.post("*/run/:runId/questions/:questionId/answer", ({ params }) => {
      answered.push(`${params.runId} ${params.questionId}`);
      return HttpResponse.json({ success: true });
    }),
    http.get("*/run/:runId/status", ({ params }) => {
      const isAnswered = answered.includes(`${params.runId} q1`);
      const question = {
        question_id: "q1",
        kind: "question",
        text: `Which way, ${params.runId}?`,
        choices: [],
      };
      return HttpResponse.json({
        run_id: params.runId,
        status: isAnswered ? "completed" : "running",
        questions: isAnswered ? [] : [question],
      });
    }),
  );
  return answered;
}

describe("a server that numbers the questions of each run anew", () => {
  it("has the question of every run asked, one run after the other and both at once", async () => {
    const answered = askOncePerRun();
    const { call, forms } = await connectInMemory({
      onForm: () => ({ action: "accept", content: { own_answer: "Left" } }),
    });
    const follow = (run_id: string) => call({ action: "status", run_id, wait_seconds: 10 });
    expect((await follow("run-a")).data.outcome).toBe("completed");
    const both = await Promise.all([follow("run-b"), follow("run-c")]);
    expect(both.map(({ data }) => data.outcome)).toEqual(["completed", "completed"]);
    expect(forms.map(({ message }) => /run-\w/.exec(message)?.[0]).sort()).toEqual([
      "run-a",
      "run-b",
      "run-c",
    ]);
    expect(answered.sort()).toEqual(["run-a q1", "run-b q1", "run-c q1"]);
  });
});

describe("the questions that are in hand", () => {
  const question = {
    questionId: "q1",
    kind: "question",
    text: "Which?",
    choices: [],
    multiSelect: false,
  } as const;

  it("are forgotten with their run", () => {
    let tell: (event: RunEvent) => void = () => {};
    const inHand = createClaimedQuestions({
      onEvent(listener) {
        tell = listener;
        return () => {};
      },
    });
    expect(inHand.claim("a", { ...question, choices: [] })).toBe(true);
    expect(inHand.claim("a", { ...question, choices: [] })).toBe(false);
    expect(inHand.claim("b", { ...question, choices: [] })).toBe(true);
    tell({ type: "finished", run: { ...bareRun("a"), status: "completed" } });
    expect(inHand.claim("a", { ...question, choices: [] })).toBe(true);
    expect(inHand.claim("b", { ...question, choices: [] })).toBe(false);
  });
});
