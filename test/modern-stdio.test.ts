import { afterEach, describe, expect, test } from "vitest";
import { type ServedApi, type ServeOptions, serveSimulatedApi } from "../mocks/serve.js";
import { spawnBin, startBin, temporaryFolder, toVariables } from "./support/bin.js";
import { until } from "./support/harness.js";
import {
  CLAUDE,
  createModernFrames,
  type Frame,
  type ModernFrames,
  WITHOUT_TASKS,
} from "./support/modern-frames.js";

// Protocol 2026-07-28 over stdio, with frames as the real Claude Code sends them.

const TOOL = "orchestrate_workflow";
const TASK = {
  workflow_name: "architect",
  message: "Design the JWT login",
  repository_url: "",
  git_branch: "",
};
const NAMED = { ...TASK, session_name: "jwt-login" };

let apis: ServedApi[] = [];
afterEach(async () => {
  await Promise.all(apis.map((served) => served.close()));
  apis = [];
});

async function serve(options: ServeOptions = {}): Promise<ServedApi> {
  const served = await serveSimulatedApi({ apiKey: "test-key", paceMs: "manual", ...options });
  apis.push(served);
  return served;
}

function open(
  url: string,
  options: { settings?: Record<string, string>; about?: object; folder?: string } = {},
) {
  const folder = options.folder ?? temporaryFolder();
  const variables = toVariables({
    API_KEY: "test-key",
    BASE_URL: url,
    ERA: "auto",
    POLLING_INTERVAL: "0.2",
    STATE_DIR: folder,
    TASK_AFTER: "0",
    ...options.settings,
  });
  const { child, ended } = spawnBin([], { HOME: folder, ...variables });
  if (!child.stdin || !child.stdout) throw new Error("The process has no pipes.");
  const { stdin, stdout } = child;
  return {
    ...createModernFrames({ stdin, stdout }, options.about),
    folder,
    async close() {
      stdin.end();
      return ended();
    },
  };
}

const call = ({ request }: ModernFrames, args: object, more: object = {}, meta: object = {}) =>
  request("tools/call", { name: TOOL, arguments: args, ...more }, meta);

/** The retry that brings an answer to the form of that result. */
function retry(client: ModernFrames, args: object, { result }: Frame, reply: object): Promise<Frame> {
  const [key = ""] = Object.keys(result.inputRequests);
  return call(client, args, { inputResponses: { [key]: reply }, requestState: result.requestState });
}

const starts = ({ api }: ServedApi) => api.posts("/run/");

const isCompleted = ({ status }: Frame) => status === "completed";

/** Asks for a task as its client does, until it fits. */
function pollUntil(client: ModernFrames, taskId: string, fits: (task: Frame) => boolean): Promise<Frame> {
  return until(async () => {
    const frame = await client.request("tasks/get", { taskId });
    return (frame.error || fits(frame.result)) && frame;
  }, "the task");
}

describe("the opening", () => {
  test("a client that asks what the server can do is answered while the API is silent", async () => {
    const { url, api } = await serve();
    api.fault({}, { hang: true });
    const client = open(url);
    const { result } = await client.request("server/discover");
    expect(result).toMatchObject({
      supportedVersions: ["2026-07-28"],
      capabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
    });
    expect(result.instructions).toContain("Automagik");
  });

  test("what the server says of itself names the workflows that the API has", async () => {
    const client = open((await serve()).url);
    const { result } = await client.request("server/discover");
    expect(result.instructions).toMatch(/the workflows [\w, -]*architect/);
  });

  test("lists the same tools as on the earlier protocol, in the same order", async () => {
    const { url } = await serve();
    for (const TOOLSET of ["super", "named"]) {
      const client = open(url, { settings: { TOOLSET } });
      const { result } = await client.request("tools/list");
      const earlier = await startBin({ url, settings: { ERA: "auto", TOOLSET } });
      const { tools } = await earlier.client.listTools();
      expect(result.tools).toEqual(tools);
      expect(result).toMatchObject({ cacheScope: "private", ttlMs: expect.any(Number) });
      await client.close();
    }
  });

  test("changes of the lists reach who listens for them", async () => {
    const { url, api } = await serve();
    const client = open(url, { settings: { REFRESH_INTERVAL: "5" } });
    await client.request("tools/list");
    void client.request("subscriptions/listen", { notifications: { resourcesListChanged: true } });
    await until(() => client.notifications.length > 0, "the acknowledgement");
    const { result } = await call(client, NAMED);
    expect(result.resultType).toBe("task");
    await until(
      () => client.notifications.some(({ method }) => method === "notifications/resources/list_changed"),
      "the change",
    );
    const { result: list } = await client.request("resources/list");
    const [run] = api.world.runs();
    expect(list.resources.map(({ uri }: Frame) => uri)).toContain(`automagik://runs/${run?.runId}`);
  });

  test("a resource that is not there is told as bad parameters, with its address", async () => {
    const client = open((await serve()).url);
    const uri = "automagik://nowhere";
    expect(await client.request("resources/read", { uri })).toMatchObject({
      error: { code: -32602, data: { uri } },
    });
  });

  test("prompts and completions are there", async () => {
    const client = open((await serve()).url);
    const { result } = await client.request("prompts/get", {
      name: "start_workflow",
      arguments: { task: "Design it" },
    });
    expect(result.messages[0].content.text).toContain("Design it");
    const completed = await client.request("completion/complete", {
      ref: { type: "ref/prompt", name: "start_workflow" },
      argument: { name: "workflow_name", value: "arch" },
    });
    expect(completed.result.completion.values).toContain("architect");
    const unknown = { ref: { type: "ref/prompt", name: "no_such" }, argument: { name: "x", value: "" } };
    expect((await client.request("completion/complete", unknown)).error.code).toBe(-32602);
  });
});

describe("a form before the start", () => {
  test.each([1, 10])("with %i retries there is one run", async (times) => {
    const served = await serve();
    const client = open(served.url);
    const asked = await call(client, TASK);
    expect(asked.result).toMatchObject({
      resultType: "input_required",
      inputRequests: { form_1: { method: "elicitation/create" } },
    });
    expect(starts(served)).toEqual([]);
    const accept = { action: "accept", content: { session_name: "jwt-login" } };
    const answers = await Promise.all(
      Array.from({ length: times }, () => retry(client, TASK, asked, accept)),
    );
    const [first] = answers;
    expect(first.result).toMatchObject({ resultType: "task", status: "working" });
    for (const { result } of answers) expect(result.taskId).toBe(first.result.taskId);
    expect(starts(served)).toHaveLength(1);
    expect(starts(served)[0]?.body).toMatchObject({ session_name: "jwt-login" });
    const late = await retry(client, TASK, asked, accept);
    expect(late.result.taskId).toBe(first.result.taskId);
    expect(starts(served)).toHaveLength(1);
  });

  test.each([
    ["decline", "declined"],
    ["cancel", "cancelled"],
  ])("%s: nothing is sent", async (action, outcome) => {
    const served = await serve();
    const client = open(served.url);
    const asked = await call(client, TASK);
    const { result } = await retry(client, TASK, asked, { action });
    expect(result.structuredContent.outcome).toBe(outcome);
    const again = await retry(client, TASK, asked, { action: "accept", content: { session_name: "x" } });
    expect(again.result.structuredContent.outcome).toBe(outcome);
    expect(starts(served)).toEqual([]);
  });

  test("an answer that belongs to another call starts nothing", async () => {
    const served = await serve();
    const client = open(served.url);
    const asked = await call(client, TASK);
    const accept = { action: "accept", content: { session_name: "jwt-login" } };
    const other = await retry(client, { ...TASK, message: "Something else" }, asked, accept);
    const made = { result: { ...asked.result, requestState: "made-up" } };
    for (const frame of [other, await retry(client, TASK, made, accept)]) {
      expect(frame.error.code).toBe(-32602);
      expect(frame.error.message).toMatch(/Nothing was started|has started nothing/);
    }
    expect(starts(served)).toEqual([]);
  });
});

describe("a run as a task", () => {
  test("its progress, its question and its end come by the task", async () => {
    const served = await serve({ profile: "contract" });
    const client = open(served.url);
    const { result } = await call(client, NAMED);
    const run = served.api.world.run(served.api.world.runs()[0]?.runId ?? "");
    run.turn("Designing database schema");
    const { taskId } = result;
    expect(taskId.startsWith(run.state.runId)).toBe(true);
    const turned = await pollUntil(client, taskId, ({ statusMessage }) =>
      statusMessage.includes("Turn 1/50"),
    );
    expect(turned.result.statusMessage).toBe("jwt-login · Turn 1/50: Designing database schema");
    run.complete({ result: "The design is in docs/auth.md" });
    const ended = await pollUntil(client, taskId, isCompleted);
    expect(ended.result.result.structuredContent).toMatchObject({
      outcome: "completed",
      run: { session_name: "jwt-login", result: "The design is in docs/auth.md" },
    });
  });

  test("it is a plain call with progress where the client has no tasks", async () => {
    const served = await serve();
    const client = open(served.url, { about: WITHOUT_TASKS });
    const going = call(client, NAMED, {}, { progressToken: 7 });
    await until(() => served.api.world.runs().length > 0, "the run");
    const run = served.api.world.run(served.api.world.runs()[0]?.runId ?? "");
    run.turn("Designing database schema");
    await until(
      () =>
        client.notifications.some(({ params }) => params?.message === "Turn 1/50: Designing database schema"),
      "the progress",
    );
    run.complete({ result: "Done" });
    expect((await going).result.structuredContent).toMatchObject({ outcome: "completed" });
  });

  test("before its time it is a call with progress, and one that ends by then is no task", async () => {
    const served = await serve();
    const client = open(served.url, { settings: { TASK_AFTER: "3600" } });
    const going = call(client, NAMED, {}, { progressToken: 7 });
    await until(() => served.api.world.runs().length > 0, "the run");
    served.api.world.run(served.api.world.runs()[0]?.runId ?? "").complete({ result: "Done" });
    expect((await going).result).toMatchObject({ structuredContent: { outcome: "completed" } });
  });

  test("another process of the same person goes on with it; a made-up id is nobody's", async () => {
    const served = await serve();
    const first = open(served.url);
    const { result } = await call(first, NAMED);
    expect(await first.close()).toBe(0);
    const second = open(served.url, { folder: first.folder });
    const { taskId } = result;
    expect((await second.request("tasks/get", { taskId })).result).toMatchObject({ status: "working" });
    served.api.world.run(served.api.world.runs()[0]?.runId ?? "").complete({ result: "Done" });
    const ended = await pollUntil(second, taskId, isCompleted);
    expect(ended.result.result.structuredContent.outcome).toBe("completed");
    expect(starts(served)).toHaveLength(1);
    const other = `${taskId.slice(0, -2)}xx`;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"])
      expect(await second.request(method, { taskId: other })).toMatchObject({ error: { code: -32602 } });
  });

  test("cancelled twice it is ended once, and says so", async () => {
    const served = await serve();
    const client = open(served.url);
    const { taskId } = (await call(client, NAMED)).result;
    await Promise.all([
      client.request("tasks/cancel", { taskId }),
      client.request("tasks/cancel", { taskId }),
    ]);
    const { result } = await client.request("tasks/get", { taskId });
    expect(result).toMatchObject({ status: "cancelled" });
    expect(served.api.posts("/run/*/kill")).toHaveLength(1);
  });

  test("a window that is closed ends no run", async () => {
    const served = await serve();
    const client = open(served.url);
    await call(client, NAMED);
    expect(await client.close()).toBe(0);
    expect(served.api.posts("/run/*/kill")).toEqual([]);
    expect(served.api.world.runs()[0]?.status).not.toBe("killed");
  });
});

describe("what is piped in without the end of its only line is answered", () => {
  test.each([
    ["server/discover", { _meta: CLAUDE }, { supportedVersions: ["2026-07-28"] }],
    [
      "initialize",
      { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "a", version: "1" } },
      { protocolVersion: "2025-11-25" },
    ],
  ])("%s", async (method, params, result) => {
    const { child, stdout, ended } = spawnBin([], {
      HOME: temporaryFolder(),
      ...toVariables({ API_KEY: "test-key", BASE_URL: (await serve()).url }),
    });
    child.stdin?.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    expect(await ended()).toBe(0);
    const answers = stdout()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(answers).toContainEqual(
      expect.objectContaining({ id: 1, result: expect.objectContaining(result) }),
    );
  });

  test("and where nothing comes, the process ends", async () => {
    const settings = toVariables({ API_KEY: "test-key", BASE_URL: (await serve()).url });
    const { child, ended } = spawnBin([], { HOME: temporaryFolder(), ...settings });
    child.stdin?.end();
    expect(await ended()).toBe(0);
  });
});
