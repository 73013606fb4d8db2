import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });

async function write(client: Client, name: string, args?: Record<string, string>): Promise<string> {
  const { messages } = await client.getPrompt({ name, ...(args ? { arguments: args } : {}) });
  return messages.map((one) => (one.content.type === "text" ? one.content.text : "")).join("\n");
}

async function complete(client: Client, prompt: string, name: string, value: string) {
  const { completion } = await client.complete({
    ref: { type: "ref/prompt", name: prompt },
    argument: { name, value },
  });
  return completion;
}

function startMany(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const session_name = `project-${String(index).padStart(3, "0")}`;
    return sim.api().world.start("fix", { message: "x", input_format: "stream-json", session_name }).runId;
  });
}

describe("prompts", () => {
  it("are four, each saying what it is for", async () => {
    const { client } = await connectInMemory();
    const { prompts } = await client.listPrompts();
    expect(prompts.map((one) => one.name)).toEqual([
      "start_workflow",
      "hand_over",
      "review_session",
      "unblock_run",
    ]);
    for (const prompt of prompts) expect(prompt.description).toBeTruthy();
  });

  it.each([
    ["super", "`orchestrate_workflow`", '"continue_session":"auth"'],
    ["named", "`run_workflow`", '"continue_session":"auth"'],
  ])("name the tools that toolset %s has", async (toolset, tool, argument) => {
    const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
    const names = (await client.listTools()).tools.map((one) => one.name);
    const text = await write(client, "hand_over", { session_name: "auth", workflow_name: "implement" });
    expect(text).toContain(tool);
    expect(text).toContain(argument);
    for (const [, named] of text.matchAll(/`(\w+)` with/g)) expect(names).toContain(named);
  });

  it("can be asked for without their optional arguments", async () => {
    const { client } = await connectInMemory();
    expect(await write(client, "unblock_run")).toContain("makes no progress");
    expect(await write(client, "start_workflow", { task: "Design the login" })).toContain("Design the login");
  });
});

describe("completions", () => {
  it("of a workflow's name follow the catalogue", async () => {
    const { client } = await connectInMemory();
    expect((await complete(client, "hand_over", "workflow_name", "imp")).values).toEqual(["implement"]);
    expect((await complete(client, "hand_over", "workflow_name", "")).values).toContain("architect");
  });

  it("of session names and run ids are live, and what begins with the text comes first", async () => {
    const { client } = await connectInMemory();
    const [first] = startMany(3);
    const sessions = await complete(client, "review_session", "session_name", "project-00");
    expect([...sessions.values].sort()).toEqual(["project-000", "project-001", "project-002"]);
    const runs = await complete(client, "unblock_run", "run_id", first?.slice(0, 8) ?? "");
    expect(runs.values).toEqual([first]);
    const template = await client.complete({
      ref: { type: "ref/resource", uri: "automagik://runs/{run_id}" },
      argument: { name: "run_id", value: first?.slice(0, 8) ?? "" },
    });
    expect(template.completion.values).toEqual([first]);
  });

  it("of hundreds give the first hundred and say that there are more", async () => {
    const { client } = await connectInMemory();
    startMany(250);
    const completion = await complete(client, "review_session", "session_name", "project");
    expect(completion.values).toHaveLength(100);
    expect(completion.total).toBe(250);
    expect(completion.hasMore).toBe(true);
    expect((await complete(client, "review_session", "session_name", "project-24")).values).toHaveLength(10);
  });

  it("give nothing, and no error, when the API is away", async () => {
    sim.api().fault({ path: "/runs" }, { drop: "before" });
    const { client } = await connectInMemory();
    expect((await complete(client, "review_session", "session_name", "a")).values).toEqual([]);
  });
});
