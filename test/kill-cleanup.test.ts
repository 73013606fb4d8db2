import type { ElicitResult } from "@modelcontextprotocol/sdk/types.js";
import { HttpResponse, http } from "msw";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createHandClock, hasten } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, type InMemoryOptions, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const world = () => sim.api().world;
const kills = () => sim.api().posts("/run/*/kill");
const cleanups = () => sim.api().posts("/run/*/cleanup");
const say = (confirm: string) => (): ElicitResult => ({ action: "accept", content: { confirm } });

function startElsewhere(name = "auth", more: Record<string, string> = {}): string {
  const { runId } = world().start("architect", {
    message: "Design it",
    session_name: name,
    max_turns: 10,
    ...more,
  });
  world().run(runId).turn("Reading the code");
  return runId;
}

/** A server whose time is moved on while a call is waited for. */
async function connectInHaste(options: InMemoryOptions = {}) {
  const clock = createHandClock();
  const settings = { REQUEST_TIMEOUT: "120", ...options.settings };
  const connected = await connectInMemory({ ...options, clock, settings });
  const call: typeof connected.call = (...args) => hasten(clock, connected.call(...args));
  return { ...connected, clock, call };
}

describe("kill", () => {
  it("asks first, naming session, workflow, turn and cost so far", async () => {
    const run_id = startElsewhere();
    const { call, forms } = await connectInHaste({ onForm: say("yes") });
    const answer = await call({ action: "kill", run_id });
    expect(forms).toHaveLength(1);
    for (const fact of ["workflow architect", 'session "auth"', run_id, "turn 1 of 10", "$0.01 so far"]) {
      expect(forms[0]?.message).toContain(fact);
    }
    const question = forms[0]?.schema.properties.confirm;
    expect(question.oneOf.map((one: { const: string }) => one.const)).toEqual(["no", "yes"]);
    expect(question).not.toHaveProperty("default");
    expect(answer.data).toMatchObject({ outcome: "killed", run: { status: "killed" } });
    expect(answer.text).toContain("no further work was seen");
    expect(kills()).toMatchObject([{ path: `/run/${run_id}/kill`, query: { force: "false" } }]);
  });

  it("says in the form and to the API when it is by force", async () => {
    const run_id = startElsewhere();
    const { call, forms } = await connectInHaste({ onForm: say("yes") });
    await call({ action: "kill", session_name: "auth", force: true });
    expect(forms[0]?.message).toContain("Kill at once");
    expect(kills()).toMatchObject([{ path: `/run/${run_id}/kill`, query: { force: "true" } }]);
  });

  const refusals: [string, () => ElicitResult, string][] = [
    ["no", say("no"), "declined"],
    ["declined", () => ({ action: "decline" }), "declined"],
    ["closed", () => ({ action: "cancel" }), "cancelled"],
    ["left empty", () => ({ action: "accept", content: {} }), "input_required"],
    ["answered with something else", say("perhaps"), "input_required"],
  ];
  it.each(refusals)(
    "sends nothing when the form is answered: %s, whatever confirm says",
    async (_, onForm, outcome) => {
      const run_id = startElsewhere();
      const { call } = await connectInMemory({ onForm });
      for (const confirm of [undefined, false, true]) {
        const answer = await call({ action: "kill", run_id, ...(confirm === undefined ? {} : { confirm }) });
        expect(answer).toMatchObject({ isError: false, data: { outcome } });
        expect(answer.text).toContain("Nothing was sent");
      }
      expect(kills()).toHaveLength(0);
      expect(world().run(run_id).state.status).toBe("running");
    },
  );

  it("needs confirm: true where there are no forms", async () => {
    const run_id = startElsewhere();
    const { call } = await connectInHaste();
    for (const confirm of [{}, { confirm: false }]) {
      const answer = await call({ action: "kill", run_id, ...confirm });
      expect(answer.data).toMatchObject({
        outcome: "input_required",
        missing: [{ name: "confirm", required: true }],
        next_step: { arguments: { action: "kill", run_id, confirm: true } },
      });
      expect(answer.text).toContain("turn 1 of 10");
      expect(kills()).toHaveLength(0);
    }
    const answer = await call({ action: "kill", run_id, confirm: true });
    expect(answer.data.outcome).toBe("killed");
    expect(kills()).toHaveLength(1);
  });

  it("is answered and not attempted for what is over or unknown", async () => {
    const done = startElsewhere("done");
    world().run(done).complete();
    const { call, forms } = await connectInMemory({ onForm: say("yes") });
    for (const target of [{ run_id: done }, { session_name: "done" }]) {
      const over = await call({ action: "kill", ...target, confirm: true });
      expect(over).toMatchObject({ isError: false, data: { outcome: "ok", run: { status: "completed" } } });
      expect(over.text).toContain("already over");
    }
    const unknown = await call({ action: "kill", run_id: "no-such-run", confirm: true });
    expect(unknown).toMatchObject({ isError: false, data: { outcome: "unknown" } });
    expect(unknown.text).toContain("knows no run no-such-run");
    const misspelt = await call({ action: "kill", session_name: "donne", confirm: true });
    expect(misspelt).toMatchObject({ isError: true, text: expect.stringContaining("nearest: done") });
    expect(forms).toHaveLength(0);
    expect(kills()).toHaveLength(0);
  });

  it("looks again after the person's answer, which may have taken long", async () => {
    const run_id = startElsewhere();
    const { call } = await connectInMemory({
      onForm: () => {
        world().run(run_id).complete();
        return { action: "accept", content: { confirm: "yes" } };
      },
    });
    const answer = await call({ action: "kill", run_id });
    expect(answer.data).toMatchObject({ outcome: "ok", run: { status: "completed" } });
    expect(kills()).toHaveLength(0);
  });

  it("that comes too late for the API is answered as such", async () => {
    const run_id = startElsewhere();
    sim.api().fault({ path: "/run/*/kill" }, { status: 409, body: { detail: "already completed" } });
    const { call } = await connectInMemory();
    const pending = call({ action: "kill", run_id, confirm: true });
    await sim.api().waitFor((request) => request.path.endsWith("/kill"));
    expect(await pending).toMatchObject({
      isError: true,
      text: expect.stringContaining("already completed"),
    });
    world().script({ manual: true });
    const next = startElsewhere("next");
    const { call: again } = await connectInMemory();
    sim.api().fault({ path: "/run/*/kill" }, { status: 409 });
    const late = again({ action: "kill", run_id: next, confirm: true });
    await sim.api().waitFor((request) => request.path === `/run/${next}/kill`);
    world().run(next).complete();
    expect((await late).data).toMatchObject({ outcome: "ok", run: { status: "completed" } });
  });

  it("whose answer is lost is unknown, and not sent again", async () => {
    const run_id = startElsewhere();
    sim.api().fault({ path: "/run/*/kill" }, { drop: "after" });
    const { call } = await connectInMemory({ settings: { MAX_RETRIES: "3" } });
    const answer = await call({ action: "kill", run_id, confirm: true });
    expect(answer.data).toMatchObject({
      outcome: "unknown",
      next_step: { arguments: { action: "status", run_id } },
    });
    expect(kills()).toHaveLength(1);
  });

  it("claims nothing about a run that could not be looked at afterwards", async () => {
    const run_id = startElsewhere();
    const { call } = await connectInHaste({ onForm: say("yes") });
    const pending = call({ action: "kill", run_id });
    await sim.api().waitFor((request) => request.path.endsWith("/kill"));
    sim.api().fault({ path: "/run/*/status" }, { status: 503 });
    const answer = await pending;
    expect(answer.data.outcome).toBe("unknown");
    expect(answer.text).toContain("could not be read since then");
  });
});

describe("a kill that the API is slow to help with", () => {
  /** A run whose session's name the status does not tell, as on the public server. */
  function hideNames(): void {
    sim.server.use(
      http.get(`${sim.baseUrl}/api/v1/workflows/claude-code/run/:id/status`, async ({ request }) => {
        const body = (await (await sim.api().handle(request)).json()) as Record<string, unknown>;
        return HttpResponse.json({ ...body, session_name: null });
      }),
    );
  }

  it("reaches it soon, though the list that has the session's name does not answer", async () => {
    const run_id = startElsewhere();
    hideNames();
    sim.api().fault({ path: "/runs" }, { hang: true });
    const clock = createHandClock();
    const { call, forms } = await connectInMemory({ clock, onForm: say("yes") });
    const began = clock.now();
    const pending = call({ action: "kill", run_id });
    pending.catch(() => {});
    await until(() => {
      if (kills().length === 0) clock.advance(20);
      return kills().length > 0;
    }, "the kill");
    expect(clock.now() - began).toBeLessThan(5_000);
    expect(forms[0]?.message).toContain(run_id);
    await hasten(clock, pending);
  });

  it("by name is sent soon and says what it relied on, though the list does not answer", async () => {
    const clock = createHandClock();
    const { call, forms } = await connectInMemory({ clock, onForm: say("yes") });
    const started = await call({ ...COMPLETE, session_name: "auth", wait_seconds: 0 });
    sim.api().fault({ path: "/runs" }, { hang: true });
    const began = clock.now();
    const pending = call({ action: "kill", session_name: "auth" });
    await until(() => {
      if (kills().length === 0) clock.advance(20);
      return kills().length > 0;
    }, "the kill");
    expect(clock.now() - began).toBeLessThan(8_000);
    const answer = await hasten(clock, pending);
    expect(answer.data).toMatchObject({ outcome: "killed", run: { run_id: started.data.run.run_id } });
    for (const told of [answer.text, forms[0]?.message]) {
      expect(told).toContain('did not come in time, so the run of "auth" is the newest one known here');
    }
  });

  it("by name says nothing of it when the list answers, and waits for the list when it alone can tell", async () => {
    const run_id = startElsewhere("theirs");
    const { call } = await connectInHaste({ onForm: say("yes") });
    await call({ ...COMPLETE, session_name: "ours", wait_seconds: 0 });
    const ours = await call({ action: "kill", session_name: "ours" });
    expect(ours.data.outcome).toBe("killed");
    expect(ours.text).not.toContain("in time");
    const other = await connectInHaste({ onForm: say("yes"), settings: { REQUEST_TIMEOUT: "10" } });
    sim.api().fault({ path: "/runs" }, { hang: true }, 1);
    const pending = other.call({ action: "kill", session_name: "theirs" });
    expect(await pending).toMatchObject({ isError: true });
    const theirs = await other.call({ action: "kill", session_name: "theirs" });
    expect(theirs.data).toMatchObject({ outcome: "killed", run: { run_id } });
    expect(kills()).toHaveLength(2);
  });

  it("looks for the name once: what was found before the form is not looked for after it", async () => {
    const run_id = startElsewhere();
    hideNames();
    const lists = () => sim.api().requests.filter((one) => one.path === "/runs").length;
    let before = 0;
    const connected = await connectInHaste({
      onForm: (form) => {
        expect(form.message).toContain('session "auth"');
        before = lists();
        // Whoever asks for the list now reads it anew.
        connected.clock.advance(10_000);
        return say("yes")();
      },
    });
    const { call } = connected;
    const answer = await call({ action: "kill", run_id });
    expect(answer.text).toContain('session "auth"');
    expect(lists()).toBe(before);
  });

  it("is sent after the person's yes, though the run cannot be read any more", async () => {
    const run_id = startElsewhere();
    const { call } = await connectInHaste({
      onForm: () => {
        sim.api().fault({ path: "/run/*/status" }, { hang: true });
        return say("yes")();
      },
    });
    await call({ action: "kill", run_id });
    expect(kills()).toHaveLength(1);
  });
});

describe("a client whose forms never appear", () => {
  it("is told that confirm is ignored, and how else the run can be ended", async () => {
    const run_id = startElsewhere();
    const { call } = await connectInMemory({
      onForm: () => {
        throw new Error("no window to show it in");
      },
    });
    const answer = await call({ action: "kill", run_id, confirm: true });
    expect(answer.data.outcome).toBe("input_required");
    expect(answer.text).toContain(
      "answered this one with an error, so the person has most likely not seen it",
    );
    expect(answer.text).toContain("This client can show forms, so `confirm: true` is ignored.");
    expect(answer.text).toMatch(/a client that shows forms, one without forms, or the workflows API itself/);
    expect(kills()).toHaveLength(0);
  });
});

describe("cleanup", () => {
  function finished(): string {
    const run_id = startElsewhere();
    world().run(run_id).complete();
    return run_id;
  }

  it("asks first, then tells what was removed", async () => {
    const run_id = finished();
    const { call, forms } = await connectInMemory({ onForm: say("yes") });
    const answer = await call({ action: "cleanup", session_name: "auth" });
    expect(forms[0]?.message).toMatch(
      /^Remove the workspace of session "auth" \(.*\$\d.*\)\?\n\nBy workflow architect, run /,
    );
    expect(answer.data).toMatchObject({ outcome: "ok", cleanup: { success: true, removed: ["workspace"] } });
    expect(cleanups()).toMatchObject([{ path: `/run/${run_id}/cleanup`, query: { force: "false" } }]);
    const again = await call({ action: "cleanup", run_id });
    expect(again.data).toMatchObject({ outcome: "ok", cleanup: { removed: [] } });
    expect(again.text).toContain("nothing left to remove");
    expect(again.text).not.toContain("Cleaned up");
  });

  it("sends nothing on a no, whatever confirm says, and needs confirm: true where there are no forms", async () => {
    const run_id = finished();
    const asked = await connectInMemory({ onForm: say("no") });
    const no = await asked.call({ action: "cleanup", run_id, confirm: true });
    expect(no.data.outcome).toBe("declined");
    const formless = await connectInMemory();
    const open = await formless.call({ action: "cleanup", run_id });
    expect(open.data).toMatchObject({
      outcome: "input_required",
      next_step: { arguments: { action: "cleanup", run_id, confirm: true } },
    });
    expect(cleanups()).toHaveLength(0);
    await formless.call(open.data.next_step.arguments);
    expect(cleanups()).toHaveLength(1);
  });

  it("is not attempted while the run goes on, unless by force and with the person's word", async () => {
    const run_id = startElsewhere();
    const { call, forms } = await connectInMemory({ onForm: say("yes") });
    const answer = await call({ action: "cleanup", run_id, confirm: true });
    expect(answer).toMatchObject({ isError: false, data: { outcome: "running" } });
    expect(answer.text).toContain("Nothing was sent");
    expect(forms).toHaveLength(0);
    expect(cleanups()).toHaveLength(0);
    await call({ action: "cleanup", run_id, force: true });
    expect(forms[0]?.message).toContain("still going on");
    expect(cleanups()).toMatchObject([{ query: { force: "true" } }]);
  });

  it("is answered and not attempted for an unknown run", async () => {
    const { call, forms } = await connectInMemory({ onForm: say("yes") });
    const answer = await call({ action: "cleanup", run_id: "no-such-run", confirm: true });
    expect(answer).toMatchObject({ isError: false, data: { outcome: "unknown" } });
    expect(forms).toHaveLength(0);
    expect(cleanups()).toHaveLength(0);
  });

  it("tells what the API could not remove, and does not know what became of a lost answer", async () => {
    const run_id = finished();
    const { call } = await connectInMemory();
    const undo = sim.api().fault(
      { path: "/run/*/cleanup" },
      {
        body: {
          success: false,
          cleanup_details: { workspace_removed: true, errors: ["worktree is locked"] },
        },
      },
    );
    const answer = await call({ action: "cleanup", run_id, confirm: true });
    expect(answer.data).toMatchObject({
      outcome: "failed",
      cleanup: { success: false, removed: ["workspace"], errors: ["worktree is locked"] },
    });
    expect(answer.text).toContain("worktree is locked");
    undo();
    sim.api().fault({ path: "/run/*/cleanup" }, { drop: "after" });
    const lost = await call({ action: "cleanup", run_id, confirm: true });
    expect(lost.data.outcome).toBe("unknown");
    expect(cleanups()).toHaveLength(2);
  });
});
