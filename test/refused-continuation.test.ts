import { HttpResponse, http } from "msw";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

// The public server, whose agent refuses a conversation that it does not have.
const sim = useSimulatedApi({ profile: "automagik-0.6", paceMs: "manual" });
const API = `${sim.baseUrl}/api/v1/workflows/claude-code`;
const world = () => sim.api().world;
const starts = () => sim.api().posts("/run/");
const text = { INPUT_FORMAT: "text" };
const RUN = { ...COMPLETE, workflow_name: "builder", wait_seconds: 0 };
const listAll = { action: "list_sessions", active_only: false };

describe("a continuation that the agent refuses", () => {
  const REFUSED = { ...RUN, session_id: "of-no-conversation" };

  it("is a failure in every answer about the run, whoever asks and whenever", async () => {
    const store = createMemorySessionStore();
    const { call, client } = await connectInMemory({ store, settings: text });
    const started = await call(REFUSED);
    expect(started.text).toContain("was asked to continue the conversation of-no-conversation");
    expect(started.text).not.toContain("It continues");
    expect(started.data.run).not.toHaveProperty("session_id");
    const { run_id } = started.data.run;
    for (const look of [{ run_id }, { run_id, wait_seconds: 5 }, { session_name: REFUSED.session_name }]) {
      const answer = await call({ action: "status", ...look });
      expect(answer.data).toMatchObject({ outcome: "failed", run: { run_id, status: "completed" } });
      expect(answer.data.next_step.arguments).toEqual(listAll);
      expect(answer.data.run).not.toHaveProperty("session_id");
      expect(answer.text).toContain("the conversation of-no-conversation was not continued");
    }
    const resource = await client.readResource({ uri: `automagik://runs/${run_id}` });
    expect(JSON.stringify(resource)).toContain("the conversation of-no-conversation was not continued");
    const later = await connectInMemory({ store, settings: text });
    for (const { call: ask } of [{ call }, later]) {
      expect((await ask(listAll)).data.sessions).toMatchObject([{ status: "failed", can_continue: false }]);
    }
    const again = await later.call({ action: "status", run_id });
    expect(again.data.outcome).toBe("failed");
  });

  it("makes its id one that cannot be continued with: a fresh start is offered instead", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectInMemory({ store, settings: text });
    const answer = await call({ ...REFUSED, wait_seconds: 5 });
    expect(answer.data.outcome).toBe("failed");
    const next = { workflow_name: "genie", message: "Go on", wait_seconds: 0 };
    for (const way of [{ continue_session: REFUSED.session_name }, { session_id: "of-no-conversation" }]) {
      const offer = await call({ ...next, ...way });
      expect(offer.data.outcome).toBe("input_required");
      expect(offer.text).toContain("cannot be continued");
    }
    expect(starts()).toHaveLength(1);
    const fresh = await call({
      ...answer.data.next_step.arguments,
      wait_seconds: 0,
      repository_url: "",
      git_branch: "",
    });
    expect(starts()[1]?.body).not.toHaveProperty("session_id");
    expect(fresh.isError).toBe(false);
  });

  it("does not repeat a long message in the offer of a fresh start", async () => {
    const { call } = await connectInMemory({ settings: text });
    const message = "Design the login. ".repeat(500);
    const answer = await call({ ...REFUSED, message, wait_seconds: 5 });
    expect(answer.data.next_step.arguments).toMatchObject({
      workflow_name: "builder",
      message: "(the same message as before, in full)",
    });
    expect(answer.text.length).toBeLessThan(3_000);
  });

  it("takes the session's own id away only until a run shows one again", async () => {
    const store = createMemorySessionStore();
    const { call } = await connectInMemory({ store, settings: text });
    const first = (await call(RUN)).data.run.run_id;
    world().run(first).turn();
    await until(() => sim.api().requests.filter((one) => one.path.includes(first)).length > 2, "some looks");
    const { sessionId } = world().run(first).complete();
    await call({ action: "status", run_id: first, wait_seconds: 5 });
    expect((await call(listAll)).data.sessions).toMatchObject([{ session_id: sessionId }]);
    // The agent has lost the conversation meanwhile.
    sim.server.use(
      http.post(`${API}/run/:name`, async ({ request }) => {
        const body = { ...((await request.json()) as object), session_id: "lost-by-the-agent" };
        const { url, headers } = request;
        const lost = new Request(url, { method: "POST", headers, body: JSON.stringify(body) });
        const answer = (await (await sim.api().handle(lost)).json()) as object;
        return HttpResponse.json({ ...answer, session_id: sessionId });
      }),
    );
    const refused = await call({
      ...RUN,
      session_name: undefined,
      continue_session: RUN.session_name,
      wait_seconds: 5,
    });
    expect(refused.data.outcome).toBe("failed");
    const [gone] = (await call(listAll)).data.sessions;
    expect(gone).toMatchObject({ can_continue: false, runs: 2 });
    expect(gone).not.toHaveProperty("session_id");
  });
});
