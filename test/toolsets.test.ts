import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

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
      answer_question: [false, false],
      list_sessions: [true, false],
      list_workflows: [true, false],
      get_message_queue: [true, false],
      kill_run: [false, true],
      cleanup_run: [false, true],
    });
  });
});
