import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });

/** The contents of a resource by their type. */
async function read(client: Client, uri: string): Promise<Record<string, string>> {
  const { contents } = await client.readResource({ uri });
  return Object.fromEntries(contents.map((one) => [one.mimeType, "text" in one ? String(one.text) : ""]));
}

async function readJson(client: Client, uri: string) {
  return JSON.parse((await read(client, uri))["application/json"] ?? "");
}

function updatesOf(client: Client): string[] {
  const uris: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    uris.push(params.uri);
  });
  return uris;
}

describe("resources", () => {
  it("tell the workflows, as JSON and in words", async () => {
    const { client } = await connectInMemory();
    const content = await read(client, "automagik://workflows");
    const { workflows } = JSON.parse(content["application/json"] ?? "");
    expect(workflows.map((one: { name: string }) => one.name)).toContain("architect");
    expect(content["text/markdown"]).toContain("architect");
  });

  it("tell the sessions with what is needed to continue them", async () => {
    const { client, call } = await connectInMemory();
    const { run } = (await call(COMPLETE)).data;
    const { sessions } = await readJson(client, "automagik://sessions");
    expect(sessions).toMatchObject([
      {
        session_name: "auth-system-project",
        session_id: run.session_id,
        can_continue: true,
        run_id: run.run_id,
      },
    ]);
  });

  it("tell one run, whoever started it", async () => {
    const { client } = await connectInMemory();
    const started = sim.api().world.start("fix", {
      message: "Fix it",
      input_format: "stream-json",
      session_name: "somebody else's",
    });
    const run = await readJson(client, `automagik://runs/${started.runId}`);
    expect(run).toMatchObject({
      run_id: started.runId,
      workflow_name: "fix",
      session_name: "somebody else's",
    });
  });

  it("hold the whole of a result that an answer cuts", async () => {
    const result = Array.from({ length: 5_000 }, (_, index) => `line ${index}`).join("\n");
    sim.api().world.script({ paceMs: 10, actions: ["One"], result });
    const { client, call } = await connectInMemory();
    const answer = await call(COMPLETE);
    const uri = /automagik:\S+\/result/.exec(answer.data.run.result)?.[0] ?? "";
    expect((await read(client, uri))["text/plain"]).toBe(result);
  });

  it("say plainly that a run is unknown, and name no other", async () => {
    const { client, call } = await connectInMemory();
    const { run } = (await call(COMPLETE)).data;
    for (const uri of ["automagik://runs/nothing-here", "automagik://runs/nothing-here/result"]) {
      const error = await client.readResource({ uri }).catch((thrown: Error) => thrown);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).toContain("nothing-here");
      expect((error as Error).message).not.toContain(run.run_id);
    }
    await expect(client.readResource({ uri: "automagik://runs/a/b/c" })).rejects.toThrow();
  });

  it("list each run while it goes on, with a notification when it appears and when it ends", async () => {
    const { client, call } = await connectInMemory();
    let changes = 0;
    client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
      changes++;
    });
    const listed = async () => (await client.listResources()).resources.map((one) => one.uri);
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    await until(() => changes > 0, "the run to appear");
    expect(await listed()).toContain(`automagik://runs/${run.run_id}`);
    const before = changes;
    sim.api().world.run(run.run_id).complete();
    await until(() => changes > before, "the run to go");
    expect(await listed()).not.toContain(`automagik://runs/${run.run_id}`);
  });
});

describe("subscriptions", () => {
  it("tell of every change of a run and of its end, also when nobody waits for it and others started it", async () => {
    const { client } = await connectInMemory();
    const uris = updatesOf(client);
    sim.api().world.script({ manual: true, actions: ["One", "Two"] });
    const { runId } = sim.api().world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const uri = `automagik://runs/${runId}`;
    await client.subscribeResource({ uri });
    await until(() => uris.includes(uri), "the first look");
    const before = uris.length;
    sim.api().world.run(runId).turn("Reading");
    await until(() => uris.length > before, "the turn");
    await client.subscribeResource({ uri: `${uri}/result` });
    sim.api().world.run(runId).complete({ result: "done" });
    await until(() => uris.includes(`${uri}/result`), "the end");
    expect((await readJson(client, uri)).status).toBe("completed");
  });

  it("come at most twice a second for one resource, and the last is not lost", async () => {
    sim.api().world.script({
      paceMs: 30,
      actions: Array.from({ length: 40 }, (_, index) => `Step ${index}`),
    });
    const { client, call } = await connectInMemory();
    const times = new Map<string, number[]>();
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      times.set(params.uri, [...(times.get(params.uri) ?? []), performance.now()]);
    });
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    const uri = `automagik://runs/${run.run_id}`;
    await client.subscribeResource({ uri });
    const answer = await call({ action: "status", run_id: run.run_id, wait_seconds: 20 });
    const ended = performance.now();
    expect(answer.data.outcome).toBe("completed");
    await until(() => (times.get(uri)?.at(-1) ?? 0) > ended - 500, "the last update");
    const seen = times.get(uri) ?? [];
    expect(seen.length).toBeGreaterThan(1);
    for (let index = 1; index < seen.length; index++) {
      expect((seen[index] ?? 0) - (seen[index - 1] ?? 0)).toBeGreaterThan(400);
    }
  });

  it("of the session list tell when a session appears and when it ends", async () => {
    const { client, call } = await connectInMemory();
    const uris = updatesOf(client);
    await client.subscribeResource({ uri: "automagik://sessions" });
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    await until(() => uris.length > 0, "the session to appear");
    const before = uris.length;
    sim.api().world.run(run.run_id).complete();
    await until(() => uris.length > before, "the session to end");
  });

  it("end the watching when the subscriber leaves", async () => {
    const { client } = await connectInMemory();
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { runId } = sim.api().world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const uri = `automagik://runs/${runId}`;
    await client.subscribeResource({ uri });
    await sim.api().waitFor((request) => request.path.endsWith("/status"));
    await client.unsubscribeResource({ uri });
    await sim.api().settled();
    const before = sim.api().requests.length;
    // Three of the slowest intervals at which a watched run would be looked at.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(sim.api().requests.length).toBe(before);
  });
});
