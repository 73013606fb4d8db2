import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { traceParentOf } from "../src/shared/trace-parent.js";
import { readEvents } from "./contract/event-reader.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let client: ContractClient;

async function open(): Promise<void> {
  engine = await startLocalEngine(place.folder);
  client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
}

beforeEach(async () => {
  place = engineFolder();
  await open();
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

function events(path = "/events", headers: Record<string, string> = {}) {
  return readEvents(`${engine.url}${API}${path}`, { "x-api-key": ENGINE_KEY, ...headers });
}

describe("a question of the agent", () => {
  it("is put to the person, and the answer reaches the agent", async () => {
    const message = withScript("Design it", { steps: [{ ask: [QUESTION] }, { text: "Settled." }] });
    const { run_id } = await client.start({ message }, "architect");
    const waiting = await client.until(run_id, (status) => status.waiting_for === "question");
    expect(waiting).toMatchObject({
      status: "running",
      questions: [{ kind: "question", text: QUESTION.question }],
    });
    const [question] = (await client.get(`/run/${run_id}/questions`)).body.questions;
    expect(question).toEqual(waiting.questions[0]);
    expect(question.choices).toMatchObject([
      { title: "PostgreSQL", description: "With JSON" },
      { title: "SQLite", description: "One file" },
    ]);
    const path = `/run/${run_id}/questions/${question.question_id}/answer`;
    const answered = await client.post(path, { answer: "A graph database" });
    expect(answered).toMatchObject({
      status: 200,
      body: { answer: "A graph database", answered_by: "person" },
    });
    expect((await client.post(path, { answer: "SQLite" })).status).toBe(409);
    expect(await client.ended(run_id)).toMatchObject({
      status: "completed",
      waiting_for: null,
      questions: [],
    });
    expect((await client.get(`/run/${run_id}/questions`)).body.questions).toEqual([answered.body]);
  });

  it("for leave is answered once, and what is refused is not carried out", async () => {
    const tools = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });
    const message = withScript("Publish it", { steps: [tools("touch published"), tools("touch tagged")] });
    const { run_id } = await client.start({ message }, "implement");
    for (const answer of ["deny", "allow_once"]) {
      const status = await client.until(run_id, (found) => found.waiting_for === "question");
      const [question] = status.questions;
      expect(question).toMatchObject({ kind: "permission", tool_name: "Bash" });
      expect(question.text).toMatch(/^implement wants to run `touch/);
      expect(question.choices.map(({ value }: { value: string }) => value)).toEqual([
        "allow_once",
        "allow_run",
        "deny",
      ]);
      await client.post(`/run/${run_id}/questions/${question.question_id}/answer`, { answer });
    }
    const { result } = await client.ended(run_id);
    expect(result.files_changed).toEqual(["tagged"]);
  });

  it("of another run, or of none, is not found", async () => {
    const { run_id } = await client.start();
    expect((await client.post(`/run/${run_id}/questions/q/answer`, { answer: "yes" })).status).toBe(404);
    expect((await client.post("/run/nobody/questions/q/answer", { answer: "yes" })).status).toBe(404);
    await client.ended(run_id);
  });
});

describe("the engine's events", () => {
  it("tell a run from its start to its end", async () => {
    const reader = await events();
    await reader.count(1);
    const { run_id } = await client.start({
      message: withScript("Go", {
        steps: [{ tools: [{ name: "Bash", input: { command: "echo one" } }] }, { text: "Done." }],
      }),
    });
    const status = await client.ended(run_id);
    await expect.poll(() => reader.events.at(-1)?.data.type).toBe("finished");
    const told = reader.events.slice(1);
    expect(told.every(({ data }) => data.run_id === run_id)).toBe(true);
    expect(
      told.map(({ data }) => data.type).filter((type) => ["status", "turn", "finished"].includes(type)),
    ).toEqual(["status", "status", "turn", "turn", "finished"]);
    expect(told.find(({ data }) => data.type === "action")?.data.run.current_action).toBe("Bash: echo one");
    expect(told.at(-1)?.data.run).toMatchObject(status);
    expect(status.result.final_output).toBe("Done.");
    const again = await events(`/run/${run_id}/events`, { "last-event-id": "0" });
    await again.count(reader.events.length);
    expect(again.events.slice(1).map(({ id }) => id)).toEqual(told.map(({ id }) => id));
  });

  it("go on over a restart without a gap", async () => {
    const first = await client.start();
    await client.ended(first.run_id);
    const reader = await events();
    const [begin] = await reader.count(1);
    await engine.close();
    expect(await reader.ended).toBe("ended");
    await open();
    const second = await client.start();
    await client.ended(second.run_id);
    const resumed = await events("/events", { "last-event-id": String(begin?.id) });
    await resumed.count(5);
    expect(resumed.events[0]?.data.gap).toBe(false);
    expect(resumed.events.slice(1).every(({ data }) => data.run_id === second.run_id)).toBe(true);
    const whole = await events("/events", { "last-event-id": "0" });
    await whole.count(10);
    expect(new Set(whole.events.slice(1).map(({ data }) => data.run_id))).toEqual(
      new Set([first.run_id, second.run_id]),
    );
  });
});

describe("the engine that stops", () => {
  it("ends its agents, says so to who listens, and lets the session go on afterwards", async () => {
    const { run_id, session_id } = await client.start({
      message: withScript("Wait", { steps: [{ text: "Waiting" }, { hang: true }] }),
    });
    await client.until(run_id, (status) => status.current_turn === 1);
    const reader = await events();
    await reader.count(1);
    await engine.close();
    await reader.ended;
    expect(reader.events.at(-1)?.data).toMatchObject({ type: "finished", run: { status: "failed" } });
    await open();
    expect((await client.get(`/run/${run_id}/status`)).body).toMatchObject({
      status: "failed",
      error_code: "interrupted",
      error_message: expect.stringContaining("The engine was stopped"),
    });
    const next = await client.start({ session_id }, "fix");
    const { result } = await client.ended(next.run_id);
    expect(result.final_output).toContain("Wait");
  });
});

describe("a start that is refused", () => {
  const START = { message: "Go", input_format: "stream-json" };

  it("for want of Claude Code says so, states that nothing was started, and leaves no run", async () => {
    await engine.close();
    engine = await startLocalEngine(place.folder, { claudePath: "/nowhere/claude" });
    client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
    expect(await client.post("/run/fix", START)).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining("Claude Code was not found"), started: false },
    });
    expect((await client.get("/runs")).body.total_count).toBe(0);
  });

  it("because the engine is stopping states that nothing was started, and leaves no run", async () => {
    const { run_id } = await client.start({
      message: withScript("Wait", { steps: [{ text: "Waiting" }, { hang: true }] }),
    });
    await client.until(run_id, (status) => status.current_turn === 1);
    const closed = engine.close();
    expect(await client.post("/run/fix", START)).toMatchObject({ status: 503, body: { started: false } });
    await closed;
    await open();
    expect((await client.get("/runs")).body.total_count).toBe(1);
  });
});

describe("a start with a key of its own", () => {
  const START = { message: "Go", input_format: "stream-json" };
  const start = (key: string, body: object = START) =>
    client.call("POST", "/run/fix", {
      headers: { "x-api-key": ENGINE_KEY, "idempotency-key": key },
      body,
    });

  it("is one run, however often it is asked for, also at once and after a restart", async () => {
    const [first, second] = await Promise.all([start("k1"), start("k1")]);
    expect(first.status).toBe(200);
    expect(second).toMatchObject({ status: 200, body: first.body });
    await client.ended(first.body.run_id);
    expect((await start("k1")).body).toEqual(first.body);
    await engine.close();
    await open();
    expect((await start("k1")).body).toEqual(first.body);
    expect((await client.get("/runs")).body.total_count).toBe(1);
    const other = await start("k2");
    expect(other.body.run_id).not.toBe(first.body.run_id);
  });

  it("is refused when the key came with another request, or is none, and nothing is started", async () => {
    await start("k1");
    expect(await start("k1", { ...START, message: "Something else" })).toMatchObject({
      status: 422,
      body: { detail: expect.stringMatching(/came with another request before\. Nothing was started/) },
    });
    for (const key of ["two words", "x".repeat(201)]) {
      expect(await start(key)).toMatchObject({
        status: 422,
        body: { detail: [{ type: "value_error", loc: ["header", "idempotency-key"] }] },
      });
    }
    expect((await client.get("/runs")).body.total_count).toBe(1);
    const { body } = await client.call("GET", "root:/api/v1/openapi.json");
    const { parameters } = body.paths["/api/v1/workflows/claude-code/run/{workflow_name}"].post;
    expect(parameters).toContainEqual(
      expect.objectContaining({ in: "header", name: "idempotency-key", required: false }),
    );
  });
});

describe("a run that fails before there is an agent", () => {
  it("says that nothing was started and charged, in its status and in the list", async () => {
    const { run_id } = await client.start({ message: "Go", repository_url: "/nowhere/project" });
    const status = await client.ended(run_id);
    expect(status).toMatchObject({
      status: "failed",
      started: false,
      error_message: expect.stringMatching(/^Not started; nothing was charged\. The repository address/),
    });
    expect((await client.get("/runs")).body.runs).toMatchObject([{ run_id, started: false, total_cost: 0 }]);
    const ran = await client.start({ message: withScript("Go", { steps: [{ exit: 3 }] }) });
    const other = await client.ended(ran.run_id);
    expect(other.status).toBe("failed");
    expect(other).not.toHaveProperty("started");
  });
});

describe("twenty runs at once", () => {
  it("keep apart what belongs to each", async () => {
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    const started = await Promise.all(
      numbers.map((n) =>
        client.start({
          session_name: `session ${n}`,
          message: withScript(`Task ${n}`, {
            steps: [
              { tools: [{ name: "Write", input: { file_path: `file-${n}.txt`, content: String(n) } }] },
              { text: `Result ${n}` },
            ],
          }),
        }),
      ),
    );
    for (const n of numbers) {
      const status = await client.ended(started[n].run_id);
      expect(status).toMatchObject({
        status: "completed",
        session_name: `session ${n}`,
        result: { final_output: `Result ${n}`, files_changed: [`file-${n}.txt`] },
      });
    }
    expect(new Set(started.map((run) => run.session_id)).size).toBe(20);
    // A run has ended a moment before that is safe on the disk.
    await expect.poll(() => engine.activeRuns()).toBe(0);
  }, 60_000);
});

it("what a command prints is told with the run's events, its middle left out where it is long", async () => {
  const run = (command: string) => ({ tools: [{ name: "Bash", input: { command }, run: true }] });
  const steps = [run("echo ok"), run("echo $(seq 1 2000)")];
  const { run_id } = await client.start({ message: withScript("Tell", { steps }) }, "implement");
  await client.ended(run_id);
  const reader = await events(`/run/${run_id}/events`, { "last-event-id": "0" });
  const outputs = () =>
    reader.events.filter(({ data }) => data.type === "output").map(({ data }) => data.data);
  await vi.waitFor(() => expect(outputs()).toHaveLength(2), { timeout: 10_000 });
  const [short, long] = outputs();
  expect(short).toEqual({ text: "ok", failed: false });
  expect(long.text).toMatch(/^1 2 3 .*\n\(… \d+ characters are not shown here …\)\n.* 1999 2000$/);
  expect(long.text.length).toBeLessThanOrEqual(2_000);
});

it("an agent is told where its run stands in traces, which follows from the run's id", async () => {
  const tell = { tools: [{ name: "Bash", input: { command: 'echo "$TRACEPARENT" > trace' }, run: true }] };
  const { run_id } = await client.start({ message: withScript("Tell", { steps: [tell] }) }, "implement");
  const { result, workspace_path } = await client.ended(run_id);
  expect(result.files_changed).toEqual(["trace"]);
  const told = readFileSync(join(workspace_path, "trace"), "utf8").trim();
  expect(told).toBe(traceParentOf(run_id));
  expect(told).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});
