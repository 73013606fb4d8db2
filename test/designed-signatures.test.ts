import { beforeEach, describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory, type InMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: "manual" });
const starts = () => sim.api().posts("/run/");
const SESSION = "auth-system-project";

describe.each(["super", "named"])("toolset %s", (toolset) => {
  let mcp: InMemory;
  let runId: string;
  let sessionId: string;
  /** A call by the name of the tool that the product was designed with. */
  function call(tool: string, args: Record<string, unknown>) {
    return toolset === "named"
      ? mcp.call(args, { tool })
      : mcp.call({ action: tool, ...args }, { tool: "orchestrate_workflow" });
  }

  beforeEach(async () => {
    mcp = await connectInMemory({ settings: { TOOLSET: toolset } });
    const started = await call("run_workflow", { ...COMPLETE, wait_seconds: 0 });
    runId = started.data.run.run_id;
    sim.api().world.run(runId).turn();
    sessionId = (await call("get_session_status", { session_id: runId })).data.run.session_id;
  });

  it.each([
    ["the session's id", () => sessionId],
    ["its name", () => SESSION],
    ["the run's id", () => runId],
  ])("send_feedback(session_id, feedback, message_type) takes %s", async (_what, id) => {
    const answer = await call("send_feedback", {
      session_id: id(),
      feedback: "Use Redis",
      message_type: "system",
      wait_seconds: 0,
    });
    expect(answer.text).toContain("Accepted");
    const [sent] = sim.api().posts(/add-message$/);
    expect(sent?.path).toContain(runId);
    expect(JSON.stringify(sent?.body)).toContain("Use Redis");
    expect(JSON.stringify(sent?.body)).toContain("system");
  });

  it("feedback and message that differ are refused, the same twice is taken", async () => {
    const differing = await call("send_feedback", { session_id: SESSION, feedback: "A", message: "B" });
    expect(differing.text).toContain("`feedback` and `message` are the same argument with different values");
    expect(sim.api().posts(/add-message$/)).toHaveLength(0);
    const same = await call("send_feedback", {
      session_id: SESSION,
      feedback: "A",
      message: "A",
      wait_seconds: 0,
    });
    expect(same.isError).toBe(false);
  });

  it.each([
    ["the session's id", () => sessionId],
    ["its name", () => SESSION],
    ["the run's id", () => runId],
  ])("get_session_status(session_id, detailed) takes %s", async (_what, id) => {
    const { data } = await call("get_session_status", { session_id: id(), detailed: true });
    expect(data.run).toMatchObject({ run_id: runId, session_name: SESSION });
  });

  it("list_sessions(active_only) lists the sessions", async () => {
    const { data } = await call("list_sessions", { active_only: true });
    expect(data.sessions).toMatchObject([{ session_name: SESSION, run_id: runId }]);
  });

  describe("run_workflow(…, session_name, continue_session, …)", () => {
    const again = {
      workflow_name: "implement",
      message: "Go on",
      max_turns: 5,
      repository_url: "",
      git_branch: "",
      wait_seconds: 0,
    };
    beforeEach(async () => {
      sim.api().world.run(runId).complete();
      await call("get_session_status", { session_id: runId });
    });

    it.each([
      ["true and the session's name", () => ({ session_name: SESSION, continue_session: true })],
      ["true in words", () => ({ session_name: SESSION, continue_session: "True" })],
      ["true and the session's id", () => ({ session_id: sessionId, continue_session: true })],
      ["its name", () => ({ continue_session: SESSION })],
      ["its id", () => ({ continue_session: sessionId })],
      ["the id of its run", () => ({ continue_session: runId })],
      ["its name as session_id", () => ({ session_id: SESSION })],
    ])("continues by %s", async (_what, how) => {
      const { data } = await call("run_workflow", { ...again, ...how() });
      expect(data.outcome).toBe("started");
      expect(starts().at(-1)?.body).toMatchObject({ session_id: sessionId, max_turns: 5 });
    });

    it.each([[false], ["false"]])(
      "begins another session with %j and a new name",
      async (continue_session) => {
        const { data } = await call("run_workflow", { ...again, session_name: "another", continue_session });
        expect(data.outcome).toBe("started");
        expect(starts().at(-1)?.body).toMatchObject({ session_name: "another" });
        expect(starts().at(-1)?.body).not.toHaveProperty("session_id");
      },
    );

    it("starts nothing with true and no session", async () => {
      const { text, isError } = await call("run_workflow", { ...again, continue_session: true });
      expect(isError).toBe(true);
      expect(text).toContain("has to be the name of the session to continue");
      expect(starts()).toHaveLength(1);
    });
  });

  it("publishes none of the other names", async () => {
    const { tools } = await mcp.client.listTools();
    for (const { inputSchema } of tools) expect(inputSchema.properties).not.toHaveProperty("feedback");
  });
});

describe("a tool of its own", () => {
  it("describes its arguments by what they are for in it, and by no other action", async () => {
    const { client } = await connectInMemory({ settings: { TOOLSET: "named" } });
    for (const { name, inputSchema } of (await client.listTools()).tools) {
      for (const [argument, schema] of Object.entries(inputSchema.properties ?? {})) {
        const { description } = schema as { description: string };
        expect(description, `${name} ${argument}`).not.toMatch(/\b(run|feedback|answer|kill|cleanup): /);
      }
    }
  });

  it("says by its own words what is missing", async () => {
    const { call } = await connectInMemory({ settings: { TOOLSET: "named" } });
    const { text } = await call({ session_id: "x" }, { tool: "send_feedback" });
    expect(text).toContain("`message` is missing: What the agent should read");
  });
});

describe("the one tool", () => {
  it("starts nothing when feedback comes without an action, and names the one that was meant", async () => {
    const { call } = await connectInMemory({ settings: { TOOLSET: "super" } });
    const { text, isError } = await call(
      { ...COMPLETE, feedback: "Use Redis" },
      { tool: "orchestrate_workflow" },
    );
    expect(isError).toBe(true);
    expect(text).toContain("`feedback` does not belong to action run; action feedback may be meant");
    expect(starts()).toHaveLength(0);
  });
});
