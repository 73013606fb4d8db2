import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });

// biome-ignore lint/suspicious/noExplicitAny: the schema is checked field by field
async function workflowSchema(client: any, tool = "orchestrate_workflow"): Promise<any> {
  const { tools } = await client.listTools();
  return tools.find((one: { name: string }) => one.name === tool)?.inputSchema.properties.workflow_name;
}

describe("the workflows in the schema", () => {
  it("are the API's own, with what they are for and their suggested turns", async () => {
    const { client } = await connectInMemory();
    const schema = await workflowSchema(client);
    const workflows = sim.api().world.workflows.list();
    expect(schema.enum).toEqual(workflows.map((workflow) => workflow.name));
    expect(schema.description).toContain("architect: ");
    expect(schema.description).toMatch(/\(\d+ turns\)/);
  });

  it("follow the API at every refresh, with a notification to every session", async () => {
    const clock = createHandClock();
    const { client, listChanges, connect } = await connectInMemory({ clock });
    const other = await connect();
    sim.api().world.workflows.add({ name: "translate", description: "Translate the texts" });
    clock.advance(60_000);
    await until(() => listChanges() > 0 && other.listChanges() > 0, "the notifications");
    expect((await workflowSchema(client)).enum).toContain("translate");
    expect((await workflowSchema(other.client)).enum).toContain("translate");
    expect(client.getServerCapabilities()?.tools).toEqual({ listChanged: true });
  });

  it("do not change, and nobody is told, when the API says the same again", async () => {
    const clock = createHandClock();
    const { listChanges } = await connectInMemory({ clock });
    const before = sim.api().requests.length;
    clock.advance(60_000);
    await until(() => sim.api().requests.length > before, "the refresh");
    await until(() => clock.pending() > 0, "the next refresh to be planned");
    expect(listChanges()).toBe(0);
  });

  it("stay when a later refresh fails", async () => {
    const clock = createHandClock();
    const { client, listChanges } = await connectInMemory({ clock });
    sim.api().fault({ path: "/manage" }, { status: 503 });
    const before = sim.api().requests.length;
    clock.advance(60_000);
    await until(() => sim.api().requests.length > before, "the refresh");
    expect((await workflowSchema(client)).enum).toContain("architect");
    expect(listChanges()).toBe(0);
  });
});

describe("an API that is not there at the start", () => {
  it("is named as the reason in the schema, and its workflows appear once it is there", async () => {
    const heal = sim.api().fault({ path: "/manage" }, { drop: "before" });
    const clock = createHandClock();
    const { client, listChanges } = await connectInMemory({ clock });
    const schema = await workflowSchema(client);
    expect(schema).not.toHaveProperty("enum");
    expect(schema.description).toContain("not available yet");
    expect(schema.description).toContain("http://localhost:28881");
    heal();
    clock.advance(1_000);
    await until(() => listChanges() > 0, "the notification");
    expect((await workflowSchema(client)).enum).toContain("architect");
  });

  it("is asked again less and less often, never less than at every refresh", async () => {
    sim.api().fault({ path: "/manage" }, { status: 503 });
    const clock = createHandClock();
    await connectInMemory({ clock, settings: { REFRESH_INTERVAL: "5" } });
    const asked = () => sim.api().requests.filter((one) => one.path === "/manage").length;
    for (const pause of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      const before = asked();
      await until(() => clock.pending() > 0, "the next attempt to be planned");
      clock.advance(pause - 1);
      expect(asked()).toBe(before);
      clock.advance(1);
      await until(() => asked() === before + 1, "the next attempt");
    }
  });

  it("that refuses the key is named as such", async () => {
    const { client } = await connectInMemory({ settings: { API_KEY: "another-key" } });
    const schema = await workflowSchema(client);
    expect(schema.description).toContain("refused the key");
    expect(JSON.stringify(schema)).not.toContain("another-key");
  });
});

describe("a workflow's name", () => {
  it("works when it is not in the enum yet but exists upstream by now", async () => {
    const { call } = await connectInMemory();
    sim.api().world.workflows.add({ name: "translate", description: "Translate the texts" });
    const answer = await call({ ...COMPLETE, workflow_name: "translate" });
    expect(answer.data).toMatchObject({ outcome: "completed", run: { workflow_name: "translate" } });
  });

  it("that does not exist is answered with the nearest names, and the list is read again", async () => {
    const { call } = await connectInMemory();
    const before = sim.api().requests.filter((one) => one.path === "/manage").length;
    const answer = await call({ ...COMPLETE, workflow_name: "implment" });
    expect(answer.isError).toBe(true);
    expect(answer.text).toContain("Nearest: implement");
    expect(answer.data.next_step.arguments.workflow_name).toBe("implement");
    expect(sim.api().requests.filter((one) => one.path === "/manage").length).toBe(before + 1);
    expect(sim.api().posts("/run/")).toHaveLength(0);
  });
});

describe("list_workflows", () => {
  it("tells what there is now, and where it comes from when asked for details", async () => {
    const { call } = await connectInMemory();
    const answer = await call({ action: "list_workflows", detailed: true });
    expect(answer.data.outcome).toBe("ok");
    expect(answer.data.workflows.map((one: { name: string }) => one.name)).toContain("architect");
    expect(answer.data.api.address).toBe("http://localhost:28881");
    expect(answer.text).toContain("architect");
  });

  it("says plainly when the list cannot be read", async () => {
    sim.api().fault({ path: "/manage" }, { status: 500, body: { detail: "database is locked" } });
    const { call } = await connectInMemory();
    const answer = await call({ action: "list_workflows" });
    expect(answer.data).toMatchObject({ outcome: "unknown", workflows: [] });
    expect(answer.text).toContain("database is locked");
  });
});
