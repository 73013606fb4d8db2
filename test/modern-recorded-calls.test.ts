import { expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { askOnce } from "./support/ask-once.js";
import { COMPLETE, until } from "./support/harness.js";
import type { Frame } from "./support/modern-frames.js";
import { readRecorded } from "./support/modern-recorded.js";
import { connectModern } from "./support/modern-server.js";

/*
 * Recorded calls of the real Claude Code for which a run has to go on, to ask, or to be left alone; the others are in
 * test/modern-recorded.test.ts. Arguments and the names of fields are our own.
 */

const sim = useSimulatedApi({ paceMs: "manual" });
const aRun = () => until(() => sim.api().world.runs().length > 0, "the run");

/** The client's frames of a recording, each once. */
function sentIn(name: string): Frame[] {
  const frames = readRecorded(name)
    .frames.filter(({ dir }) => dir === "client→server")
    .map(({ msg }) => msg);
  return frames.filter(
    ({ id, method }, at) =>
      id === undefined || frames.findIndex((f) => f.id === id && f.method === method) === at,
  );
}

const withOurs = ({ params }: Frame) => ({ ...params, arguments: COMPLETE });

test("stdio-no-tasks: the question of a run is asked by the call, and the answer brings its end", async () => {
  const { answers } = askOnce(sim);
  const client = connectModern();
  const [call, retry] = sentIn("stdio-no-tasks");
  const { result: asked } = await client.send(call.id, call.method, withOurs(call));
  expect(asked).toMatchObject({ resultType: "input_required", requestState: expect.any(String) });
  const [key = ""] = Object.keys(asked.inputRequests);
  expect(asked.inputRequests[key]).toMatchObject({ method: "elicitation/create", params: { mode: "form" } });
  const [reply] = Object.values<Frame>(retry.params.inputResponses);
  const { result } = await client.send(retry.id, retry.method, {
    ...withOurs(retry),
    inputResponses: { [key]: { ...reply, content: { own_answer: reply.content.answer } } },
    requestState: asked.requestState,
  });
  expect(answers).toMatchObject([{ answer: "argon2id" }]);
  expect(result).toMatchObject({
    resultType: "complete",
    content: [{ type: "text" }],
    structuredContent: { outcome: "completed" },
  });
  expect(sim.api().posts("/run/")).toHaveLength(1);
  // Of a call that comes again, the progress goes to the token that came last.
  const tokens = client.notifications.map(({ params }) => params.progressToken);
  expect([...new Set(tokens)].every((token) => [4, 5].includes(token))).toBe(true);
});

test("stdio-esc-cancelled: Esc gives the call up and not its run", async () => {
  const client = connectModern({ settings: { TASK_AFTER: "3600" } });
  const [escaped] = sentIn("stdio-esc-cancelled");
  let isAnswered = false;
  const [call] = sentIn("stdio-no-tasks");
  void client.send(escaped.params.requestId, call.method, withOurs(call)).then(() => {
    isAnswered = true;
  });
  await aRun();
  client.write(escaped);
  const { runId } = sim.api().world.runs()[0] ?? { runId: "" };
  const { result } = await client.call({ action: "status", run_id: runId });
  expect(result.structuredContent).toMatchObject({ run: { run_id: runId } });
  expect(isAnswered).toBe(false);
  expect(sim.api().posts("/run/*/kill")).toEqual([]);
});

test("stdio-legacy: who opens with the earlier protocol is served on it, by the same process", async () => {
  const { answers } = askOnce(sim);
  const client = connectModern();
  const [initialize, initialized, list, call, reply] = sentIn("stdio-legacy");
  const { result: greeting } = await client.send(initialize.id, initialize.method, initialize.params);
  expect(greeting).toMatchObject({
    protocolVersion: "2025-11-25",
    capabilities: { tools: {}, logging: {}, completions: {} },
    instructions: expect.any(String),
  });
  client.write(initialized);
  const { result: tools } = await client.send(list.id, list.method, {});
  expect(tools.tools).toMatchObject([{ name: "orchestrate_workflow", outputSchema: { type: "object" } }]);
  const going = client.send(call.id, call.method, withOurs(call));
  const forms = () => client.notifications.filter(({ method }) => method === "elicitation/create");
  await until(() => forms().length > 0, "the form");
  client.write({
    ...reply,
    id: forms()[0].id,
    result: { action: "accept", content: { own_answer: "argon2id" } },
  });
  expect((await going).result.structuredContent).toMatchObject({ outcome: "completed" });
  expect(answers).toMatchObject([{ answer: "argon2id" }]);
});
