import { describe, expect, it, onTestFinished } from "vitest";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { createOutsideQuestions, type OutsideQuestionsOptions } from "../src/answers/outside-questions.js";
import type { NeedView } from "../src/dashboard/views/needs.js";
import { rememberAgent } from "../src/engine/agent/remember-agent.js";
import { createRate } from "../src/server/http/rate.js";
import { createWrongTokens } from "../src/shared/http/wrong-tokens.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, silentLog } from "./support/harness.js";
import { HELLO, JSON_HEADERS, sendPlain, startHttpWithApi } from "./support/http.js";
import { connectModern } from "./support/modern-server.js";
import { createSkippingClock } from "./support/skipping-clock.js";

const HOUR_MS = 3_600_000;

async function serve(clock?: { now(): number }): Promise<ServedApi> {
  const served = await serveSimulatedApi({ paceMs: "manual", ...(clock ? { clock } : {}) });
  onTestFinished(() => served.close());
  return served;
}

describe("a clock that is set in the middle of a call", () => {
  it("back, does not make the wait for a delivery longer", async () => {
    const { api, url } = await serve();
    const clock = createSkippingClock();
    const { call } = await connectInMemory({ clock, settings: { BASE_URL: url } });
    const { data } = await call({ ...COMPLETE, wait_seconds: 0 });
    const answer = call({ action: "feedback", run_id: data.run.run_id, message: "Use JWT", wait_seconds: 1 });
    await api.waitFor(({ path }) => path.endsWith("/message-queue"));
    clock.set(-HOUR_MS);
    expect((await answer).data.outcome).toBe("ok");
  });

  it("forward, does not make an old run of somebody else's pass for the one whose answer was lost", async () => {
    let apiShift = -60_000;
    const { api, url } = await serve({ now: () => Date.now() + apiShift });
    const clock = createSkippingClock();
    const { call } = await connectInMemory({ clock, settings: { BASE_URL: url, REQUEST_TIMEOUT: "1" } });
    const { workflow_name, session_name, message } = COMPLETE;
    api.world.start(workflow_name, { message, session_name });
    apiShift = 0;
    api.fault({ method: "POST", path: "/run/" }, { hang: true });
    const work = call({ ...COMPLETE, wait_seconds: 0 });
    await api.waitFor(({ method }) => method === "POST");
    clock.set(HOUR_MS);
    const answer = await work;
    expect(answer.data.outcome).toBe("unknown");
    expect(answer.data).not.toHaveProperty("run");
  });

  it("back, does not make a person's no look like the client's", async () => {
    const { api, url } = await serve();
    const clock = createSkippingClock();
    const { call } = await connectInMemory({
      clock,
      settings: { BASE_URL: url },
      onForm() {
        clock.skip(60_000);
        clock.set(-HOUR_MS);
        return { action: "decline" };
      },
    });
    const { data } = await call({ workflow_name: "architect", message: "Design the JWT login" });
    expect(data).toMatchObject({
      outcome: "declined",
      summary: expect.stringContaining("The person declined."),
    });
    expect(api.posts("/run/")).toHaveLength(0);
  });

  it("back, does not make what a task says newer than that it could not be ended", async () => {
    const { api, url } = await serve();
    const { clock, call, request, poll } = connectModern({ settings: { BASE_URL: url } });
    const { taskId } = (await call(COMPLETE)).result;
    api.fault({ path: "/run/*/kill" }, { status: 503 });
    await poll(taskId, ({ statusMessage }) => Boolean(statusMessage));
    clock.set(-HOUR_MS);
    await request("tasks/cancel", { taskId });
    const { statusMessage } = await poll(taskId, () => true);
    expect(statusMessage).toMatch(/could not be ended, tried again .* (503|not answer|failed)/s);
  });
});

describe("a clock that was set back by an hour", () => {
  it("leaves the list of workflows as fresh as it is", async () => {
    const { api, url } = await serve();
    const clock = createSkippingClock();
    const { call } = await connectInMemory({ clock, settings: { BASE_URL: url } });
    const reads = () => api.requests.filter(({ path }) => path.endsWith("/manage")).length;
    await call({ action: "list_workflows" });
    const before = reads();
    clock.set(-HOUR_MS);
    clock.skip(6_000);
    await call({ action: "list_workflows" });
    expect(reads()).toBe(before + 1);
  });

  it("leaves the session that was used last open when another one needs its place", async () => {
    const clock = createSkippingClock();
    const { url } = await startHttpWithApi({ clock, settings: { HTTP_MAX_SESSIONS: "2" } });
    const open = async () => {
      const { headers } = await sendPlain(`${url}/mcp`, {
        method: "POST",
        headers: JSON_HEADERS,
        body: HELLO,
      });
      const own = { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) };
      const say = async (body: object) =>
        (await sendPlain(`${url}/mcp`, { method: "POST", headers: own, body: { jsonrpc: "2.0", ...body } }))
          .status;
      expect(await say({ method: "notifications/initialized" })).toBe(202);
      return () => say({ id: 2, method: "tools/list" });
    };
    const first = await open();
    clock.set(-HOUR_MS);
    const second = await open();
    await open();
    expect(await second()).toBe(200);
    expect(await first()).toBe(404);
  });

  it("leaves what a person is asked outside due at its time", async () => {
    const clock = createHandClock();
    const { asks, look } = askAt(clock, clock.now());
    await look();
    clock.set(-HOUR_MS);
    clock.advance(10_000);
    await look();
    expect(asks()).toBe(1);
  });

  it("leaves what was found of an agent's program true for a minute", async () => {
    const clock = createHandClock();
    let looks = 0;
    const find = rememberAgent(clock, async () => {
      looks++;
      return { ok: true } as Awaited<ReturnType<ReturnType<typeof rememberAgent>>>;
    });
    await find();
    clock.set(-HOUR_MS);
    clock.advance(60_000);
    await find();
    expect(looks).toBe(2);
  });
});

describe("a clock that was set ahead by an hour", () => {
  it("does not make who tries tokens be told at once again", async () => {
    const clock = createHandClock();
    const wrong = createWrongTokens({ clock, log: silentLog });
    for (let index = 0; index < 10; index++) await wrong.count("10.0.0.1");
    clock.set(HOUR_MS);
    const held = wrong.count("10.0.0.1");
    expect(await Promise.race([held, "not yet"])).toBe("not yet");
    clock.advance(250);
    await held;
  });

  it("gives nobody more requests", () => {
    const clock = createHandClock();
    const rate = createRate({ perMinute: 60, clock });
    expect(rate.take("anna", 60)).toBeUndefined();
    clock.set(HOUR_MS);
    expect(rate.take("anna", 1)).toBe(1);
  });

  it("does not make a person be asked outside sooner", async () => {
    const clock = createHandClock();
    const { asks, look } = askAt(clock, undefined);
    await look();
    clock.set(HOUR_MS);
    await look();
    expect(asks()).toBe(0);
  });
});

/** What asks people outside, with one thing that waits. @param since as it tells itself */
function askAt(clock: HandClock, since: number | undefined) {
  let asks = 0;
  const need = { id: "gate", kind: "gate", title: "Build this?", choices: [], since } as unknown as NeedView;
  const questions = createOutsideQuestions({
    services: { clock },
    board: { read: async () => ({ needs: [need] }) },
    asked: [{ service: "slack", title: "Slack", target: "slack", people: [] }],
    read: async () => [],
    change: async () => void asks++,
    onWritten() {},
    isAsking: () => true,
    log: silentLog,
    signal: new AbortController().signal,
  } as unknown as OutsideQuestionsOptions);
  return { asks: () => asks, look: () => questions.bringUpToDate() };
}
