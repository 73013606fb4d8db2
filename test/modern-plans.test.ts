import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { Frame } from "./support/modern-frames.js";
import { connectModern, type ModernInMemory } from "./support/modern-server.js";
import { PLACE } from "./support/plan-chat.js";

// Protocol 2026-07-28: plans as tasks.

const sim = useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: ({ workflowName }) => ({ result: `Done by ${workflowName}`, costUsd: 0.5, actions: ["Working"] }),
});

const GATED = {
  name: "login",
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    { id: "ok", gate: "Build this design?", needs: ["design"] },
    { id: "build", run: "implement", needs: ["ok"], from: "design", task: "Build it" },
  ],
};
const PLAN = { action: "plan", plan: GATED, session_name: "login", ...PLACE };

const starts = () => sim.api().posts("/run/");
const isAsked = ({ status }: Frame) => status === "input_required";
const isOver = ({ status }: Frame) => status === "completed" || status === "cancelled";

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "modern-plans-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function connect(folder = aFolder()): ModernInMemory & { folder: string } {
  return { ...connectModern({ plans: { folder, upstream: "the API" } }), folder };
}

/** Begins the plan as a task, and waits for its gate. */
async function beginToGate(client: ModernInMemory, plan: object = GATED) {
  const { result } = await client.call({ ...PLAN, plan }, {}, { progressToken: 1 });
  expect(result).toMatchObject({ resultType: "task", status: "working", taskId: expect.any(String) });
  const task = await client.poll(result.taskId, isAsked);
  const [key = ""] = Object.keys(task.inputRequests);
  return { taskId: result.taskId as string, task, key };
}

const decide = (client: ModernInMemory, taskId: string, key: string, decision: string) =>
  client.request("tasks/update", {
    taskId,
    inputResponses: { [key]: { action: "accept", content: { decision } } },
  });

test("a plan is a task by its name, its gate is asked by the task, and its end is the plan's answer", async () => {
  const client = connect();
  const { taskId, task, key } = await beginToGate(client);
  expect(taskId).toMatch(/^plan:/);
  expect(task.statusMessage).toMatch(/^login · design ✓/);
  expect(task.inputRequests[key].params.message).toContain("login: Build this design?");
  await decide(client, taskId, key, "approve");
  const { result } = await client.poll(taskId, isOver);
  expect(result.structuredContent).toMatchObject({
    outcome: "completed",
    plan: { name: "login", status: "completed", steps: [{}, { outcome: "approve in a chat" }, {}] },
  });
  expect(starts()).toHaveLength(2);
});

test("an answer to a gate that comes to another process of the same person counts, once", async () => {
  const first = connect();
  const { taskId, key } = await beginToGate(first);
  await first.server.close(0);
  const second = connect(first.folder);
  for (const _ of [1, 2]) await decide(second, taskId, key, "approve");
  const { result } = await second.poll(taskId, isOver);
  expect(result.structuredContent).toMatchObject({ outcome: "completed" });
  expect(starts()).toHaveLength(2);
});

test("a status of the plan that waits is the same task", async () => {
  const client = connect();
  const { taskId, key } = await beginToGate(client);
  const plan_id = taskId.slice("plan:".length, taskId.lastIndexOf("."));
  const { result } = await client.call({ action: "status", plan_id, wait_seconds: 600 });
  expect(result).toMatchObject({ resultType: "task", taskId });
  expect(Object.keys((await client.poll(taskId, isAsked)).inputRequests)).toEqual([key]);
});

test("a plan that is killed while its gate is asked ends; the answer of the form, which comes late, has no effect", async () => {
  const client = connect();
  const { taskId, key } = await beginToGate(client);
  const plan_id = taskId.slice("plan:".length, taskId.lastIndexOf("."));
  const noForms = { "io.modelcontextprotocol/clientCapabilities": {} };
  await client.call({ action: "kill", plan_id, confirm: true }, {}, noForms);
  await decide(client, taskId, key, "approve");
  const task = await client.poll(taskId, isOver);
  expect(task).toMatchObject({ status: "completed", result: { structuredContent: { outcome: "killed" } } });
  expect(starts()).toHaveLength(1);
});

test("an answer to a gate that was decided elsewhere meanwhile is told what was decided, and is not used", async () => {
  const client = connect();
  const again = { id: "sure", gate: "Really?", needs: ["ok"] };
  const { taskId, key } = await beginToGate(client, { ...GATED, steps: [...GATED.steps, again] });
  const plan_id = taskId.slice("plan:".length, taskId.lastIndexOf("."));
  const noForms = { "io.modelcontextprotocol/clientCapabilities": {} };
  const { result: shown } = await client.call({ action: "status", plan_id, wait_seconds: 0 }, {}, noForms);
  const [{ question_id }] = shown.structuredContent.plan.waiting_for;
  const answer = { action: "answer", plan_id, question_id, answer: "approve", confirm: true };
  await client.call(answer, {}, noForms);
  const next = await client.poll(taskId, (task) => isAsked(task) && !(key in task.inputRequests));
  await decide(client, taskId, key, "stop");
  const told = "Gate ok was decided meanwhile in a chat: approved.";
  const { statusMessage } = await client.poll(taskId, () => true);
  expect(statusMessage).toContain(`login · ${told} Your answer was not used. · `);
  await decide(client, taskId, Object.keys(next.inputRequests)[0] ?? "", "approve");
  const { result } = await client.poll(taskId, isOver);
  expect(result.structuredContent).toMatchObject({
    outcome: "completed",
    summary: expect.stringContaining(told),
  });
});

test("cancelled twice the plan is ended once, and says so", async () => {
  const client = connect();
  const { taskId } = await beginToGate(client);
  await Promise.all([client.request("tasks/cancel", { taskId }), client.request("tasks/cancel", { taskId })]);
  const task = await client.poll(taskId, () => true);
  expect(task).toMatchObject({
    status: "cancelled",
    statusMessage: expect.stringContaining("Killed: nothing of the plan goes on."),
  });
  expect(starts()).toHaveLength(1);
});
