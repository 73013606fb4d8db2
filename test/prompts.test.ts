import { readdirSync, readFileSync } from "node:fs";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { checkPlan } from "../src/plans/language/check-plan.js";
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
  it("are four, and one for each template of a plan that comes with the product", async () => {
    const { client } = await connectInMemory();
    const { prompts } = await client.listPrompts();
    expect(prompts.map((one) => one.name)).toEqual([
      "start_workflow",
      "hand_over",
      "review_session",
      "unblock_run",
      ...["ship-feature", "fix-bug", "review-panel", "variants", "issue-batch", "refactor-safely"],
    ]);
    for (const prompt of prompts) expect(prompt.description).toBeTruthy();
  });

  it("of templates have the templates' own words and inputs", async () => {
    const { client } = await connectInMemory();
    const folder = new URL("../plans/", import.meta.url);
    const templates = await Promise.all(
      readdirSync(folder)
        .filter((file) => file.endsWith(".yaml"))
        .map(async (file) => {
          const checked = await checkPlan(readFileSync(new URL(file, folder), "utf8"));
          if ("problems" in checked) throw new Error(`${file} is no plan`);
          const { name, description, inputs } = checked.plan;
          const args = Object.entries(inputs).map(([input, field]) => ({
            name: input,
            description: field.description,
            required: field.required,
          }));
          return { name, description, arguments: args };
        }),
    );
    const { prompts } = await client.listPrompts();
    expect(prompts).toEqual(expect.arrayContaining(templates));
  });

  it.each([
    ["super", '`orchestrate_workflow` with `{"action":"plan","plan":"fix-bug"'],
    ["named", '`run_plan` with `{"plan":"fix-bug"'],
  ])(
    "of templates begin the plan with what was said, and leave out the rest (toolset %s)",
    async (toolset, call) => {
      const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
      const text = await write(client, "fix-bug", { bug: "Logging in twice fails" });
      expect(text).toContain(`${call},"inputs":{"bug":"Logging in twice fails"}}\``);
      expect(text).toContain("Leave out what I have not said (bounds)");
    },
  );

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

describe("what a client has cut into one word an argument", () => {
  it.each([
    ["start_workflow", { task: "fix", workflow_name: "the" }, "task"],
    ["fix-bug", { bug: "logging", bounds: "in" }, "bug"],
  ])("is put together again by the agent: %s", async (name, args, argument) => {
    const { client } = await connectInMemory();
    expect(await write(client, name, args)).toContain(`all of them together are the ${argument}`);
  });

  it("is not spoken of where a whole sentence came", async () => {
    const { client } = await connectInMemory();
    expect(await write(client, "fix-bug", { bug: "logging in fails" })).not.toContain("all of them together");
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
