import { HttpResponse, http } from "msw";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { mergeRun } from "../src/runs/merge-run.js";
import { bareRun } from "../src/runs/run-facts.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const API = `${sim.baseUrl}/api/v1/workflows/claude-code`;
const world = () => sim.api().world;
const starts = () => sim.api().posts("/run/");
const listAll = { action: "list_sessions", active_only: false };

describe("a session id that only the answer to the start has told", () => {
  /** A server of the contract that names the session when it starts a run and nowhere else. */
  function hideIds(debug: object | undefined): void {
    sim.server.use(
      http.get(`${API}/run/:id/status`, async ({ request }) => {
        const body = (await (await sim.api().handle(request)).json()) as Record<string, unknown>;
        return HttpResponse.json({ ...body, session_id: null, claude_session_id: null, debug });
      }),
      http.get(`${API}/runs`, async ({ request }) => {
        const body = (await (await sim.api().handle(request)).json()) as { runs: object[] };
        return HttpResponse.json({ ...body, runs: body.runs.map((run) => ({ ...run, session_id: null })) });
      }),
    );
  }

  async function runThrough() {
    const store = createMemorySessionStore();
    const { call } = await connectInMemory({ store });
    const started = (await call({ ...COMPLETE, wait_seconds: 0 })).data.run;
    expect(started).not.toHaveProperty("session_id");
    world().run(started.run_id).turn();
    const { sessionId } = world().run(started.run_id).complete();
    const ended = await call({ action: "status", run_id: started.run_id, wait_seconds: 5 });
    const later = await connectInMemory({ store });
    return { ended, sessionId, call: later.call };
  }

  it("counts once the run was read, and the session can be continued", async () => {
    hideIds(undefined);
    const { ended, sessionId, call } = await runThrough();
    expect(ended.data.run.session_id).toBe(sessionId);
    expect((await call(listAll)).data.sessions).toMatchObject([
      { session_id: sessionId, can_continue: true },
    ]);
    const next = await call({
      message: "Go on",
      workflow_name: "implement",
      continue_session: COMPLETE.session_name,
      wait_seconds: 0,
    });
    expect(next.data.outcome).toBe("started");
    expect(starts()[1]?.body).toMatchObject({ session_id: sessionId });
  });

  it("counts for nothing on a server that makes such ids up", async () => {
    hideIds({ workflow_run_id: "row-1", metadata: {} });
    const { ended, call } = await runThrough();
    expect(ended.data.run).not.toHaveProperty("session_id");
    expect((await call(listAll)).data.sessions).toMatchObject([{ can_continue: false }]);
  });

  it("stays a claim while nothing was read", () => {
    const claimed = {
      ...bareRun("run-1"),
      status: "pending",
      sessionId: "id-1",
      sessionClaimed: true as const,
    };
    expect(mergeRun(claimed, bareRun("run-1"))).toMatchObject({ sessionClaimed: true });
    expect(mergeRun(bareRun("run-1"), claimed)).toMatchObject({ sessionClaimed: true });
    const read = mergeRun(claimed, { ...bareRun("run-1"), status: "running" });
    expect(read.sessionId).toBe("id-1");
    expect(read).not.toHaveProperty("sessionClaimed");
  });
});
