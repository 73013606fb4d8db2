import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const world = () => sim.api().world;
const queued = () => sim.api().posts("/run/*/add-message");
const MESSAGE = "Make sure to include refresh token rotation";

/** A run that somebody else has started. */
const startElsewhere = (name: string, more: Record<string, string> = {}) =>
  world().start("architect", { message: "Design it", session_name: name, ...more }).runId;

describe("feedback", () => {
  it("goes out at once by a run's id: no request comes before it", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const before = sim.api().requests.length;
    const answer = await call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 0 });
    expect(sim.api().requests.slice(before)).toMatchObject([
      {
        method: "POST",
        path: `/run/${run_id}/add-message`,
        body: { message_type: "user", content: MESSAGE },
      },
    ]);
    expect(answer.data).toMatchObject({ outcome: "ok", queue: { waiting: 1, added: 1, consumed: 0 } });
  });

  it("is called delivered when the agent has taken it up", async () => {
    const run_id = startElsewhere("auth");
    world().addMessage(run_id, "user", "An earlier one");
    const { call } = await connectInMemory();
    const pending = call({ action: "feedback", session_name: "auth", message: MESSAGE });
    await sim.api().waitFor((request) => request.path.endsWith("/message-queue"));
    world().run(run_id).turn();
    const answer = await pending;
    expect(answer.text).toMatch(/^Delivered: the agent of workflow architect, session "auth"/);
    expect(answer.data.queue).toMatchObject({ waiting: 0, added: 2, consumed: 2 });
    expect(world().run(run_id).state.takenUp).toContain(MESSAGE);
  });

  it("is not called delivered because earlier messages were", async () => {
    const run_id = startElsewhere("auth");
    world().addMessage(run_id, "user", "An earlier one");
    world().run(run_id).turn();
    const { call } = await connectInMemory();
    const answer = await call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 0.5 });
    expect(answer.text).toMatch(/^Accepted, not delivered so far/);
    expect(answer.data.queue).toMatchObject({ waiting: 1, added: 2, consumed: 1 });
  });

  it("is called accepted and not delivered when it was not taken up in time, and can be looked after", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const answer = await call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 0.5 });
    expect(answer.text).toMatch(/^Accepted, not delivered so far/);
    expect(answer.data.next_step.arguments).toEqual({ action: "message_queue", run_id });
    world().run(run_id).turn();
    const later = await call(answer.data.next_step.arguments);
    expect(later.data).toMatchObject({ outcome: "ok", queue: { waiting: 0, added: 1, consumed: 1 } });
    expect(queued()).toHaveLength(1);
  });

  it.each([
    ["off", "Some servers never hand queued messages to the agent."],
    ["local", "The agent reads it when its current step is done."],
  ])("says when it can be read, with ENGINE=%s", async (ENGINE, words) => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory({ settings: { ENGINE } });
    const answer = await call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 0 });
    expect(answer.data.summary).toContain(words);
  });

  it("says when the run has ended without its agent reading it", async () => {
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    const pending = call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 14_400 });
    await sim.api().waitFor((request) => request.path.endsWith("/message-queue"));
    world().run(run_id).complete();
    const answer = await pending;
    expect(answer.text).toMatch(/^Accepted, not delivered so far/);
    expect(answer.text).toContain("has ended meanwhile");
  });

  it("waits some seconds for the proof unless told otherwise", async () => {
    const run_id = startElsewhere("auth");
    const clock = createHandClock();
    const { call } = await connectInMemory({ clock });
    const began = clock.now();
    let isDone = false;
    const pending = call({ action: "feedback", run_id, message: MESSAGE }).finally(() => {
      isDone = true;
    });
    await until(() => {
      clock.advance(20);
      return isDone;
    }, "the answer");
    await pending;
    expect(clock.now() - began).toBeGreaterThanOrEqual(5_000);
    expect(sim.api().requests.filter((one) => one.path.endsWith("/message-queue")).length).toBeGreaterThan(1);
  });

  it("carries its type", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const message = { action: "feedback", run_id, message: MESSAGE, wait_seconds: 0 };
    await call({ ...message, message_type: "system" });
    expect(queued()[0]?.body).toEqual({ message_type: "system", content: MESSAGE });
    const wrong = await call({ ...message, message_type: "shout" });
    expect(wrong).toMatchObject({ isError: true, text: expect.stringContaining("`message_type`") });
    expect(queued()).toHaveLength(1);
  });

  it("finds the newest run that goes on, by name, by session id and by a run's id in any place", async () => {
    const first = startElsewhere("auth");
    const session_id = world().run(first).state.sessionId;
    const second = startElsewhere("auth", { session_id });
    world().run(second).complete();
    const { call } = await connectInMemory();
    for (const target of [
      { session_name: "auth" },
      { session_id },
      { session_name: session_id },
      { session_name: first },
    ]) {
      await call({ action: "feedback", ...target, message: MESSAGE, wait_seconds: 0 });
      expect(queued().at(-1)?.path).toBe(`/run/${first}/add-message`);
    }
  });
});

describe("feedback for what is over", () => {
  it("is not sent: the answer says how the session stands and offers to continue it", async () => {
    const run_id = startElsewhere("auth");
    world().run(run_id).complete();
    const { call } = await connectInMemory();
    const answer = await call({ action: "feedback", session_name: "auth", message: MESSAGE });
    expect(answer.isError).toBe(false);
    expect(answer.text).toContain("Nothing was sent");
    expect(answer.text).toContain("completed");
    expect(queued()).toHaveLength(0);
    expect(answer.data.next_step.arguments).toEqual({
      action: "run",
      workflow_name: "architect",
      continue_session: "auth",
      message: MESSAGE,
    });
    await call({ ...answer.data.next_step.arguments, wait_seconds: 0 });
    expect(sim.api().posts("/run/")[0]?.body).toMatchObject({ message: MESSAGE, session_name: "auth" });
  });

  it("is refused by the API where only the run's id is known, and answered in the same way", async () => {
    const run_id = startElsewhere("auth");
    world().run(run_id).fail("the disk is full");
    const { call } = await connectInMemory();
    const answer = await call({ action: "feedback", run_id, message: MESSAGE });
    expect(answer.isError).toBe(false);
    expect(answer.text).toMatch(/Nothing was sent.*is failed/);
    expect(answer.data.next_step.arguments).toMatchObject({ action: "run", continue_session: "auth" });
  });

  it("is not even tried where the end was seen here", async () => {
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    world().run(run_id).complete();
    await call({ action: "status", run_id, wait_seconds: 5 });
    const before = sim.api().requests.length;
    const answer = await call({ action: "feedback", run_id, message: MESSAGE });
    expect(answer.data.next_step.arguments).toMatchObject({ continue_session: COMPLETE.session_name });
    expect(sim.api().requests).toHaveLength(before);
  });
});

describe("feedback for what is over, in whatever words the API refuses it", () => {
  const refusal = { status: 409, body: { detail: "The run has already finished" } };

  it("is answered by how the run stands", async () => {
    const run_id = startElsewhere("auth");
    world().run(run_id).complete();
    sim.api().fault({ path: "/run/*/add-message" }, refusal);
    const { call } = await connectInMemory();
    const answer = await call({ action: "feedback", run_id, message: MESSAGE });
    expect(answer.isError).toBe(false);
    expect(answer.text).toMatch(/Nothing was sent.*is completed/);
    expect(answer.data.next_step.arguments).toMatchObject({ continue_session: "auth" });
  });

  it("stays a refusal when the run goes on or cannot be read", async () => {
    const run_id = startElsewhere("auth");
    sim.api().fault({ path: "/run/*/add-message" }, refusal);
    const { call } = await connectInMemory();
    for (const more of [() => {}, () => sim.api().fault({ path: "/run/*/status" }, { status: 503 })]) {
      more();
      const answer = await call({ action: "feedback", run_id, message: MESSAGE });
      expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("already finished") });
    }
  });
});

describe("a long wait for the proof of delivery", () => {
  it("asks less and less often", async () => {
    const run_id = startElsewhere("auth");
    const clock = createHandClock();
    const settings = { POLLING_INTERVAL: "8", REQUEST_TIMEOUT: "120" };
    const { call } = await connectInMemory({ clock, settings });
    const looks = () => sim.api().requests.filter((one) => one.path.endsWith("/message-queue")).length;
    const began = clock.now();
    let isDone = false;
    const pending = call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 60 }).finally(() => {
      isDone = true;
    });
    await until(() => {
      if (!isDone) clock.advance(100);
      return isDone;
    }, "the answer");
    expect((await pending).text).toMatch(/^Accepted, not delivered so far/);
    expect(clock.now() - began).toBeGreaterThanOrEqual(60_000);
    // Every 400 ms it would be 150.
    expect(looks()).toBeLessThan(20);
    expect(looks()).toBeGreaterThan(5);
  });

  it("ends with the run, also with one that somebody else has started", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const pending = call({ action: "feedback", run_id, message: MESSAGE, wait_seconds: 14_400 });
    await sim.api().waitFor((request) => request.path.endsWith("/message-queue"));
    world().run(run_id).complete();
    expect((await pending).text).toContain("has ended meanwhile");
  });
});

describe("feedback that goes wrong", () => {
  it("names what is nearest to an unknown session, and sends nothing", async () => {
    startElsewhere("auth-system-project");
    const { call } = await connectInMemory();
    for (const target of [{ session_name: "auth-sistem-project" }, { session_id: "auth-sistem-project" }]) {
      const answer = await call({ action: "feedback", ...target, message: MESSAGE });
      expect(answer).toMatchObject({
        isError: true,
        text: expect.stringContaining("nearest: auth-system-project"),
      });
    }
    expect(queued()).toHaveLength(0);
  });

  it("says of an unknown run's id that there is no such run, or which run its session has", async () => {
    const running = startElsewhere("auth");
    const { call } = await connectInMemory();
    const unknown = await call({ action: "feedback", run_id: "no-such-run", message: MESSAGE });
    expect(unknown).toMatchObject({ isError: true, text: expect.stringContaining('"no-such-run"') });
    const named = await call({ action: "feedback", run_id: "auth", message: MESSAGE });
    expect(named.isError).toBe(true);
    expect(named.data.next_step.arguments).toEqual({ action: "feedback", run_id: running, message: MESSAGE });
  });

  it("is unknown when the answer was lost, and not sent twice", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory({ settings: { MAX_RETRIES: "3" } });
    sim.api().fault({ path: "/run/*/add-message" }, { drop: "after" });
    const answer = await call({ action: "feedback", run_id, message: MESSAGE });
    expect(answer).toMatchObject({ isError: false, data: { outcome: "unknown" } });
    expect(answer.text).toContain("not sent again");
    expect(queued()).toHaveLength(1);
    const look = await call(answer.data.next_step.arguments);
    expect(look.data.queue).toMatchObject({ added: 1 });
  });

  it("is an error when the message is empty or nobody is named", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const empty = await call({ action: "feedback", run_id, message: " \n " });
    expect(empty).toMatchObject({ isError: true, text: expect.stringContaining("`message`") });
    const nobody = await call({ action: "feedback", message: MESSAGE });
    expect(nobody).toMatchObject({ isError: true, text: expect.stringContaining("`run_id`") });
    expect(queued()).toHaveLength(0);
  });
});

describe("message_queue", () => {
  it("answers that nothing was queued, which is no error", async () => {
    const run_id = startElsewhere("auth");
    const { call } = await connectInMemory();
    const answer = await call({ action: "message_queue", run_id });
    expect(answer).toMatchObject({ isError: false, data: { outcome: "ok" } });
    expect(answer.text).toMatch(/0 messages queued so far|Nothing was ever queued/);
    const unknown = await call({ action: "message_queue", run_id: "no-such-run" });
    expect(unknown.isError).toBe(false);
    expect(unknown.text).toContain("Nothing was ever queued for run no-such-run");
  });

  it("tells the counters by the session's name, with the age of the oldest", async () => {
    const run_id = startElsewhere("auth");
    world().addMessage(run_id, "user", "One");
    const { call } = await connectInMemory();
    const answer = await call({ action: "message_queue", session_name: "auth" });
    expect(answer.data).toMatchObject({
      outcome: "ok",
      queue: { waiting: 1, added: 1, consumed: 0, oldest_age_s: expect.any(Number) },
    });
  });
});
