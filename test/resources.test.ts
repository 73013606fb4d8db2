import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Profile } from "../mocks/types.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import { systemClock } from "../src/shared/clock.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, connectInMemory, until } from "./support/harness.js";

let profile: Profile = "contract";
const sim = useSimulatedApi(() => ({ paceMs: 20, profile }));

/** The contents of a resource by their type. */
async function read(client: Client, uri: string): Promise<Record<string, string>> {
  const { contents } = await client.readResource({ uri });
  return Object.fromEntries(contents.map((one) => [one.mimeType, "text" in one ? String(one.text) : ""]));
}

async function readJson(client: Client, uri: string) {
  return JSON.parse((await read(client, uri))["application/json"] ?? "");
}

async function listRuns(client: Client): Promise<string[]> {
  const { resources } = await client.listResources();
  return resources.map((one) => one.uri).filter((uri) => uri.startsWith("automagik://runs/"));
}

/** How often the client was told that the list of resources is another. */
function listChangesOf(client: Client): () => number {
  let changes = 0;
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
    changes++;
  });
  return () => changes;
}

/** A run that somebody else has started. */
function startElsewhere(name = "somebody else's"): string {
  return sim.api().world.start(profile === "contract" ? "fix" : "builder", {
    message: "Fix it",
    input_format: "stream-json",
    session_name: name,
  }).runId;
}

/** A clock that goes on by itself and can be put forward, past the time for which a reading is good. */
function createShiftedClock() {
  let shift = 0;
  return {
    ...systemClock,
    now: () => Date.now() + shift,
    elapsed: () => systemClock.elapsed() + shift,
    forward: (ms: number) => {
      shift += ms;
    },
  };
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

  it("say that there is no such resource, and name no other", async () => {
    const { client, call } = await connectInMemory();
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    expect(await listRuns(client)).toEqual([`automagik://runs/${run.run_id}`]);
    for (const uri of ["automagik://nope", "automagik://runs", "file:///etc/hosts"]) {
      const error = await client.readResource({ uri }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: -32002, message: expect.stringContaining(`"${uri}"`) });
      expect(JSON.stringify(error) + String(error)).not.toContain(run.run_id);
      expect(String(error)).not.toContain("automagik://sessions");
    }
  });

  it("of very many sessions hold the active and the newest, and say how many there are", async () => {
    sim.api().world.script({ manual: true, actions: ["One"] });
    startElsewhere("the old one that goes on");
    for (let index = 0; index < 130; index++) {
      sim
        .api()
        .world.run(startElsewhere(`ended-${index}`))
        .complete();
    }
    const { client } = await connectInMemory();
    const content = await read(client, "automagik://sessions");
    const { sessions, total, note } = JSON.parse(content["application/json"] ?? "");
    expect(total).toBe(131);
    expect(sessions).toHaveLength(100);
    expect(sessions.map((one: { session_name: string }) => one.session_name)).toContain(
      "the old one that goes on",
    );
    expect(note).toContain("31 more of 131 sessions");
    expect(content["text/markdown"]).toContain(note);
    expect(content["text/markdown"]?.match(/^- /gm)).toHaveLength(100);
  });
});

describe("the list of resources", () => {
  it("holds each run while it goes on, with a notification when it appears and when it ends", async () => {
    const { client, call } = await connectInMemory();
    const changes = listChangesOf(client);
    sim.api().world.script({ manual: true, actions: ["One"] });
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    await until(() => changes() > 0, "the run to appear");
    expect(await listRuns(client)).toEqual([`automagik://runs/${run.run_id}`]);
    const before = changes();
    sim.api().world.run(run.run_id).complete();
    await until(() => changes() > before, "the run to go");
    expect(await listRuns(client)).toEqual([]);
  });

  it("drops a run that has ended while nobody watched it", async () => {
    const clock = createShiftedClock();
    const { client, call } = await connectInMemory({ clock });
    const changes = listChangesOf(client);
    sim.api().world.script({ manual: true, actions: ["One"] });
    const runId = startElsewhere();
    await call({ action: "status", run_id: runId, wait_seconds: 0.3 });
    expect(await listRuns(client)).toEqual([`automagik://runs/${runId}`]);
    const before = changes();
    sim.api().world.run(runId).complete();
    clock.forward(10_000);
    expect(await listRuns(client)).toEqual([]);
    await until(() => changes() > before, "the notification");
  });

  it("is given within its time when the API does not answer", async () => {
    const clock = createShiftedClock();
    const { client, call } = await connectInMemory({ clock });
    sim.api().world.script({ manual: true, actions: ["One"] });
    const runId = startElsewhere();
    await call({ action: "list_sessions" });
    sim.api().fault({ path: "/runs" }, { hang: true });
    clock.forward(10_000);
    expect(await listRuns(client)).toEqual([`automagik://runs/${runId}`]);
  });

  it("follows the sessions of others whenever they are read, with a notification to everybody", async () => {
    const clock = createShiftedClock();
    const { client, call, connect } = await connectInMemory({ clock });
    const changes = [listChangesOf(client), listChangesOf((await connect()).client)];
    const told = async (before: number) => {
      await until(() => changes.every((count) => count() > before), "the notifications");
    };
    sim.api().world.script({ manual: true, actions: ["One"] });
    const first = startElsewhere("first");
    await call({ action: "list_sessions" });
    await told(0);
    expect(await listRuns(client)).toEqual([`automagik://runs/${first}`]);
    clock.forward(10_000);
    sim.api().world.run(first).complete();
    const second = startElsewhere("second");
    const before = Math.max(...changes.map((count) => count()));
    await call({ action: "status", session_name: "second", wait_seconds: 0 });
    await told(before);
    expect(await listRuns(client)).toContain(`automagik://runs/${second}`);
    await call({ action: "list_sessions" });
    expect(await listRuns(client)).toEqual([`automagik://runs/${second}`]);
  });

  it("follows what a completion has read as well", async () => {
    const { client } = await connectInMemory();
    const changes = listChangesOf(client);
    sim.api().world.script({ manual: true, actions: ["One"] });
    const runId = startElsewhere();
    await client.complete({
      ref: { type: "ref/prompt", name: "unblock_run" },
      argument: { name: "run_id", value: "" },
    });
    await until(() => changes() > 0, "the notification");
    expect(await listRuns(client)).toEqual([`automagik://runs/${runId}`]);
  });

  it("holds the newest fifty of very many, and a new run still finds its place", async () => {
    const { client, call } = await connectInMemory({ clock: createShiftedClock() });
    const changes = listChangesOf(client);
    sim.api().world.script({ manual: true, actions: ["One"] });
    for (let index = 0; index < 60; index++) startElsewhere(`session-${index}`);
    await call({ action: "list_sessions" });
    await until(() => changes() > 0, "the runs to appear");
    expect(await listRuns(client)).toHaveLength(50);
    // One notification for all that is new, however much it is.
    expect(changes()).toBe(1);
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    await until(() => changes() > 1, "the new run");
    const runs = await listRuns(client);
    expect(runs).toHaveLength(50);
    expect(runs).toContain(`automagik://runs/${run.run_id}`);
  });
});

describe("the list of resources, on a server that shows no session id before the first turn", () => {
  beforeAll(() => {
    profile = "automagik-0.6";
  });
  afterAll(() => {
    profile = "contract";
  });

  it("keeps a run that is followed here before the API's list shows it", async () => {
    const { client, call } = await connectInMemory();
    sim.api().world.script({ manual: true, actions: ["One"] });
    await call({ action: "list_sessions" });
    const runId = startElsewhere();
    await call({ action: "status", run_id: runId, wait_seconds: 0.3 });
    expect(await listRuns(client)).toEqual([`automagik://runs/${runId}`]);
    expect(await listRuns(client)).toEqual([`automagik://runs/${runId}`]);
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
    let count = 0;
    let read = "";
    const { run } = (await call({ ...COMPLETE, wait_seconds: 0 })).data;
    const uri = `automagik://runs/${run.run_id}`;
    // It knows the run by what it reads with each update: without the last one it would never see the end.
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, async ({ params }) => {
      if (params.uri !== uri) return;
      count++;
      read = (await readJson(client, uri)).status;
    });
    const began = performance.now();
    await client.subscribeResource({ uri });
    const answer = await call({ action: "status", run_id: run.run_id, wait_seconds: 60 });
    expect(answer.data.outcome).toBe("completed");
    await until(() => read === "completed", "the last update");
    const tookMs = performance.now() - began;
    expect(count).toBeGreaterThan(1);
    expect((count - 1) * 500).toBeLessThanOrEqual(tookMs);
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

  it("have a limit, in number and in length, and may be given up for others", async () => {
    const { client } = await connectInMemory();
    const uri = (index: number) => `automagik://runs/r${index}`;
    for (let index = 0; index < 100; index++) await client.subscribeResource({ uri: uri(index) });
    await expect(client.subscribeResource({ uri: uri(100) })).rejects.toThrow(
      "Too many subscriptions: 100 are allowed.",
    );
    // One that is there already is none more.
    await client.subscribeResource({ uri: uri(7) });
    await client.unsubscribeResource({ uri: uri(7) });
    await client.subscribeResource({ uri: uri(100) });
    await client.unsubscribeResource({ uri: uri(100) });
    await expect(client.subscribeResource({ uri: `automagik://runs/${"r".repeat(2_000)}` })).rejects.toThrow(
      "at most 2000 characters",
    );
  });

  /** Puts the clock forward, second by second, so that what is due by then is asked for. */
  async function pass(clock: ReturnType<typeof createHandClock>, seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed++) {
      clock.advance(1_000);
      // A look takes some turns of the event loop before it is seen to be on its way.
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await sim.api().settled();
    }
  }
  const looksAt = (runId: string) =>
    sim.api().requests.filter((one) => one.path.endsWith(`${runId}/status`)).length;

  it("end the watching when the subscriber leaves", async () => {
    const clock = createHandClock();
    const { client } = await connectInMemory({ clock });
    sim.api().world.script({ manual: true, actions: ["One"] });
    const runId = startElsewhere();
    const uri = `automagik://runs/${runId}`;
    await client.subscribeResource({ uri });
    await until(() => looksAt(runId) > 0, "the first look");
    await pass(clock, 20);
    expect(looksAt(runId)).toBeGreaterThan(3);
    await client.unsubscribeResource({ uri });
    await sim.api().settled();
    const before = looksAt(runId);
    await pass(clock, 20);
    expect(looksAt(runId)).toBe(before);
  });

  it("end the watching when the subscriber's connection ends", async () => {
    const clock = createHandClock();
    const { connect, client, server } = await connectInMemory({ clock });
    const { client: leaving } = await connect();
    sim.api().world.script({ manual: true, actions: ["One"] });
    const runId = startElsewhere();
    const looks = () => looksAt(runId);
    await leaving.subscribeResource({ uri: `automagik://runs/${runId}` });
    await until(() => looks() > 0, "the first look");
    await pass(clock, 20);
    expect(looks()).toBeGreaterThan(3);
    const gone = new Promise<void>((resolve) => server.onIdle(resolve));
    await leaving.close();
    await client.close();
    await gone;
    await sim.api().settled();
    const before = looks();
    await pass(clock, 20);
    expect(looks()).toBe(before);
  });
});
