import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import type { SessionRecord } from "../src/sessions/store/session-record.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { connectInMemory, type InMemoryOptions, until } from "./support/harness.js";

// The public Automagik server 0.6: no session in its list, none in a completed run, no feedback taken up, and a
// kill that does not stop the agent. What is said about it must be true all the same.
const sim = useSimulatedApi({ profile: "automagik-0.6", paceMs: "manual" });
const world = () => sim.api().world;
const posts = () => sim.api().requests.filter((one) => one.method === "POST");
const starts = () => sim.api().posts("/run/");
const say = (content: Record<string, string>) => (): ElicitResult => ({ action: "accept", content });
const RUN = {
  workflow_name: "builder",
  message: "Build the login",
  session_name: "auth",
  repository_url: "https://host.example/team/app.git",
  git_branch: "main",
  wait_seconds: 0,
};
const NEXT = { workflow_name: "genie", message: "Go on", continue_session: "auth", wait_seconds: 0 };

const connect = (options: InMemoryOptions = {}) =>
  connectInMemory({ ...options, settings: { INPUT_FORMAT: "text", ...options.settings } });

/** A server whose time stands still until it is moved. */
async function connectInHaste(options: InMemoryOptions = {}) {
  const clock = createHandClock();
  const connected = await connect({ ...options, clock, settings: { REQUEST_TIMEOUT: "120" } });
  const call: typeof connected.call = (...args) => hasten(clock, connected.call(...args));
  return { ...connected, clock, call };
}

async function hasten<T>(clock: HandClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const settle = () => {
    isDone = true;
  };
  work.then(settle, settle);
  await until(() => {
    if (!isDone) clock.advance(50);
    return isDone;
  }, "the answer");
  return work;
}

function startElsewhere(name = "auth"): string {
  return world().start("builder", {
    message: "Build the login",
    session_name: name,
    input_format: "text",
    max_turns: 10,
  }).runId;
}

async function untilLookedAfterKill(): Promise<void> {
  await until(() => {
    const paths = sim.api().requests.map((request) => request.path.split("/").at(-1));
    return paths.lastIndexOf("status") > paths.indexOf("kill") && paths.includes("kill");
  }, "a look after the kill");
}

async function recorded(store: SessionStore, condition: (record: SessionRecord | undefined) => boolean) {
  for (let tries = 0; ; tries++) {
    const [record] = await store.list();
    if (condition(record)) return record;
    if (tries > 2_000) throw new Error(`The index holds ${JSON.stringify(record)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A run of ours that has shown its id and completed, with nobody waiting for it. */
async function leaveCompleted(store: SessionStore) {
  const first = await connect({ store });
  const { run_id } = (await first.call(RUN)).data.run;
  world().run(run_id).turn();
  await recorded(store, (record) => record?.sessionId !== undefined);
  const { sessionId } = world().run(run_id).complete({ costUsd: 0.25 });
  await recorded(store, (record) => record?.runs[0]?.status === "completed");
  return { run_id, sessionId };
}

describe("the session id, which shows only while a run goes on", () => {
  it("is caught in the background and never mistaken for the one that the start has made up", async () => {
    const store = createMemorySessionStore();
    const { call } = await connect({ store });
    const answer = await call(RUN);
    expect(answer.data.run).not.toHaveProperty("session_id");
    const { run_id } = answer.data.run;
    await sim.api().waitFor((request) => request.path.endsWith("/status"));
    expect((await store.list())[0]).not.toHaveProperty("sessionId");
    world().run(run_id).turn();
    await recorded(store, (record) => record?.sessionId === world().run(run_id).state.sessionId);
    const { sessionId } = world().run(run_id).complete();
    const record = await recorded(store, (one) => one?.runs[0]?.status === "completed");
    expect(record).toMatchObject({ name: "auth", sessionId, runs: [{ sessionId, status: "completed" }] });
  });

  it("is caught on the slowest polling too, late as it may come and short as it may show", async () => {
    const store = createMemorySessionStore();
    const clock = createHandClock();
    const settings = { INPUT_FORMAT: "text", POLLING_INTERVAL: "8", REQUEST_TIMEOUT: "120" };
    const { call } = await connectInMemory({ store, clock, settings });
    const { run_id } = (await call(RUN)).data.run;
    const looks = () => sim.api().requests.filter((one) => one.path.endsWith("/status")).length;
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 100) {
        clock.advance(100);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await sim.api().settled();
      }
    };
    // The start's own answer was the first look; the run itself is asked for a moment later.
    await pass(100);
    await until(() => looks() === 1, "the first look");
    await pass(30_000);
    world().run(run_id).turn();
    await pass(1_500);
    const { sessionId } = world().run(run_id).complete();
    await pass(9_000);
    expect((await store.list())[0]).toMatchObject({ sessionId });
  });

  it("is shown by a later process, by the session's name and by the run's id, with what the server forgot", async () => {
    const store = createMemorySessionStore();
    const { run_id, sessionId } = await leaveCompleted(store);
    const { call } = await connect({ store });
    for (const target of [{ session_name: "auth" }, { session_id: sessionId }, { run_id }]) {
      const { run } = (await call({ action: "status", ...target })).data;
      expect(run).toMatchObject({
        run_id,
        session_id: sessionId,
        session_name: "auth",
        status: "completed",
        turn: 1,
        max_turns: 50,
        cost_usd: 0.25,
      });
    }
    const list = await call({ action: "list_sessions", active_only: false });
    expect(list.data.sessions).toMatchObject([
      { session_name: "auth", session_id: sessionId, can_continue: true, runs: 1, turns: 1 },
    ]);
  });

  it("of somebody else's run is written down when it is followed here, under the name in the list", async () => {
    const store = createMemorySessionStore();
    const run_id = startElsewhere("their-project");
    world().run(run_id).turn();
    const { call } = await connect({ store });
    await call({ action: "status", run_id, wait_seconds: 0.3 });
    const { sessionId } = world().run(run_id).complete();
    const later = await connect({ store });
    const list = await later.call({ action: "list_sessions", active_only: false });
    expect(list.data.sessions).toMatchObject([
      { session_name: "their-project", session_id: sessionId, can_continue: true },
    ]);
  });
});

describe("a continuation", () => {
  it("sends the id from the index, with the session's repository and branch", async () => {
    const store = createMemorySessionStore();
    const { sessionId } = await leaveCompleted(store);
    const { call, forms } = await connect({ store, onForm: say({}) });
    const answer = await call(NEXT);
    expect(answer.data.outcome).toBe("started");
    expect(answer.text).toContain(`was asked to continue the conversation ${sessionId}`);
    // Whether the agent has taken it up shows later.
    expect(answer.data.run).not.toHaveProperty("session_id");
    expect(forms).toHaveLength(0);
    expect(starts().at(-1)?.body).toMatchObject({
      session_id: sessionId,
      session_name: "auth",
      repository_url: RUN.repository_url,
      git_branch: RUN.git_branch,
      input_format: "text",
    });
  });

  it("that the agent refuses is a failed one, though the server calls it completed", async () => {
    const { call } = await connect();
    const answer = await call({ ...RUN, session_id: "of-no-conversation", wait_seconds: 10 });
    expect(answer.data).toMatchObject({ outcome: "failed", run: { status: "completed" } });
    expect(answer.text).toContain("was not continued");
    expect(answer.data.next_step.arguments).not.toHaveProperty("session_id");
    expect(starts()).toHaveLength(1);
  });

  it("of a session whose id nobody has seen is started afresh by the person's word only", async () => {
    world().run(startElsewhere()).complete();
    const fresh = { continue_session: "start-fresh", repository_url: "", git_branch: "" };
    const replies: [ElicitResult, string, number][] = [
      [{ action: "decline" }, "declined", 0],
      [{ action: "cancel" }, "cancelled", 0],
      [{ action: "accept", content: {} }, "input_required", 0],
      [{ action: "accept", content: fresh }, "started", 1],
    ];
    for (const [reply, outcome, sent] of replies) {
      const { call, forms } = await connect({ onForm: () => reply });
      const answer = await call(NEXT);
      expect(answer.data.outcome).toBe(outcome);
      expect(forms).toHaveLength(1);
      expect(forms[0]?.message).toContain("cannot be continued");
      expect(starts()).toHaveLength(sent);
    }
    expect(starts()[0]?.body).toMatchObject({ session_name: "auth", message: NEXT.message });
    expect(starts()[0]?.body).not.toHaveProperty("session_id");
  });

  it("is not possible without an id, says an answer without forms, and how to start afresh", async () => {
    world().run(startElsewhere()).complete();
    const { call } = await connect();
    const list = await call({ action: "list_sessions", active_only: false });
    expect(list.data.sessions).toMatchObject([{ session_name: "auth", can_continue: false }]);
    const answer = await call(NEXT);
    expect(answer.data.outcome).toBe("input_required");
    expect(answer.text).toContain("cannot be continued");
    expect(answer.data.next_step.arguments).toMatchObject({ action: "run", session_name: "auth" });
    expect(answer.data.next_step.arguments).not.toHaveProperty("continue_session");
    expect(posts()).toHaveLength(0);
    expect((await call(answer.data.next_step.arguments)).data.outcome).toBe("started");
  });
});

describe("feedback", () => {
  const MESSAGE = "Make sure to include refresh token rotation";

  it("is called accepted and never delivered, even when the run has gone on to its end", async () => {
    const { call } = await connectInHaste();
    const { run_id } = (await call(RUN)).data.run;
    const none = await call({ action: "message_queue", run_id });
    expect(none).toMatchObject({ isError: false, text: expect.stringContaining("Nothing was ever queued") });
    const answer = await call({ action: "feedback", session_name: "auth", message: MESSAGE });
    expect(answer.text).toMatch(/^Accepted, not delivered so far/);
    expect(answer.text).not.toMatch(/\bsent\b/i);
    world().run(run_id).turn();
    world().run(run_id).complete();
    const queue = await call(answer.data.next_step.arguments);
    expect(queue.data.queue).toMatchObject({ waiting: 1, added: 1, consumed: 0 });
  });

  it("for a run that is over is not queued, and continuing is offered", async () => {
    const run_id = startElsewhere();
    world().run(run_id).complete();
    const { call } = await connect();
    const answer = await call({ action: "feedback", run_id, message: MESSAGE });
    expect(answer).toMatchObject({
      isError: false,
      text: expect.stringMatching(/Nothing was sent.*completed/),
    });
    expect(answer.data.next_step.arguments).toMatchObject({ continue_session: "auth", message: MESSAGE });
    const byName = await call({ action: "feedback", session_name: "auth", message: MESSAGE });
    expect(byName.text).toContain("Nothing was sent");
    expect(posts()).toHaveLength(1);
  });
});

describe("kill", () => {
  it("is asked for with the session's name from the list and without a made-up cost", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    const { call, forms } = await connect({ onForm: say({ confirm: "no" }) });
    await call({ action: "kill", run_id });
    for (const fact of ["workflow builder", 'session "auth"', "turn 1 of 10", "cost so far not known"]) {
      expect(forms[0]?.message).toContain(fact);
    }
    expect(posts()).toHaveLength(0);
  });

  it("tells that the agent was still seen working", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    const { call } = await connectInHaste();
    const pending = call({ action: "kill", run_id, confirm: true });
    await untilLookedAfterKill();
    world().run(run_id).turn();
    const answer = await pending;
    expect(answer.data).toMatchObject({ outcome: "killed", run: { status: "killed", turn: 2 } });
    expect(answer.text).toContain("still seen working afterwards");
  });

  it("tells that the run has completed all the same", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    const { call } = await connectInHaste();
    const pending = call({ action: "kill", run_id, confirm: true });
    await untilLookedAfterKill();
    world().run(run_id).complete();
    const answer = await pending;
    expect(answer.data).toMatchObject({ outcome: "completed", run: { status: "completed" } });
    expect(answer.text).toContain("did not stop the run");
  });

  it.each(["ours", "somebody else's"])(
    "keeps looking at a run of %s for a minute, so that a late end is noticed and written down",
    async (whose) => {
      const store = createMemorySessionStore();
      const { call, clock } = await connectInHaste({ store });
      const run_id = whose === "ours" ? (await call(RUN)).data.run.run_id : startElsewhere();
      world().run(run_id).turn();
      const killed = await call({ action: "kill", run_id, confirm: true });
      expect(killed.data.outcome).toBe("killed");
      await hasten(
        clock,
        recorded(store, (record) => record?.runs[0]?.status === "killed"),
      );
      clock.advance(40_000);
      world().run(run_id).complete();
      await hasten(
        clock,
        recorded(store, (record) => record?.runs[0]?.status === "completed"),
      );
      const list = await call({ action: "list_sessions", active_only: false });
      expect(list.data.sessions).toMatchObject([{ session_name: "auth", status: "completed" }]);
    },
  );

  it("stops looking after that", async () => {
    const { call, clock } = await connectInHaste();
    const run_id = startElsewhere();
    world().run(run_id).turn();
    await call({ action: "kill", run_id, confirm: true });
    const looks = () => sim.api().requests.filter((one) => one.path.endsWith("/status")).length;
    for (let step = 0; step < 20; step++) {
      clock.advance(5_000);
      await sim.api().settled();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const before = looks();
    for (let step = 0; step < 20; step++) {
      clock.advance(5_000);
      await sim.api().settled();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(looks()).toBe(before);
  });

  it("is not attempted on a completed run, which this server would call killed from then on", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    world().run(run_id).complete();
    const { call } = await connect();
    const answer = await call({ action: "kill", run_id, confirm: true });
    expect(answer.data).toMatchObject({ outcome: "ok", run: { status: "completed" } });
    expect(posts()).toHaveLength(0);
    expect(world().run(run_id).state.status).toBe("completed");
  });
});

describe("cleanup", () => {
  it("is no failure when nothing was left, though the server calls it no success", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    world().run(run_id).complete();
    const { call } = await connect();
    const answer = await call({ action: "cleanup", run_id, confirm: true });
    expect(answer.data).toMatchObject({
      outcome: "ok",
      cleanup: { success: false, removed: [], errors: [] },
    });
    expect(answer.text).toContain("nothing left to remove");
  });

  it("tells what was removed of a failed run", async () => {
    const run_id = startElsewhere();
    world().run(run_id).turn();
    world().run(run_id).fail();
    const { call } = await connect();
    const answer = await call({ action: "cleanup", session_name: "auth", confirm: true });
    expect(answer.data).toMatchObject({ outcome: "ok", cleanup: { success: true } });
    expect(answer.data.cleanup.removed).toContain("workspace");
  });
});

describe("status", () => {
  it("tells the reason of a failure, which only the list has, and says when there is none", async () => {
    const doomed = world().start("builder", { message: "x", session_name: "doomed", timeout: 14_400 }).runId;
    const crashed = startElsewhere("crashed");
    world().run(crashed).turn();
    world().run(crashed).fail();
    const { call } = await connect();
    const first = await call({ action: "status", run_id: doomed, detailed: true });
    expect(first.data).toMatchObject({ outcome: "failed", run: { error: expect.stringContaining("7200") } });
    const second = await call({ action: "status", session_name: "crashed" });
    expect(second.text).toContain("the API gives no reason");
  });
});
