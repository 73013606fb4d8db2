import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import type { Action, Call, Services } from "../src/actions/define-action.js";
import { actions } from "../src/actions/index.js";
import { buildTools } from "../src/server/tools/registry.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });

/** Every schema in a schema, with the keys that lead to it. */
function* schemasIn(schema: unknown, path: string[] = []): Generator<[Record<string, unknown>, string]> {
  if (typeof schema !== "object" || schema === null) return;
  if (!Array.isArray(schema)) yield [schema as Record<string, unknown>, path.join(".")];
  for (const [key, value] of Object.entries(schema)) yield* schemasIn(value, [...path, key]);
}

describe("what is published", () => {
  it.each(["super", "named"])("toolset %s is as reviewed", async (toolset) => {
    const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
    const { tools } = await client.listTools();
    await expect(JSON.stringify(tools, null, 2)).toMatchFileSnapshot(`snapshots/tools-${toolset}.json`);
  });

  it.each(["super", "named"])("toolset %s keeps to what every client accepts", async (toolset) => {
    const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(0);
    for (const tool of tools) {
      expect(tool.name).toMatch(/^[A-Za-z0-9_-]{1,24}$/);
      expect(tool.title).toBeTruthy();
      expect(tool.description).toBeTruthy();
      for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]) {
        expect(tool.annotations).toHaveProperty(hint);
      }
      expect(tool.inputSchema.type).toBe("object");
      expect(tool.outputSchema?.type).toBe("object");
      for (const [schema, path] of [...schemasIn(tool.inputSchema), ...schemasIn(tool.outputSchema)]) {
        for (const word of [
          "oneOf",
          "anyOf",
          "allOf",
          "$ref",
          "$defs",
          "$schema",
          "exclusiveMinimum",
          "const",
        ]) {
          expect(schema, `${tool.name} ${path}`).not.toHaveProperty(word);
        }
        if ("type" in schema && !path.endsWith("properties")) expect(typeof schema.type).toBe("string");
      }
    }
  });

  it("the one tool stays under 1,500 tokens with ten workflows", async () => {
    const workflows = sim.api().world.workflows;
    for (const name of ["translate", "benchmark", "release"]) {
      workflows.add({ name, description: `A workflow that does ${name} work carefully`, suggestedTurns: 40 });
    }
    expect(workflows.list()).toHaveLength(10);
    const { client } = await connectInMemory();
    const [tool] = (await client.listTools()).tools;
    const tokens = countTokens(
      JSON.stringify({ description: tool?.description, inputSchema: tool?.inputSchema }),
    );
    expect(tokens).toBeLessThan(1_500);
  });
});

describe("the two toolsets do the same", () => {
  /** What each action is called where it is a tool of its own. */
  const TOOLS = Object.fromEntries(actions.map(({ name, toolName }) => [name, toolName]));

  it.each(["super", "named"])("%s: each action of a session's life, and the way on", async (toolset) => {
    sim.api().world.script({ manual: true, actions: ["Reading the code"] });
    const world = sim.api().world;
    const forms: string[] = [];
    const { call, client } = await connectInMemory({
      settings: { TOOLSET: toolset },
      onForm: ({ message, schema }) => {
        forms.push(message);
        const { session_name } = COMPLETE;
        return {
          action: "accept",
          content: schema.properties.confirm ? { confirm: "yes" } : { session_name },
        };
      },
    });
    const names = (await client.listTools()).tools.map(({ name }) => name);
    /** Carries the action out by the tool that has it; the next step has to name a tool that there is. */
    async function act(action: string, args: Record<string, unknown>) {
      const answer =
        toolset === "named"
          ? await call(args, { tool: TOOLS[action] ?? "" })
          : await call({ action, ...args }, { tool: "orchestrate_workflow" });
      const step = answer.data.next_step;
      if (step) expect(names).toContain(step.tool);
      expect(step?.arguments.action).toBe(toolset === "named" ? undefined : step?.arguments.action);
      expect(answer.isError, answer.text).toBe(false);
      return answer;
    }
    const { workflows } = (await act("list_workflows", {})).data;
    expect(workflows).toEqual(expect.arrayContaining([expect.objectContaining({ name: "architect" })]));
    const task = { workflow_name: "architect", message: "Design the login", wait_seconds: 0 };
    const started = await act("run", task);
    const { run_id, session_name } = started.data.run;
    expect(started.data).toMatchObject({ outcome: "started", run: { session_name: COMPLETE.session_name } });
    const { tool, arguments: way } = started.data.next_step;
    const onward = await call({ ...way, wait_seconds: 0 }, { tool });
    expect(onward.data).toMatchObject({ outcome: "running", run: { run_id } });
    world.run(run_id).turn("Reading the code");
    const fed = await act("feedback", { session_name, message: "Use Redis", wait_seconds: 0 });
    expect(fed.data).toMatchObject({ outcome: "ok", queue: { waiting: 1 } });
    expect((await act("message_queue", { run_id })).data.queue).toMatchObject({ added: 1 });
    expect((await act("status", { session_name })).data.run).toMatchObject({ run_id, turn: 1 });
    const { sessions } = (await act("list_sessions", {})).data;
    expect(sessions).toMatchObject([{ session_name, run_id }]);
    world.run(run_id).complete({ result: "Designed" });
    expect((await act("cleanup", { run_id })).data.outcome).toBe("ok");
    const again = await act("run", { ...task, workflow_name: "implement", continue_session: session_name });
    const next = again.data.run.run_id;
    expect((await act("kill", { run_id: next })).data).toMatchObject({
      outcome: "killed",
      run: { run_id: next },
    });
    // One form for what was missing of the first run, one each before something is removed or ended.
    expect(forms.map((message) => message.split(" ")[0])).toEqual(["Start", "Remove", "Kill"]);
  });

  it("named: what reads says so, what destroys says so", async () => {
    const { client } = await connectInMemory({ settings: { TOOLSET: "named" } });
    const { tools } = await client.listTools();
    const hints = Object.fromEntries(
      tools.map((tool) => [tool.name, [tool.annotations?.readOnlyHint, tool.annotations?.destructiveHint]]),
    );
    expect(hints).toEqual({
      run_workflow: [false, false],
      run_plan: [false, false],
      get_session_status: [true, false],
      send_feedback: [false, false],
      answer_question: [false, true],
      show_diff: [true, false],
      take_work: [false, false],
      discard_work: [false, true],
      check_pull_request: [false, false],
      list_sessions: [true, false],
      list_workflows: [true, false],
      list_plans: [true, false],
      show_history: [true, false],
      get_message_queue: [true, false],
      kill_run: [false, true],
      cleanup_run: [false, true],
    });
  });
});

describe("a change of the workflows", () => {
  it.each(["super", "named"])(
    "toolset %s: is one notification, and the order of the tools stays",
    async (toolset) => {
      const clock = createHandClock();
      const { client, listChanges } = await connectInMemory({ clock, settings: { TOOLSET: toolset } });
      const names = async () => (await client.listTools()).tools.map((tool) => tool.name);
      const before = await names();
      sim.api().world.workflows.add({ name: "translate", description: "Translate the texts" });
      clock.advance(60_000);
      await until(() => listChanges() > 0, "the notification");
      expect(await names()).toEqual(before);
      expect(listChanges()).toBe(1);
      expect(JSON.stringify((await client.listTools()).tools)).toContain("translate");
    },
  );
});

describe("a fault of our own", () => {
  it.each(["super", "named"] as const)(
    "toolset %s: goes to the log, and its text not to the client",
    async (toolset) => {
      const fault = new Error("ENOENT: no such file /home/someone/.secret-token");
      const broken = actions.map(
        (action): Action => ({
          ...action,
          handle: () => Promise.reject(fault),
        }),
      );
      const logged: unknown[] = [];
      const tools = buildTools(toolset, broken, (error) => logged.push(error));
      const tool = tools.find((one) => one.name === "list_workflows") ?? tools[0];
      const answer = await tool?.call(
        { action: "list_workflows" },
        {} as Call,
        { clock: createHandClock() } as unknown as Services,
      );
      expect(answer?.isError).toBe(true);
      expect(logged).toEqual([fault]);
      expect(answer?.structuredContent).toMatchObject({
        outcome: "failed",
        summary: expect.stringContaining("Internal error in this server"),
      });
      expect(JSON.stringify(answer)).not.toMatch(/secret-token|ENOENT|someone/);
    },
  );
});
