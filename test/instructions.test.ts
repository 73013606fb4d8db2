import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });
/** Clients show no more than about so many characters. */
const SHOWN = 2_000;

async function readInstructions(toolset = "super"): Promise<string> {
  const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
  return client.getInstructions() ?? "";
}

describe("the instructions of the server", () => {
  it.each([
    ["super", 'orchestrate_workflow {"action":"run"', 'orchestrate_workflow {"action":"status"'],
    ["named", "run_workflow {", "get_session_status {"],
  ])("toolset %s: name the workflows, the occasions and how to call", async (toolset, run, status) => {
    const text = await readInstructions(toolset);
    for (const { name } of sim.api().world.workflows.list()) expect(text).toContain(name);
    expect(text).toContain("not your own workflow, task or sub-agent feature");
    expect(text).toContain("Use it when the person speaks of Automagik or of a workflow");
    expect(text).toContain("start each with wait_seconds: 0");
    expect(text).toContain(run);
    expect(text).toContain(status);
    expect(text.length).toBeLessThan(SHOWN);
  });

  it("follow the list of workflows from one session to the next", async () => {
    const { client, call, connect } = await connectInMemory();
    expect(client.getInstructions()).not.toContain("translate");
    sim.api().world.workflows.add({ name: "translate", description: "Translate the texts" });
    // A name that is not known yet makes the list be read again.
    await call({ ...COMPLETE, workflow_name: "translate" });
    expect((await connect()).client.getInstructions()).toContain("translate");
  });

  it("say what the server is for when there is no list", async () => {
    sim.api().fault({}, { status: 503 });
    expect(await readInstructions()).toContain("designing, implementing, fixing, reviewing");
  });

  it("stay short with very many workflows, and say that there are more", async () => {
    for (let index = 0; index < 200; index++) {
      sim.api().world.workflows.add({ name: `workflow-with-a-long-name-${index}`, description: "does" });
    }
    const text = await readInstructions();
    expect(text).toMatch(/ and 1\d\d more/);
    expect(text.length).toBeLessThan(SHOWN);
  });
});

describe("what a client that searches for tools is told", () => {
  it("the one tool wants to be loaded always", async () => {
    const { client } = await connectInMemory({ settings: { TOOLSET: "super" } });
    const [tool] = (await client.listTools()).tools;
    expect(tool?._meta).toMatchObject({ "anthropic/alwaysLoad": true });
  });

  it("each of the named tools has words to be found by", async () => {
    const { client } = await connectInMemory({ settings: { TOOLSET: "named" } });
    const hints = (await client.listTools()).tools.map((tool) => tool._meta?.["anthropic/searchHint"]);
    expect(hints.length).toBeGreaterThan(1);
    for (const hint of hints) expect(hint).toMatch(/\bworkflow/);
    expect(new Set(hints).size).toBe(hints.length);
  });
});
