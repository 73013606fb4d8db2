import { describe, expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { COMPLETE, until } from "./support/harness.js";
import { CLAUDE, type Frame } from "./support/modern-frames.js";
import { connectModern } from "./support/modern-server.js";

// What protocol 2026-07-28 demands of every server, held line by line; over HTTP: test/modern-http.test.ts.

const sim = useSimulatedApi({ paceMs: "manual" });

const { session_name: _, ...UNNAMED } = COMPLETE;
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const logLevel = (level: string) => ({ "io.modelcontextprotocol/logLevel": level });
const theRun = () => sim.api().world.run(sim.api().world.runs()[0]?.runId ?? "");
const aRun = () => until(() => sim.api().world.runs().length > 0, "the run");
const starts = () => sim.api().posts("/run/");
const of = (notifications: Frame[], method: string) => notifications.filter((one) => one.method === method);
const logged = (notifications: Frame[]) =>
  of(notifications, "notifications/message").map(({ params }) => params);

describe("the log of one request", () => {
  const LONG = { settings: { TASK_AFTER: "3600" } };

  test("has what a call reports, for the request that names a level, and for no other", async () => {
    const client = connectModern(LONG);
    const silent = client.call(COMPLETE);
    await aRun();
    const { runId } = theRun().state;
    const status = { action: "status", run_id: runId, wait_seconds: 60 };
    const following = client.call(status, {}, logLevel("info"));
    await until(() => sim.api().requests.some(({ path }) => path.endsWith("/status")), "a look at the run");
    theRun().turn("Designing database schema");
    const isTold = ({ data }: Frame) => data.message === "Turn 1/50: Designing database schema";
    await until(() => logged(client.notifications).some(isTold), "the message");
    theRun().complete({ result: "Done" });
    await Promise.all([silent, following]);
    expect(logged(client.notifications).filter(isTold)).toMatchObject([
      { level: "info", logger: "automagik-workflows-mcp", data: { progress: 1, total: 50 } },
    ]);
    expect(of(client.notifications, "notifications/progress")).toEqual([]);
  });

  test("is empty where nothing is of that level, and where none is named", async () => {
    const client = connectModern(LONG);
    for (const meta of [logLevel("warning"), {}]) {
      const known = sim.api().world.runs().length;
      const going = client.call({ ...COMPLETE, session_name: `auth-${known}` }, {}, meta);
      await until(() => sim.api().world.runs().length > known, "the run");
      const run = sim.api().world.run(sim.api().world.runs().at(-1)?.runId ?? "");
      run.turn("Designing database schema");
      run.complete({ result: "Done" });
      expect((await going).result.structuredContent.outcome).toBe("completed");
    }
    expect(logged(client.notifications)).toEqual([]);
  });

  test("has at level error what has gone wrong, before the answer", async () => {
    const client = connectModern();
    const failing = { action: "status", run_id: "no-such-run" };
    const { result } = await client.call(failing, {}, logLevel("error"));
    expect(result.isError).toBe(true);
    expect(logged(client.notifications)).toEqual([
      {
        level: "error",
        logger: "automagik-workflows-mcp",
        data: { message: result.structuredContent.summary },
      },
    ]);
  });

  test("a level that is none is refused, and nothing is done", async () => {
    const client = connectModern();
    const { error } = await client.call(COMPLETE, {}, logLevel("loud"));
    expect(error.code).toBe(-32602);
    expect(starts()).toEqual([]);
  });
});

describe("listening for changes", () => {
  const listen = (client: ReturnType<typeof connectModern>, notifications: object) =>
    void client.request("subscriptions/listen", { notifications });
  const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";

  test("who listens for tools hears of a new workflow; who listens for other lists does not", async () => {
    const [client, other] = [connectModern(), connectModern()];
    listen(client, { toolsListChanged: true });
    listen(other, { resourcesListChanged: true, promptsListChanged: true });
    for (const one of [client, other]) {
      await until(() => one.notifications.length > 0, "the acknowledgement");
      await one.request("tools/list");
    }
    expect(client.notifications[0]).toMatchObject({
      method: ACKNOWLEDGED,
      params: { notifications: { toolsListChanged: true } },
    });
    const CHANGED = "notifications/tools/list_changed";
    const before = of(client.notifications, CHANGED).length;
    sim.api().world.workflows.add({ name: "translate", description: "Translate the texts" });
    for (const one of [client, other]) {
      one.clock.skip(600_000);
      for (let values: string[] = []; !values.includes("translate"); ) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const { result } = await one.request("completion/complete", {
          ref: { type: "ref/prompt", name: "start_workflow" },
          argument: { name: "workflow_name", value: "transl" },
        });
        values = result.completion.values;
      }
    }
    await until(() => of(client.notifications, CHANGED).length > before, "the notification");
    const subscriptionId = client.notifications[0].params._meta;
    for (const { params } of of(client.notifications, CHANGED)) expect(params._meta).toEqual(subscriptionId);
    expect(of(other.notifications, CHANGED)).toEqual([]);
  });

  test("a run that somebody else has started is watched for who listens for it, until they do not", async () => {
    const client = connectModern();
    const { runId } = sim.api().world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const run = sim.api().world.run(runId);
    const uri = `automagik://runs/${runId}`;
    const id = client.nextId();
    listen(client, { resourceSubscriptions: [uri] });
    const updates = () => of(client.notifications, "notifications/resources/updated");
    await until(() => client.notifications.length > 0, "the acknowledgement");
    run.turn("Looking around");
    await until(() => updates().length > 0, "the update");
    expect(updates()[0].params).toEqual({
      uri,
      _meta: { "io.modelcontextprotocol/subscriptionId": id },
    });
    const { result } = await client.request("resources/read", { uri });
    expect(JSON.stringify(result.contents)).toContain("Looking around");
    client.cancel(id);
    // Answered behind it, so it has been read.
    await client.request("prompts/list");
    const looks = () => sim.api().requests.filter(({ path }) => path.endsWith(`/${runId}/status`)).length;
    const before = looks();
    client.clock.skip(120_000);
    // What was asked of the API by then is answered before this.
    await client.call({ action: "list_sessions" });
    expect(looks()).toBe(before);
  });
});

describe("what may be kept", () => {
  test("is said of every list and of what is read: for a while of what seldom changes, and by its caller alone", async () => {
    const client = connectModern();
    const kept: Record<string, number> = {};
    for (const [method, params] of [
      ["server/discover", {}],
      ["tools/list", {}],
      ["prompts/list", {}],
      ["resources/templates/list", {}],
      ["resources/list", {}],
      ["resources/read", { uri: "automagik://sessions" }],
    ] as const) {
      const { result } = await client.request(method, params);
      expect(result.cacheScope, method).toBe("private");
      kept[method] = result.ttlMs;
    }
    expect(kept).toEqual({
      "server/discover": 0,
      "tools/list": 60_000,
      "prompts/list": 60_000,
      "resources/templates/list": 60_000,
      "resources/list": 0,
      "resources/read": 0,
    });
  });
});

describe("what a client says it can do", () => {
  test.each([
    ["elicitation without a mode", { elicitation: {} }, true],
    ["forms", { elicitation: { form: {} } }, true],
    ["addresses only", { elicitation: { url: {} } }, false],
    ["nothing", {}, false],
  ])("%s: forms are shown only where they can be", async (_name, capabilities, isAsked) => {
    const client = connectModern({ about: { ...CLAUDE, [CAPABILITIES]: capabilities } });
    const { result } = await client.call(UNNAMED);
    expect(result.resultType === "input_required").toBe(isAsked);
    if (!isAsked) expect(result.structuredContent.outcome).toBe("input_required");
    expect(starts()).toEqual([]);
  });

  test("nothing of tasks: their methods are refused and do nothing", async () => {
    const client = connectModern();
    const { result } = await client.call(COMPLETE);
    const { taskId } = result;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const params = { taskId, inputResponses: {} };
      const { error } = await client.request(method, params, { [CAPABILITIES]: {} });
      expect(error, method).toMatchObject({
        code: -32021,
        data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } },
      });
    }
    expect((await client.request("tasks/get", { taskId })).result.status).toBe("working");
    expect(sim.api().posts("/run/*/kill")).toEqual([]);
  });
});

test("what the protocol no longer has is not there", async () => {
  const client = connectModern();
  await client.request("tools/list");
  for (const method of ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
    expect(
      (await client.request(method, { level: "info", uri: "automagik://sessions" })).error,
      method,
    ).toMatchObject({ code: -32601 });
});
