import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { COMPLETE, connectInMemory, type FormAnswerer } from "./support/harness.js";

/** The API's clock, an hour behind; it goes on by a second with every run that somebody else starts. */
let shift = -3_600_000;
const sim = useSimulatedApi({ paceMs: "manual", clock: { now: () => Date.now() + shift } });
const world = () => sim.api().world;
const starts = () => sim.api().posts("/run/");
const posts = () => sim.api().requests.filter((one) => one.method === "POST");
const choose = (content: Record<string, string>) => (): ElicitResult => ({ action: "accept", content });
const PLACE = { repository_url: "https://host.example/team/app.git", git_branch: "feature/login" };
const NEXT = { workflow_name: "implement", message: "Build what was designed", wait_seconds: 0 };

/** A session as somebody else has left it. */
function leave(name: string, more: Record<string, string> = PLACE) {
  shift += 1_000;
  const { runId } = world().start("architect", {
    message: "Design it",
    session_name: name,
    input_format: "stream-json",
    ...more,
  });
  return world().run(runId).complete();
}

/** Ends a continuation well; one that has taken no turn was refused by its agent. */
function finish(runId: string): void {
  world().run(runId).turn();
  world().run(runId).complete();
}

describe("continue_session", () => {
  it("sends the session's id, name, repository and branch with any workflow, and asks nothing", async () => {
    const { sessionId } = leave("auth");
    const { call, forms } = await connectInMemory({ onForm: choose({}) });
    for (const workflow_name of ["implement", "test"]) {
      const answer = await call({ ...NEXT, workflow_name, continue_session: "auth" });
      expect(answer.data).toMatchObject({ outcome: "started", run: { session_name: "auth", workflow_name } });
      expect(starts().at(-1)).toMatchObject({
        path: `/run/${workflow_name}`,
        body: { session_id: sessionId, session_name: "auth", ...PLACE, message: NEXT.message },
      });
      finish(answer.data.run.run_id);
    }
    expect(forms).toHaveLength(0);
    const list = await call({ action: "list_sessions", active_only: false });
    expect(list.data.sessions).toMatchObject([{ session_name: "auth", session_id: sessionId, runs: 3 }]);
  });

  it("asks nothing either when the session uses the server's own workspace", async () => {
    leave("auth", {});
    const { call, forms } = await connectInMemory({ onForm: choose({}) });
    await call({ ...NEXT, continue_session: "auth" });
    expect(forms).toHaveLength(0);
    expect(starts()).toHaveLength(1);
    expect(starts()[0]?.body).not.toHaveProperty("repository_url");
  });

  it("lets what is given go before what the session knows, and asks for the branch of another repository", async () => {
    leave("auth");
    const { call, forms } = await connectInMemory({ onForm: choose({ git_branch: "main" }) });
    const other = "https://host.example/other/app";
    await call({ ...NEXT, continue_session: "auth", repository_url: other });
    expect(Object.keys(forms[0]?.schema.properties)).toEqual(["git_branch"]);
    expect(starts()[0]?.body).toMatchObject({ repository_url: other, git_branch: "main" });
    finish(world().runs().at(-1)?.runId ?? "");
    const again = await call({ ...NEXT, continue_session: "auth", git_branch: "release" });
    expect(again.data.outcome).toBe("started");
    expect(forms).toHaveLength(1);
    expect(starts()[1]?.body).toMatchObject({ repository_url: other, git_branch: "release" });
  });

  it("finds a session by its id or a run's id as well", async () => {
    const { sessionId, runId } = leave("auth");
    const { call } = await connectInMemory();
    for (const continue_session of [sessionId, runId]) {
      const answer = await call({ ...NEXT, continue_session });
      expect(starts().at(-1)?.body).toMatchObject({ session_id: sessionId, session_name: "auth" });
      finish(answer.data.run.run_id);
    }
  });

  it("reads the session's last run anew, since its end may be a moment ago", async () => {
    const { call } = await connectInMemory();
    const { run } = (await call({ ...COMPLETE, ...PLACE, wait_seconds: 0 })).data;
    expect((await call({ action: "list_sessions" })).data.sessions).toHaveLength(1);
    world().run(run.run_id).complete();
    const answer = await call({ ...NEXT, continue_session: COMPLETE.session_name });
    expect(answer.data.outcome).toBe("started");
  });

  it("is not held up by an older run that never ends", async () => {
    world().start("architect", {
      message: "Hang",
      session_name: "auth",
      session_id: leave("auth").sessionId,
    });
    const stuck = world().runs().at(-1)?.sessionId ?? "";
    const { runId } = world().start("fix", { message: "Fix", session_name: "auth", session_id: stuck });
    world().run(runId).complete();
    const { call } = await connectInMemory();
    expect((await call({ ...NEXT, continue_session: "auth" })).data.outcome).toBe("started");
  });
});

describe("a session whose last run is still going on", () => {
  it("since another window has continued it while a form was open here, is not continued a second time", async () => {
    leave("auth");
    const store = createMemorySessionStore();
    const other = await connectInMemory({ store });
    const { call, forms } = await connectInMemory({
      store,
      onForm: async () => {
        const { data } = await other.call({ ...NEXT, continue_session: "auth" });
        expect(data.outcome).toBe("started");
        return { action: "accept", content: { workflow_name: "test" } };
      },
    });
    const { data } = await call({ ...NEXT, workflow_name: undefined, continue_session: "auth" });
    expect(data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { action: "feedback" } },
    });
    expect(forms).toHaveLength(1);
    expect(starts()).toHaveLength(1);
  });

  it("is offered the message as feedback, and nothing is sent", async () => {
    const { runId } = world().start("architect", { message: "Design", session_name: "auth" });
    const { call, forms } = await connectInMemory({ onForm: choose({}) });
    const ways = [
      { continue_session: "auth" },
      { session_id: world().run(runId).state.sessionId, repository_url: "", git_branch: "" },
    ];
    for (const conversation of ways) {
      const answer = await call({ ...NEXT, ...conversation });
      expect(answer.isError).toBe(false);
      expect(answer.data).toMatchObject({
        outcome: "input_required",
        next_step: { arguments: { action: "feedback", run_id: runId, message: NEXT.message } },
      });
      expect(answer.text).toContain("no run was started");
    }
    expect(posts()).toHaveLength(0);
    expect(forms).toHaveLength(0);
    const { call: again } = await connectInMemory();
    const step = (await again({ ...NEXT, continue_session: "auth" })).data.next_step;
    world().run(runId).turn();
    const sent = await again({ ...step.arguments, wait_seconds: 0 });
    expect(sent.data).toMatchObject({ outcome: "ok", queue: { waiting: 1 } });
  });
});

describe("several sessions of one name", () => {
  it("the person is asked which one, newest first, and that one goes on", async () => {
    const older = leave("auth");
    const newer = leave("auth", {});
    const { call, forms } = await connectInMemory({ onForm: choose({ session_id: older.sessionId }) });
    const answer = await call({ ...NEXT, continue_session: "auth" });
    const choices = forms[0]?.schema.properties.session_id.oneOf;
    expect(choices.map((one: { const: string }) => one.const)).toEqual([newer.sessionId, older.sessionId]);
    expect(choices[0].title).toMatch(/architect, completed, 1 run, last \d{4}/);
    expect(answer.data.outcome).toBe("started");
    expect(starts()[0]?.body).toMatchObject({ session_id: older.sessionId, ...PLACE });
  });

  it("nothing is sent when the person declines, closes the form or leaves it empty", async () => {
    leave("auth");
    leave("auth");
    const replies: [ElicitResult, string][] = [
      [{ action: "decline" }, "declined"],
      [{ action: "cancel" }, "cancelled"],
      [{ action: "accept", content: {} }, "input_required"],
      [{ action: "accept", content: { session_id: "something else" } }, "input_required"],
    ];
    for (const [reply, outcome] of replies) {
      const { call } = await connectInMemory({ onForm: () => reply });
      const answer = await call({ ...NEXT, continue_session: "auth" });
      expect(answer).toMatchObject({ isError: false, data: { outcome } });
      expect(answer.text).toContain("Nothing was sent");
    }
    expect(posts()).toHaveLength(0);
  });

  it("without forms the choices are in the answer, and its next step continues the newest", async () => {
    const older = leave("auth");
    const newer = leave("auth");
    const { call } = await connectInMemory();
    const answer = await call({ ...NEXT, continue_session: "auth" });
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      missing: [{ name: "session_id", choices: [{ value: newer.sessionId }, { value: older.sessionId }] }],
      next_step: { arguments: { action: "run", ...NEXT, session_id: newer.sessionId } },
    });
    expect(answer.data.next_step.arguments).not.toHaveProperty("continue_session");
    expect(posts()).toHaveLength(0);
    await call(answer.data.next_step.arguments);
    expect(starts()[0]?.body).toMatchObject({ session_id: newer.sessionId, session_name: "auth", ...PLACE });
  });
});

describe("a session that is not found", () => {
  const wanted = { ...NEXT, continue_session: "auth-sistem-project" };

  it("the nearest names are offered, and the chosen one goes on", async () => {
    const { sessionId } = leave("auth-system-project");
    const { call, forms } = await connectInMemory({
      onForm: choose({ continue_session: "auth-system-project" }),
    });
    const answer = await call(wanted);
    const values = forms[0]?.schema.properties.continue_session.oneOf.map(
      (one: { const: string }) => one.const,
    );
    expect(values).toEqual(["auth-system-project", "start-fresh"]);
    expect(answer.data.outcome).toBe("started");
    expect(starts()[0]?.body).toMatchObject({ session_id: sessionId, ...PLACE });
  });

  it("a new one is started by the person's word only, and then asked about like any other", async () => {
    leave("auth-system-project");
    const onForm: FormAnswerer = ({ schema }) => ({
      action: "accept",
      content: schema.properties.continue_session ? { continue_session: "start-fresh" } : {},
    });
    const { call, forms } = await connectInMemory({ onForm });
    const answer = await call(wanted);
    expect(Object.keys(forms[1]?.schema.properties)).toEqual(["repository_url", "git_branch"]);
    expect(answer.data).toMatchObject({ outcome: "started", run: { session_name: "auth-sistem-project" } });
    expect(starts()[0]?.body).not.toHaveProperty("session_id");
  });

  it("nothing is sent when the person declines or closes the form", async () => {
    for (const action of ["decline", "cancel"] as const) {
      const { call } = await connectInMemory({ onForm: () => ({ action }) });
      const answer = await call(wanted);
      expect(answer).toMatchObject({ isError: false, text: expect.stringContaining("Nothing was sent") });
    }
    expect(posts()).toHaveLength(0);
  });

  it("without forms the answer says so, names the nearest and how to begin a new one", async () => {
    leave("auth-system-project");
    const { call } = await connectInMemory();
    const answer = await call(wanted);
    expect(answer.data).toMatchObject({
      outcome: "input_required",
      missing: [{ name: "continue_session", choices: [{ value: "auth-system-project" }] }],
      next_step: { arguments: { ...NEXT, action: "run", session_name: "auth-sistem-project" } },
    });
    expect(answer.text).toContain('There is no session "auth-sistem-project"; nearest: auth-system-project');
    expect(answer.text).toContain("no new conversation was started");
    expect(posts()).toHaveLength(0);
  });

  it("is not claimed while the API's list cannot be read", async () => {
    sim.api().fault({ path: "/runs" }, { status: 503 });
    const { call } = await connectInMemory();
    const answer = await call(wanted);
    expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("HTTP 503") });
    expect(posts()).toHaveLength(0);
  });
});

describe("a conversation given by its id", () => {
  it("goes on with what its session knows", async () => {
    const { sessionId } = leave("auth");
    const { call, forms } = await connectInMemory({ onForm: choose({}) });
    await call({ ...NEXT, session_id: sessionId });
    expect(forms).toHaveLength(0);
    expect(starts()[0]?.body).toMatchObject({ session_id: sessionId, session_name: "auth", ...PLACE });
  });

  it("is sent as it is when nothing is known of it, and the API has the last word", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, session_id: "of-another-server" });
    expect(starts()[0]?.body).toMatchObject({ session_id: "of-another-server" });
    expect(answer).toMatchObject({ isError: true, text: expect.stringContaining("not found") });
  });

  it("goes on even while the API's list cannot be read", async () => {
    const { sessionId } = leave("auth");
    sim.api().fault({ path: "/runs" }, { status: 503 });
    const { call } = await connectInMemory();
    const answer = await call({ ...COMPLETE, session_id: sessionId, wait_seconds: 0 });
    expect(answer.data.outcome).toBe("started");
  });

  it("is never a run's id, even where a run's id was given", async () => {
    const { sessionId, runId } = leave("auth");
    const { call } = await connectInMemory();
    await call({ ...NEXT, session_id: runId });
    expect(starts()[0]?.body).toMatchObject({ session_id: sessionId });
  });
});

describe("a continuation in another process", () => {
  it("goes on from the index alone when the API does not show the session any more", async () => {
    const store = createMemorySessionStore();
    const first = await connectInMemory({ store });
    const { run } = (await first.call({ ...COMPLETE, ...PLACE, wait_seconds: 0 })).data;
    const { sessionId } = world().run(run.run_id).complete();
    await first.call({ action: "status", run_id: run.run_id, wait_seconds: 5 });
    sim.api().fault({ path: "/runs" }, { body: { runs: [] } });
    const second = await connectInMemory({ store });
    await second.call({ ...NEXT, continue_session: COMPLETE.session_name });
    expect(starts()[1]?.body).toMatchObject({ session_id: sessionId, ...PLACE });
  });
});
