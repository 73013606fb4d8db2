import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { readEvents } from "./contract/event-reader.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const MINUTE = 60_000;
/** Goes on until it is killed. */
const HANGS = [{ text: "Working" }, { hang: true }];
const ASKS = [{ ask: [QUESTION] }, { text: "Settled" }];

/** An engine over HTTP whose long waits can be skipped, and what the tests do with its runs. */
async function openEngine(slots: number, settings: Parameters<typeof startLocalEngine>[1] = {}) {
  const place = engineFolder();
  const clock = createSkippingClock();
  const open = () => startLocalEngine(place.folder, { engineConcurrency: slots, ...settings }, {}, { clock });
  const engine = await open();
  onTestFinished(async () => {
    await engine.close();
    place.remove();
  });
  const client: ContractClient = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
  async function start(name: string, steps: object[], fields: object = {}): Promise<string> {
    const message = withScript(`Do ${name}`, { steps });
    return (await client.start({ message, session_name: name, ...fields })).run_id;
  }
  return {
    ...client,
    url: engine.url,
    clock,
    /** The engine is stopped and started again. */
    async restart() {
      await engine.close();
      const next = await open();
      onTestFinished(() => next.close());
      return createContractClient({ url: next.url, apiKey: ENGINE_KEY });
    },
    startRun: start,
    /** A run that waits for its person, a minute later. */
    async startIdle(name: string, steps: object[] = ASKS, fields: object = {}) {
      const runId = await start(name, steps, fields);
      await client.until(runId, (status) => status.waiting_for === "question");
      clock.skip(MINUTE);
      return runId;
    },
    status: async (runId: string) => (await client.get(`/run/${runId}/status`)).body,
    slots: async () => (await client.get("/slots")).body,
    working: (runId: string) => client.until(runId, (status) => status.current_action === "Working"),
    async answer(runId: string, answer = "SQLite", index = 0) {
      const { questions } = (await client.get(`/run/${runId}/questions`)).body;
      return client.post(`/run/${runId}/questions/${questions[index].question_id}/answer`, { answer });
    },
    kill: (runId: string) => client.post(`/run/${runId}/kill`, undefined, { force: "true" }),
    /** What the agent has read as its last tool's result; undefined while there is none. */
    readByAgent(sessionId: string): string | undefined {
      const file = join(place.folder, ".scripted-agent", `${sessionId}.json`);
      return JSON.parse(readFileSync(file, "utf8")).lastToolResult;
    },
  };
}

const names = (runs: { session_name: string }[]) => runs.map(({ session_name }) => session_name);

describe("a run that waits for its person", () => {
  it("keeps its slot for a minute, then gives it to the next", async () => {
    const { startRun, until: seen, clock, status, working, slots } = await openEngine(1);
    const asks = await startRun("asks", ASKS);
    await seen(asks, (one) => one.waiting_for === "question");
    const next = await startRun("next", HANGS);
    clock.skip(MINUTE - 5_000);
    expect(await status(next)).toMatchObject({ status: "pending", waits_for_slot: { busy: ["asks"] } });
    clock.skip(5_000);
    await working(next);
    expect(await status(asks)).toMatchObject({ status: "running", waiting_for: "question" });
    const { busy, asking, waiting } = await slots();
    expect([names(busy), names(asking), names(waiting)]).toEqual([["next"], ["asks"], []]);
  });

  it("gets its answer with the next free slot, before runs that have not begun", async () => {
    const { startRun, startIdle, status, working, answer, kill, ended, readByAgent } = await openEngine(1);
    const asks = await startIdle("asks");
    const busy = await startRun("busy", HANGS);
    const later = await startRun("later", ASKS);
    await working(busy);
    expect((await answer(asks)).status).toBe(200);
    const answered = await status(asks);
    expect(answered).toMatchObject({
      status: "running",
      waiting_for: null,
      current_action: "Answered, waiting for a free slot, position 1 (1 of 1 busy: busy)",
      waits_for_slot: { position: 1, slots: 1, busy: ["busy"], answered: true },
    });
    expect(readByAgent(answered.session_id)).toBeUndefined();
    expect((await status(later)).current_action).toBe(
      "Waiting for a free slot, position 2 (1 of 1 busy: busy)",
    );
    await kill(busy);
    expect(await ended(asks)).toMatchObject({ status: "completed", waits_for_slot: null });
    expect(readByAgent(answered.session_id)).toContain("SQLite");
    const { started_at } = await status(later);
    expect(Date.parse(started_at)).toBeGreaterThanOrEqual(Date.parse((await status(asks)).completed_at));
  });

  it("goes on at once where a slot is free", async () => {
    const { startIdle, answer, ended, slots } = await openEngine(1);
    const asks = await startIdle("asks");
    expect((await slots()).busy).toEqual([]);
    await answer(asks);
    expect((await ended(asks)).status).toBe("completed");
  });

  it("is told that nobody has answered with the next free slot, too", async () => {
    const opened = await openEngine(1, { engineQuestionTimeoutS: 120 });
    const { startRun, startIdle, clock, until: seen, working, kill, ended, readByAgent } = opened;
    const asks = await startIdle("asks");
    const busy = await startRun("busy", HANGS);
    await working(busy);
    clock.skip(MINUTE);
    const { session_id, current_action } = await seen(asks, (one) => one.waits_for_slot?.answered);
    expect(current_action).toBe(
      "Not answered in time, waiting for a free slot, position 1 (1 of 1 busy: busy)",
    );
    expect(readByAgent(session_id)).toBeUndefined();
    await kill(busy);
    await ended(asks);
    expect(readByAgent(session_id)).toMatch(/^Nobody answered/);
  });

  it("is killed as any other, before and after its answer, and the slot stays whose it is", async () => {
    const { startRun, startIdle, working, answer, kill, ended, slots } = await openEngine(1);
    const [first, second] = [await startIdle("first"), await startIdle("second")];
    const busy = await startRun("busy", HANGS);
    await working(busy);
    await answer(first);
    for (const runId of [first, second]) {
      expect((await kill(runId)).status).toBe(200);
      expect((await ended(runId)).status).toBe("killed");
    }
    const { busy: atWork, asking, waiting } = await slots();
    expect([names(atWork), asking, waiting]).toEqual([["busy"], [], []]);
  });

  it("is interrupted when the engine stops, and its answer stays recorded", async () => {
    const { startRun, startIdle, working, answer, restart } = await openEngine(1);
    const [asks, answered] = [await startIdle("asks"), await startIdle("answered")];
    await working(await startRun("busy", HANGS));
    await answer(answered);
    const { get } = await restart();
    for (const [runId, by] of [
      [asks, "ended"],
      [answered, "person"],
    ]) {
      const { body } = await get(`/run/${runId}/status`);
      expect(body).toMatchObject({ status: "failed", error_code: "interrupted", waits_for_slot: null });
      const { questions } = (await get(`/run/${runId}/questions`)).body;
      expect(questions).toMatchObject([{ answered_by: by }]);
    }
  });

  it("does not lose its time while it waits for a slot, only while it waits for its person", async () => {
    const { startRun, startIdle, working, clock, answer, kill, ended, status } = await openEngine(1);
    const asks = await startIdle("asks", ASKS, { timeout: 120 });
    const busy = await startRun("busy", HANGS, { timeout: 14_400 });
    await working(busy);
    await answer(asks);
    clock.skip(60 * MINUTE);
    expect((await status(asks)).waits_for_slot.answered).toBe(true);
    await kill(busy);
    expect((await ended(asks)).status).toBe("completed");
    const unanswered = await startIdle("unanswered", ASKS, { timeout: 120 });
    clock.skip(2 * MINUTE);
    expect(await ended(unanswered)).toMatchObject({ status: "failed" });
  });

  it("needs all answers of one request before it needs a slot", async () => {
    const second = { ...QUESTION, question: "And which cache?" };
    const opened = await openEngine(1);
    const { startRun, startIdle, working, answer, kill, ended, status, readByAgent } = opened;
    const asks = await startIdle("asks", [{ ask: [QUESTION, second] }, { text: "Settled" }]);
    const busy = await startRun("busy", HANGS);
    await working(busy);
    await answer(asks, "SQLite", 0);
    expect(await status(asks)).toMatchObject({ waiting_for: "question", waits_for_slot: null });
    await answer(asks, "PostgreSQL", 1);
    const { session_id, waits_for_slot } = await status(asks);
    expect(waits_for_slot).toMatchObject({ answered: true });
    await kill(busy);
    await ended(asks);
    expect(readByAgent(session_id)).toMatch(/SQLite.*PostgreSQL/);
  });

  it("has an answer that settles other requests settle them at once, so that none of them is answered twice", async () => {
    const asked = (id: string) => ({
      raw: {
        type: "control_request",
        request_id: id,
        request: { subtype: "can_use_tool", tool_name: "Bash", input: { command: "npm publish" } },
      },
    });
    const { startRun, startIdle, working, answer, get } = await openEngine(1);
    const asks = await startIdle("asks", [asked("one"), asked("two"), { hang: true }]);
    await working(await startRun("busy", HANGS));
    await answer(asks, "allow_run", 0);
    const { questions } = (await get(`/run/${asks}/questions`)).body;
    expect(questions.map((one: { answer: string }) => one.answer)).toEqual(["allow_run", "allow_run"]);
    expect((await answer(asks, "deny", 1)).status).toBe(409);
  });

  it("keeps its slot while a command of a sub-agent goes on beside the question", async () => {
    const call = (id: string, parent: string | null) => ({
      raw: {
        type: "assistant",
        message: {
          id: `msg-${id}`,
          model: "scripted-model",
          content: [{ type: "tool_use", id, name: parent === null ? "Task" : "Bash", input: {} }],
        },
        parent_tool_use_id: parent,
      },
    });
    const { startRun, startIdle, working, slots, clock } = await openEngine(1);
    await startIdle("asks", [call("task", null), call("command", "task"), ...ASKS]);
    const next = await startRun("next", HANGS);
    const { busy, waiting } = await slots();
    expect([names(busy), names(waiting)]).toEqual([["asks"], ["next"]]);
    // What is silent for so long has lost its end.
    for (let minutes = 0; minutes < 20; minutes++) clock.skip(MINUTE);
    await working(next);
  });

  it("has the next run of its session wait for it, also while slots are free", async () => {
    const { startRun, startIdle, status, answer, working } = await openEngine(2);
    const asks = await startIdle("asks");
    const { session_id } = await status(asks);
    const next = await startRun("asks", HANGS, { session_id });
    expect(await status(next)).toMatchObject({
      status: "pending",
      current_action: "Waiting for the run before it in this session (implement), which waits for an answer",
      waits_for_slot: { busy: [], after_run: asks },
    });
    await answer(asks);
    await working(next);
  });

  it("asks for a slot when it does something all the same", async () => {
    const { startRun, startIdle, working, slots, kill, post, until: seen } = await openEngine(1);
    const helper = [{ listen: 1 }, { tools: [{ name: "Read", input: { file_path: "a" } }] }];
    const asks = await startIdle("asks", [{ background: helper, name: "helper" }, ...ASKS]);
    const busy = await startRun("busy", HANGS);
    const later = await startRun("later", HANGS);
    await working(busy);
    expect(names((await slots()).asking)).toEqual(["asks"]);
    await post(`/run/${asks}/add-message`, { message_type: "user", content: "Go on" });
    await seen(asks, ({ current_action }) => /^Sub-agent: /.test(current_action));
    const { asking, waiting } = await slots();
    expect([names(asking), names(waiting)]).toEqual([[], ["asks", "later"]]);
    await kill(busy);
    await seen(later, ({ waits_for_slot }) => waits_for_slot?.busy.includes("asks"));
  });

  it("keeps no more than four agents alive beyond the slots: then the next begins when one has been answered", async () => {
    const { startRun, startIdle, status, answer, working, ended } = await openEngine(1);
    const idle = [];
    for (const name of ["a", "b", "c", "d", "e"]) idle.push(await startIdle(name));
    const next = await startRun("next", HANGS);
    expect((await status(next)).current_action).toBe(
      "Waiting until a session is answered, position 1: 5 wait for a person, and no more agents are kept alive (a, b, " +
        "c and 2 more)",
    );
    await answer(idle[2] ?? "");
    await ended(idle[2] ?? "");
    await working(next);
  });

  it("is told to streams whenever it waits otherwise, under the number of the last event, so that nothing is missed", async () => {
    const { startRun, working, kill, until: seen, url } = await openEngine(1);
    const headers = { "x-api-key": ENGINE_KEY };
    const stream = await readEvents(`${url}${API}/events`, headers);
    const busy = await startRun("busy", HANGS);
    await working(busy);
    await startRun("next", HANGS);
    const later = await startRun("later", HANGS);
    const patience = { timeout: 60_000 };
    const waits = () =>
      stream.events
        .filter(({ event, data }) => event === "run" && data.type === "wait" && data.run_id === later)
        .map(({ data }) => data.run.current_action);
    await vi.waitFor(
      () => expect(waits()).toEqual(["Waiting for a free slot, position 2 (1 of 1 busy: busy)"]),
      patience,
    );
    await kill(busy);
    await seen(later, ({ waits_for_slot }) => waits_for_slot?.busy.includes("next"));
    await vi.waitFor(
      () => expect(waits().at(-1)).toBe("Waiting for a free slot, position 1 (1 of 1 busy: next)"),
      patience,
    );
    const told = stream.events.filter(({ event }) => event === "run");
    const ids = told.map(({ id }) => id ?? 0);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    const index = told.findIndex(({ data }) => data.type === "wait");
    const resumed = await readEvents(`${url}${API}/events`, {
      ...headers,
      "last-event-id": String(ids[index]),
    });
    const stored = told.slice(index + 1).filter(({ data }) => data.type !== "wait");
    const resumedIds = () => resumed.events.filter(({ event }) => event === "run").map(({ id }) => id);
    const expected = stored.map(({ id }) => id);
    // More may have happened meanwhile.
    await vi.waitFor(() => expect(resumedIds().slice(0, expected.length)).toEqual(expected), patience);
  });
});
