import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { createSharedSessionStore } from "../src/sessions/store/shared-session-store.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const world = () => sim.api().world;
const starts = () => sim.api().posts("/run/");
const SESSION = COMPLETE.session_name;
const PLACE = { repository_url: "https://host.example/team/app.git", git_branch: "main" };
const NEXT = { ...COMPLETE, workflow_name: "implement", message: "Build it", wait_seconds: 0 };

/** A session of ours that can be continued. */
async function leaveSession() {
  const store = createMemorySessionStore();
  const { call } = await connectInMemory({ store });
  const { run_id } = (await call({ ...COMPLETE, ...PLACE, wait_seconds: 0 })).data.run;
  const { sessionId } = world().run(run_id).complete();
  await call({ action: "status", run_id, wait_seconds: 5 });
  return { store, sessionId, run_id };
}

describe("a start under the name of a session that can be continued", () => {
  it("is asked about first, and the person's choice is what happens", async () => {
    const choose = (value: string) => (): ElicitResult => ({
      action: "accept",
      content: { continue_session: value },
    });
    const { store, sessionId } = await leaveSession();
    const going = await connectInMemory({ store, onForm: choose("continue") });
    await going.call({ ...NEXT, repository_url: undefined, git_branch: undefined });
    expect(going.forms).toHaveLength(1);
    expect(going.forms[0]?.message).toContain(`There is a session "${SESSION}" already`);
    expect(starts().at(-1)?.body).toMatchObject({ session_id: sessionId, session_name: SESSION, ...PLACE });
    world()
      .run(world().runs().at(-1)?.runId ?? "")
      .complete();
    const second = await connectInMemory({ store, onForm: choose("second") });
    const answer = await second.call(NEXT);
    expect(answer.text).toContain("It begins a new conversation");
    expect(starts().at(-1)?.body).not.toHaveProperty("session_id");
    expect(starts()).toHaveLength(3);
  });

  it("sends nothing when the person declines, closes the form or leaves it empty", async () => {
    const { store } = await leaveSession();
    const replies: [ElicitResult, string][] = [
      [{ action: "decline" }, "declined"],
      [{ action: "cancel" }, "cancelled"],
      [{ action: "accept", content: {} }, "input_required"],
    ];
    for (const [reply, outcome] of replies) {
      const { call } = await connectInMemory({ store, onForm: () => reply });
      expect((await call(NEXT)).data.outcome).toBe(outcome);
    }
    expect(starts()).toHaveLength(1);
  });

  it("without forms says both ways; the next step continues, an empty continue_session begins anew", async () => {
    const { store, sessionId } = await leaveSession();
    const { call } = await connectInMemory({ store });
    const answer = await call(NEXT);
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      missing: [{ name: "continue_session", choices: [{ value: SESSION }, { value: "" }] }],
    });
    expect(answer.data.next_step.arguments).toMatchObject({ continue_session: SESSION });
    expect(answer.data.next_step.arguments).not.toHaveProperty("session_name");
    expect(answer.text).toContain("Nothing was sent");
    expect(starts()).toHaveLength(1);
    await call(answer.data.next_step.arguments);
    expect(starts()[1]?.body).toMatchObject({ session_id: sessionId });
    const anew = await call({ ...NEXT, continue_session: "" });
    expect(anew.data).toMatchObject({ outcome: "started" });
    expect(anew.text).toContain("the session of that name is not continued by it");
    expect(starts()[2]?.body).not.toHaveProperty("session_id");
  });

  it("is taken for new where only a run of another session bears the name, since nothing goes on under it", async () => {
    const message = "Design it";
    const first = world().start("architect", { message, session_name: "first", input_format: "stream-json" });
    const { sessionId: session_id } = world().run(first.runId).complete();
    const second = world().start("architect", {
      message,
      session_name: "second",
      session_id,
      input_format: "stream-json",
    });
    world().run(second.runId).complete();
    const { call } = await connectInMemory();
    const { sessions } = (await call({ action: "list_sessions", active_only: false })).data;
    expect(sessions).toMatchObject([{ session_name: "first" }]);
    expect((await call({ ...NEXT, session_name: "first" })).data.outcome).toBe("input_required");
    expect((await call({ ...NEXT, session_name: "second" })).data.outcome).toBe("started");
  });

  it("costs no request before the start, and asks nothing where the name is new", async () => {
    const { store } = await leaveSession();
    const { call, forms } = await connectInMemory({ store, onForm: () => ({ action: "decline" }) });
    const before = sim.api().requests.length;
    await call({ ...NEXT, session_name: "another" });
    expect(sim.api().requests[before]).toMatchObject({ method: "POST", path: "/run/implement" });
    expect(forms).toHaveLength(0);
  });
});

describe("a name that the person types into the form and that is taken", () => {
  const MISSING = { ...NEXT, session_name: undefined, repository_url: undefined, git_branch: undefined };
  const OTHER = "https://host.example/team/other.git";

  /** Fills in the form with the taken name, and chooses in the one after it. */
  async function fillIn(choice: ElicitResult) {
    const left = await leaveSession();
    const typed = { session_name: SESSION, repository_url: OTHER, git_branch: "next" };
    let shown = 0;
    const { call, forms } = await connectInMemory({
      store: left.store,
      onForm: () => (shown++ === 0 ? { action: "accept", content: typed } : choice),
    });
    const answer = await call(MISSING);
    expect(forms[1]?.message).toContain(`There is a session "${SESSION}" already`);
    return { ...left, answer, forms };
  }

  it("is asked about, and the session goes on where it is when that is chosen", async () => {
    const { sessionId, forms } = await fillIn({
      action: "accept",
      content: { continue_session: "continue" },
    });
    expect(starts()[1]?.body).toMatchObject({ session_id: sessionId, session_name: SESSION, ...PLACE });
    expect(starts()).toHaveLength(2);
    expect(forms).toHaveLength(2);
  });

  it("begins a second conversation with what was filled in, when that is chosen", async () => {
    const { forms } = await fillIn({ action: "accept", content: { continue_session: "second" } });
    expect(starts()[1]?.body).toMatchObject({
      session_name: SESSION,
      repository_url: OTHER,
      git_branch: "next",
    });
    expect(starts()[1]?.body).not.toHaveProperty("session_id");
    expect(starts()).toHaveLength(2);
    expect(forms).toHaveLength(2);
  });

  it("starts nothing when the person declines", async () => {
    const { answer } = await fillIn({ action: "decline" });
    expect(answer.data.outcome).toBe("declined");
    expect(starts()).toHaveLength(1);
  });
});

describe("starts under one new name at the same time", () => {
  const fill = (): ElicitResult => ({
    action: "accept",
    content: { session_name: "new-work", repository_url: "", git_branch: "" },
  });
  const MISSING = { ...NEXT, session_name: undefined, repository_url: undefined, git_branch: undefined };

  it("by two forms: the second is told that the name is taken by then, and has to choose", async () => {
    const store = createMemorySessionStore();
    const both: (() => void)[] = [];
    const choices: string[] = [];
    const { call } = await connectInMemory({
      store,
      onForm: async ({ message, schema }) => {
        if (schema.properties.continue_session) {
          choices.push(message);
          return { action: "decline" };
        }
        await new Promise<void>((resolve) => {
          both.push(resolve);
          if (both.length === 2) for (const go of both) go();
        });
        return fill();
      },
    });
    const answers = await Promise.all([call(MISSING), call({ ...MISSING, workflow_name: "fix" })]);
    expect(answers.map(({ data }) => data.outcome).sort()).toEqual(["declined", "started"]);
    expect(choices).toEqual([expect.stringContaining('There is a session "new-work" already')]);
    expect(starts()).toHaveLength(1);
  });

  it("the session goes on where it is when that is chosen, and not where the second start was to work", async () => {
    sim.api().fault({ method: "POST", path: "/run/" }, { delayMs: 1_000 }, 1);
    let shown = 0;
    const { call } = await connectInMemory({
      onForm: async ({ schema }) => {
        if (schema.properties.continue_session) {
          const run_id = world().runs()[0]?.runId ?? "";
          world().run(run_id).complete();
          await call({ action: "status", run_id, wait_seconds: 5 });
          return { action: "accept", content: { continue_session: "continue" } };
        }
        const place = shown++ === 0 ? PLACE : { repository_url: "", git_branch: "" };
        return { action: "accept", content: { session_name: "new-work", ...place } };
      },
    });
    const first = call(MISSING);
    await sim.api().waitFor(({ method }) => method === "POST");
    const answers = await Promise.all([first, call(MISSING)]);
    expect(answers.map(({ data }) => data.outcome)).toEqual(["started", "started"]);
    expect(starts()[0]?.body).toMatchObject(PLACE);
    expect(starts()[1]?.body).toMatchObject({ session_id: expect.any(String), ...PLACE });
  });

  it("by two calls without forms, and by one whose name only looks the same: one start, one question", async () => {
    const { call } = await connectInMemory();
    const names = ["new-work", "new\u00adwork", "new-\u200bwork"];
    const answers = await Promise.all(names.map((session_name) => call({ ...NEXT, session_name })));
    expect(answers.map(({ data }) => data.outcome).sort()).toEqual(["input_required", "started", "started"]);
    expect(starts().map(({ body }) => (body as { session_name: string }).session_name)).toEqual([
      expect.stringMatching(/^new-work$/),
      "newwork",
    ]);
  });

  it("that are to begin a second conversation are sent, both", async () => {
    const { call } = await connectInMemory();
    const second = { ...NEXT, session_name: "same", continue_session: "" };
    const answers = await Promise.all([call(second), call(second)]);
    expect(answers.map(({ data }) => data.outcome)).toEqual(["started", "started"]);
  });

  it("whose names are made up get one each", async () => {
    const { call } = await connectInMemory();
    const unnamed = { ...NEXT, session_name: "" };
    await Promise.all([call(unnamed), call(unnamed), call(unnamed)]);
    const given = starts().map(({ body }) => (body as { session_name: string }).session_name);
    expect(new Set(given).size).toBe(3);
  });
});

describe("session names that look the same", () => {
  const COMPOSED = "caf\u00e9 plan";
  const DECOMPOSED = "cafe\u0301\u200b  plan";

  it("are one name where a session is looked for, near names are told, and a taken name is asked about", async () => {
    const { call } = await connectInMemory();
    const { run_id } = (await call({ ...COMPLETE, session_name: COMPOSED, wait_seconds: 0 })).data.run;
    expect((await call({ action: "status", session_name: DECOMPOSED })).data.run.run_id).toBe(run_id);
    const near = await call({ action: "status", session_name: `${DECOMPOSED}s` });
    expect(near.text).toContain(`nearest: ${COMPOSED}`);
    const listed = await call({ action: "list_sessions", session_name: "CAFE\u0301" });
    expect(listed.data.sessions).toMatchObject([{ session_name: COMPOSED }]);
    expect((await call({ ...NEXT, session_name: DECOMPOSED })).data.outcome).toBe("input_required");
    expect(starts()).toHaveLength(1);
  });

  it("also where the other one is only in the API's list, however it is written there", async () => {
    const { runId } = world().start("architect", { message: "Plan", session_name: DECOMPOSED });
    const { call } = await connectInMemory();
    const found = await call({ action: "status", session_name: COMPOSED });
    expect(found.data.run.run_id).toBe(runId);
  });

  it("are told apart by what can be seen", async () => {
    const { call } = await connectInMemory();
    await call({ ...NEXT, session_name: "plan-a" });
    expect((await call({ ...NEXT, session_name: "plan-\u00e1" })).data.outcome).toBe("started");
  });
});

describe("a session whose last run cannot be read", () => {
  it("is not said to have a run going on, but when that was last seen", async () => {
    const store = createMemorySessionStore();
    const first = await connectInMemory({ store });
    const { run_id } = (await first.call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    await first.call({ action: "status", run_id });
    sim.api().fault({ path: /^\/run/ }, { status: 503 });
    const { call } = await connectInMemory({ store });
    const answer = await call({ ...NEXT, session_name: undefined, continue_session: SESSION });
    expect(answer.data).toMatchObject({ outcome: "unknown", next_step: { arguments: { run_id } } });
    expect(answer.text).toMatch(/Could not read whether.*HTTP 503.*was running when last seen at 2\d{3}-/);
    expect(answer.text).not.toContain("still has a run going on");
    expect(starts()).toHaveLength(1);
  });

  it("is as the API's list says, where that can be read", async () => {
    const { runId } = world().start("architect", { message: "Design", session_name: "theirs" });
    sim.api().fault({ path: "/run/*/status" }, { status: 503 });
    const { call } = await connectInMemory();
    const answer = await call({ ...NEXT, session_name: undefined, continue_session: "theirs" });
    expect(answer.text).toContain(`run ${runId}) was running when last seen in the API's list`);
  });
});

describe("sessions on a PostgreSQL server that is away", () => {
  it("cannot be looked up, which is said in plain words; a run is started all the same", async () => {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const address = `postgres://user:pass-4711@127.0.0.1:${port}/team`;
    const store = createSharedSessionStore({ address, upstream: sim.baseUrl, onProblem: () => {} });
    const { call } = await connectInMemory({ store });
    const listed = await call({ action: "list_sessions" });
    expect(listed.isError).toBe(true);
    expect(listed.text).toMatch(/^The PostgreSQL server cannot be reached/);
    expect(listed.text).toContain("nothing was started or changed");
    expect(listed.text).not.toContain(String(port));
    const started = await call({ ...COMPLETE, wait_seconds: 0 });
    expect(started.data.outcome).toBe("started");
    expect(starts()).toHaveLength(1);
  });
});
