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
  it.each([
    ["super", "orchestrate_workflow"],
    ["named", "run_workflow"],
  ])("%s: a run, its status, and the way on", async (toolset, runTool) => {
    const { call, client } = await connectInMemory({ settings: { TOOLSET: toolset } });
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    const started = await call({ ...COMPLETE, wait_seconds: 0 }, { tool: runTool });
    expect(started.data.outcome).toBe("started");
    const { tool, arguments: args } = started.data.next_step;
    expect(names).toContain(tool);
    const status = await call(args, { tool });
    expect(status.data).toMatchObject({
      outcome: "completed",
      run: { run_id: started.data.run.run_id, session_name: "auth-system-project" },
    });
  });

  it("named: what reads says so, what destroys says so", async () => {
    const { client } = await connectInMemory({ settings: { TOOLSET: "named" } });
    const { tools } = await client.listTools();
    const hints = Object.fromEntries(
      tools.map((tool) => [tool.name, [tool.annotations?.readOnlyHint, tool.annotations?.destructiveHint]]),
    );
    expect(hints).toEqual({
      run_workflow: [false, false],
      get_session_status: [true, false],
      send_feedback: [false, false],
      answer_question: [false, true],
      list_sessions: [true, false],
      list_workflows: [true, false],
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
      const answer = await tool?.call({ action: "list_workflows" }, {} as Call, {} as Services);
      expect(answer?.isError).toBe(true);
      expect(logged).toEqual([fault]);
      expect(answer?.structuredContent).toMatchObject({
        outcome: "failed",
        summary: expect.stringContaining("a fault of its own"),
      });
      expect(JSON.stringify(answer)).not.toMatch(/secret-token|ENOENT|someone/);
    },
  );
});
