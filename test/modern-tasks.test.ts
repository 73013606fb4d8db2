import { HttpResponse, http as route } from "msw";
import { describe, expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { systemClock } from "../src/shared/clock.js";
import { COMPLETE, until } from "./support/harness.js";
import { startHttpWithApi } from "./support/http.js";
import type { Frame } from "./support/modern-frames.js";
import { bringTo, callModern, sendModern } from "./support/modern-http.js";
import { connectModern } from "./support/modern-server.js";
import { createSkippingClock } from "./support/skipping-clock.js";

// Protocol 2026-07-28: what forms and tasks come to where time, configuration or other people come in between.

const { session_name: _, ...UNNAMED } = COMPLETE;
const ACCEPT = { action: "accept", content: { session_name: "jwt-login" } };
const INVALID_PARAMS = -32_602;

describe("with an API of agents that do as they are told", () => {
  const sim = useSimulatedApi({ paceMs: "manual" });
  const theRun = () => sim.api().world.run(sim.api().world.runs()[0]?.runId ?? "");
  const isCompleted = ({ status }: Frame) => status === "completed";

  test("a server with another key does nothing with a task, however long it is asked; its own still knows it", async () => {
    const first = connectModern();
    const { taskId } = (await first.call(COMPLETE)).result;
    const changed = connectModern({ settings: { API_KEY: "another-key" } });
    // A client asks for five minutes before it tells its model that the end is not known.
    for (let askedMs = 0; askedMs < 300_000; askedMs += 30_000) {
      const { error } = await changed.request("tasks/get", { taskId });
      expect(error).toMatchObject({
        code: INVALID_PARAMS,
        message: expect.stringContaining("Look with list_sessions"),
      });
      changed.clock.skip(30_000);
    }
    for (const method of ["tasks/update", "tasks/cancel"])
      expect((await changed.request(method, { taskId, inputResponses: {} })).error.code).toBe(INVALID_PARAMS);
    expect(sim.api().posts()).toHaveLength(1);
    theRun().complete({ result: "Done" });
    const { result } = await first.poll(taskId, isCompleted);
    expect(result.structuredContent).toMatchObject({ outcome: "completed", run: { result: "Done" } });
  });

  test("a server with other settings and the same key goes on with a task", async () => {
    const { taskId } = (await connectModern().call(COMPLETE)).result;
    const settings = { TASK_AFTER: "3600", TOOLSET: "named", ELICITATION_TIMEOUT: "60", MAX_RETRIES: "2" };
    const changed = connectModern({ settings });
    theRun().complete({ result: "Done" });
    const { result } = await changed.poll(taskId, isCompleted);
    expect(result.structuredContent).toMatchObject({ outcome: "completed", run: { result: "Done" } });
    expect(sim.api().posts()).toHaveLength(1);
  });

  test("what is brought to a task that has ended changes nothing, and its end stays the same", async () => {
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    theRun().complete({ result: "Done" });
    const ended = await client.poll(taskId, isCompleted);
    const late = { taskId, inputResponses: { q_late: { action: "accept", content: { answer: "yes" } } } };
    expect((await client.request("tasks/update", late)).error).toBeUndefined();
    expect((await client.request("tasks/cancel", { taskId })).error).toBeUndefined();
    client.clock.skip(60_000);
    const again = await client.poll(taskId, () => true);
    expect(again.status).toBe("completed");
    expect(again.result).toEqual(ended.result);
    expect(sim.api().posts()).toHaveLength(1);
  });

  test("a question that is answered elsewhere leaves its form without effect, and the task tells the end", async () => {
    const answers: unknown[] = [];
    let isEnded = false;
    sim.server.use(
      route.post("*/run/:runId/questions/:questionId/answer", async ({ request }) => {
        answers.push(await request.json());
        return HttpResponse.json({ success: true });
      }),
      route.get("*/run/:runId/status", ({ params }) => {
        const isAsking = answers.length === 0;
        const question = { question_id: "q1", kind: "question", text: "Which hash?", choices: [] };
        return HttpResponse.json({
          run_id: params.runId,
          status: isEnded ? "completed" : "running",
          questions: isAsking ? [question] : [],
        });
      }),
    );
    const client = connectModern();
    const { taskId } = (await client.call(COMPLETE)).result;
    const asked = await client.poll(taskId, ({ status }) => status === "input_required");
    const [key = ""] = Object.keys(asked.inputRequests);
    // In a terminal, which has a server of its own.
    const terminal = connectModern();
    const run_id = sim.api().world.runs()[0]?.runId ?? "";
    await terminal.call({ action: "answer", run_id, question_id: "q1", answer: "argon2id" });
    const working = await client.poll(taskId, ({ status }) => status === "working");
    expect(working.inputRequests).toBeUndefined();
    const late = { action: "accept", content: { own_answer: "bcrypt" } };
    expect(
      (await client.request("tasks/update", { taskId, inputResponses: { [key]: late } })).error,
    ).toBeUndefined();
    isEnded = true;
    const { result } = await client.poll(taskId, isCompleted);
    expect(result.structuredContent.outcome).toBe("completed");
    expect(answers).toMatchObject([{ answer: "argon2id" }]);
  });
});

describe("the server of a caller with a key of its own", () => {
  const HOUR_MS = 3_600_000;
  const SETTINGS = { ERA: "auto", CALLER_KEYS: "on", TASK_AFTER: "0", API_KEY: "server-key" };
  /** The key that the API takes. */
  const how = { headers: { "x-workflows-api-key": "test-key" } };

  test("stays while its form is open, however long nothing is asked, and the answer starts one run", async () => {
    const clock = createSkippingClock();
    const served = await startHttpWithApi({
      settings: SETTINGS,
      clock,
      // A form's own time goes on as it does.
      serverClock: systemClock,
      idleMs: HOUR_MS,
    });
    const { answer: asked } = await callModern(served, UNNAMED, {}, how);
    for (let hours = 0; hours < 5; hours++) clock.skip(HOUR_MS);
    const brings = bringTo(asked, ACCEPT);
    const [one, other] = await Promise.all([1, 2].map(() => callModern(served, UNNAMED, brings, how)));
    expect(one?.answer.result).toMatchObject({ resultType: "task", status: "working" });
    expect(other?.answer.result.taskId).toBe(one?.answer.result.taskId);
    expect(served.api.posts("/run/")).toHaveLength(1);
  });

  test("ends when nothing is asked and nothing is held, and another one goes on with its tasks", async () => {
    const clock = createSkippingClock();
    const made: string[] = [];
    const served = await startHttpWithApi({
      settings: SETTINGS,
      clock,
      // A form's own time goes on as it does.
      serverClock: systemClock,
      idleMs: HOUR_MS,
      onServerForKey: (apiKey) => made.push(apiKey),
    });
    const { taskId } = (await callModern(served, COMPLETE, {}, how)).answer.result;
    const [run] = served.api.world.runs();
    expect(made).toHaveLength(1);
    clock.skip(HOUR_MS);
    const ask = async () => (await sendModern(served, "tasks/get", { taskId }, how)).answer.result;
    expect(await ask()).toMatchObject({ status: "working" });
    expect(made).toHaveLength(2);
    served.api.world.run(run?.runId ?? "").complete({ result: "Done" });
    await until(() => served.api.world.runs()[0]?.status === "completed", "the end");
    const task = await until(async () => {
      const now = await ask();
      return now.status !== "working" && now;
    }, "the task's end");
    expect(task.result.structuredContent).toMatchObject({ outcome: "completed" });
    expect(served.api.posts()).toHaveLength(1);
  });
});
