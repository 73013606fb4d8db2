import { type Progress, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { COMPLETE, until } from "./support/harness.js";
import { setUp, TRANSPORTS } from "./support/transports.js";

const isStatus = ({ path }: { path: string }) => path.endsWith("/status");

// What a client can do must not depend on how it is connected.
describe.each(TRANSPORTS)("over %s", (transport) => {
  test("the tools are listed, with the API's workflows in their schema", async () => {
    const { world, connect } = await setUp(transport);
    const { client } = await connect();
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(["orchestrate_workflow"]);
    expect(tools[0]?.inputSchema.properties?.workflow_name).toMatchObject({
      enum: world.workflows.list().map((workflow) => workflow.name),
    });
    expect(client.getServerCapabilities()?.tools).toEqual({ listChanged: true });
  });

  test("what is missing is asked in a form, and the run starts with the answer", async () => {
    const { world, connect } = await setUp(transport);
    const { call, forms } = await connect({
      onForm: () => ({ action: "accept", content: { session_name: "by-form" } }),
    });
    const { session_name: _, ...rest } = COMPLETE;
    const answer = await call({ ...rest, wait_seconds: 0 });
    expect(answer.data.outcome).toBe("started");
    expect(forms).toHaveLength(1);
    expect(world.runs()[0]).toMatchObject({ sessionName: "by-form" });
  });

  test("progress is told while the run goes on, and its result at the end", async () => {
    const { api, world, connect } = await setUp(transport);
    const { call } = await connect();
    const progress: Progress[] = [];
    const answer = call({ ...COMPLETE, wait_seconds: 60 }, { onprogress: (one) => progress.push(one) });
    await api.waitFor(isStatus);
    const run = world.run(world.runs()[0]?.runId ?? "");
    run.turn("Designing database schema");
    await until(() => progress.some(({ message }) => message?.includes("Designing database schema")));
    run.complete({ result: "All done" });
    expect((await answer).data).toMatchObject({ outcome: "completed", run: { result: "All done" } });
    for (const [index, one] of progress.slice(1).entries()) {
      expect(one.progress).toBeGreaterThan(progress[index]?.progress ?? 0);
    }
  });

  test("a cancelled call closes its form, and starts nothing", async () => {
    const { api, connect } = await setUp(transport);
    let closed = false;
    const { call, forms } = await connect({
      onForm: (_form, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            closed = true;
            resolve({ action: "cancel" });
          });
        }),
    });
    const cancel = new AbortController();
    const answer = call({ workflow_name: "architect", message: "Design it" }, { signal: cancel.signal });
    answer.catch(() => {});
    await until(() => forms.length === 1, "the form");
    cancel.abort("changed my mind");
    await expect(answer).rejects.toThrow();
    await until(() => closed, "the form to be closed");
    expect(api.posts()).toEqual([]);
  });

  test("a subscriber hears of a run that somebody else has started", async () => {
    const { world, connect } = await setUp(transport);
    const { client } = await connect();
    const heard: string[] = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      heard.push(params.uri);
    });
    const { runId } = world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const uri = `automagik://runs/${runId}`;
    await client.subscribeResource({ uri });
    world.run(runId).turn("Looking around");
    // There is no other way to tell what answers no request; what has happened can be read all the same.
    if (!transport.endsWith("without a standalone stream")) {
      await until(() => heard.includes(uri), "the update");
    }
    const { contents } = await client.readResource({ uri });
    expect(JSON.stringify(contents)).toContain("Looking around");
  });

  test("a run is found again by its session's name from another connection", async () => {
    const { api, world, connect } = await setUp(transport);
    const first = await connect();
    const started = await first.call({ ...COMPLETE, wait_seconds: 0 });
    await first.client.close();
    const second = await connect();
    const answer = second.call({
      action: "status",
      session_name: COMPLETE.session_name,
      wait_seconds: 60,
    });
    await api.waitFor(isStatus);
    world.run(started.data.run.run_id).complete({ result: "All done" });
    expect((await answer).data).toMatchObject({
      outcome: "completed",
      run: { run_id: started.data.run.run_id, result: "All done" },
    });
    expect(api.posts()).toHaveLength(1);
  });
});
