import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { sendWebResponse } from "../src/server/fastmcp/send-web-response.js";
import { until } from "./support/harness.js";
import { type Http, startHttpWithApi } from "./support/http.js";
import { sendModern as send } from "./support/modern-http.js";

// Protocol 2026-07-28 over HTTP, with requests as the real Claude Code sends them.

const TASK = {
  workflow_name: "architect",
  message: "Design the JWT login",
  repository_url: "",
  git_branch: "",
};
const NAMED = { ...TASK, session_name: "jwt-login" };
const ERA = { ERA: "auto", TASK_AFTER: "0" };
const TOKENS = { TOKENS: "pat=secret-of-pat-0123456789,kim=secret-of-kim-0123456789" };

const call = (http: Http, args: object, more: object = {}, how: Parameters<typeof send>[3] = {}) =>
  send(http, "tools/call", { name: "orchestrate_workflow", arguments: args, ...more }, how);

describe("the newer protocol over HTTP", () => {
  test("is served beside the earlier ones, at the same address", async () => {
    const http = await startHttpWithApi({ settings: ERA });
    const { answer } = await send(http, "server/discover");
    expect(answer.result.supportedVersions).toEqual(["2026-07-28"]);
    const { answer: list } = await send(http, "tools/list");
    const { client } = await http.connect();
    expect(list.result.tools).toEqual((await client.listTools()).tools);
  });

  test("is not served where it is switched off", async () => {
    const http = await startHttpWithApi({ settings: { ERA: "legacy" } });
    expect(await send(http, "server/discover")).toMatchObject({ status: 400 });
  });

  test.each([
    ["another method", { "mcp-method": "tools/list" }],
    ["no method", { "mcp-method": undefined }],
    ["another name", { "mcp-name": "run_workflow" }],
    ["no name", { "mcp-name": undefined }],
    ["another version", { "mcp-protocol-version": "2026-11-11" }],
  ])("a header that says %s than the body is refused, and nothing is done", async (_name, headers) => {
    const http = await startHttpWithApi({ settings: ERA });
    const sent = await call(http, NAMED, {}, { headers });
    expect(sent).toMatchObject({ status: 400, answer: { error: { code: -32020 } } });
    expect(http.api.posts("/run/")).toEqual([]);
  });

  test("a task's id in the header is the body's; and a client that says nothing of tasks has none", async () => {
    const http = await startHttpWithApi({ settings: ERA });
    const { taskId } = (await call(http, NAMED)).answer.result;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const other = await send(http, method, { taskId }, { headers: { "mcp-name": `${taskId}x` } });
      expect(other, method).toMatchObject({ status: 400, answer: { error: { code: -32020 } } });
      const meta = { "io.modelcontextprotocol/clientCapabilities": {} };
      const undeclared = await send(http, method, { taskId }, { meta });
      expect(undeclared, method).toMatchObject({ status: 400, answer: { error: { code: -32021 } } });
    }
    expect((await send(http, "tasks/get", { taskId })).answer.result.status).toBe("working");
    expect(http.api.posts("/run/*/kill")).toEqual([]);
  });

  test("a method that is not there is answered with 404, and no session is asked for", async () => {
    const http = await startHttpWithApi({ settings: ERA });
    for (const method of ["ping", "no/method"])
      expect(await send(http, method)).toMatchObject({ status: 404, answer: { error: { code: -32601 } } });
  });

  test("a session's id that comes with a request means nothing, and none is given", async () => {
    const http = await startHttpWithApi({ settings: ERA });
    const { transport } = await http.connect();
    for (const id of ["no-such-session", transport.sessionId]) {
      const headers = { "mcp-session-id": id };
      const sent = await send(http, "server/discover", {}, { headers });
      expect(sent).toMatchObject({ status: 200, answer: { result: { supportedVersions: ["2026-07-28"] } } });
      expect(sent.headers.get("mcp-session-id")).toBeNull();
      const { answer } = await call(http, { ...NAMED, session_name: `login-${id}` }, {}, { headers });
      const { taskId } = answer.result;
      expect((await send(http, "tasks/get", { taskId }, { headers })).status).toBe(200);
    }
  });

  test("changes come on the stream of who listens for them, and messages of a log on their call's", async () => {
    const http = await startHttpWithApi({ settings: { ...ERA, TASK_AFTER: "3600" } });
    const { runId } = http.api.world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const uri = `automagik://runs/${runId}`;
    const leaving = new AbortController();
    const told = { changes: "", call: "" };
    const listening = send(
      http,
      "subscriptions/listen",
      { notifications: { resourceSubscriptions: [uri] } },
      {
        signal: leaving.signal,
        onText: (text) => {
          told.changes = text;
        },
      },
    ).catch(() => {});
    await until(() => told.changes.includes("subscriptions/acknowledged"), "the acknowledgement");
    const status = { action: "status", run_id: runId, wait_seconds: 60 };
    const meta = { "io.modelcontextprotocol/logLevel": "info" };
    const onText = (text: string) => {
      told.call = text;
    };
    const going = call(http, status, {}, { meta, onText });
    const run = http.api.world.run(runId);
    run.turn("Looking around");
    await until(() => told.changes.includes("notifications/resources/updated"), "the update");
    await until(() => told.call.includes("Looking around"), "the message");
    run.complete({ result: "Done" });
    const { frames } = await going;
    expect(frames.map(({ method }) => method ?? "the answer")).toEqual(
      expect.arrayContaining(["notifications/message", "the answer"]),
    );
    expect(told.changes).not.toContain("notifications/message");
    leaving.abort();
    await listening;
  });

  test("a form, its answer and the task go over requests of their own; one POST", async () => {
    const http = await startHttpWithApi({ settings: ERA });
    const { answer: asked } = await call(http, TASK);
    const [key = ""] = Object.keys(asked.result.inputRequests);
    const reply = {
      inputResponses: { [key]: { action: "accept", content: { session_name: "jwt-login" } } },
      requestState: asked.result.requestState,
    };
    const answers = await Promise.all([call(http, TASK, reply), call(http, TASK, reply)]);
    const ids = answers.map(({ answer }) => answer.result.taskId);
    expect(ids[0]).toBeTypeOf("string");
    expect(ids[1]).toBe(ids[0]);
    expect(http.api.posts("/run/")).toHaveLength(1);
    http.api.world.run(http.api.world.runs()[0]?.runId ?? "").complete({ result: "Done" });
    await until(() => http.api.world.runs()[0]?.status === "completed", "the end");
    const task = await until(async () => {
      const { result } = (await send(http, "tasks/get", { taskId: ids[0] })).answer;
      return result.status !== "working" && result;
    }, "the task's end");
    expect(task).toMatchObject({
      status: "completed",
      result: { structuredContent: { outcome: "completed", run: { session_name: "jwt-login" } } },
    });
  });

  test("progress comes on the call's own stream", async () => {
    const http = await startHttpWithApi({ settings: { ...ERA, TASK_AFTER: "3600" } });
    let told = "";
    const onText = (text: string) => {
      told = text;
    };
    const going = call(http, NAMED, {}, { meta: { progressToken: 9 }, onText });
    await until(() => http.api.world.runs().length > 0, "the run");
    const run = http.api.world.run(http.api.world.runs()[0]?.runId ?? "");
    run.turn("Designing database schema");
    await until(() => told.includes("Turn 1/50: Designing database schema"), "the progress");
    run.complete({ result: "Done" });
    const { answer } = await going;
    expect(answer.result.structuredContent.outcome).toBe("completed");
  });

  test("forms and tasks are their caller's alone", async () => {
    const http = await startHttpWithApi({ settings: { ...ERA, ...TOKENS } });
    const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const [pat, kim] = [as("secret-of-pat-0123456789"), as("secret-of-kim-0123456789")];
    expect((await call(http, TASK)).status).toBe(401);
    const { answer: asked } = await call(http, TASK, {}, pat);
    const [key = ""] = Object.keys(asked.result.inputRequests);
    const reply = {
      inputResponses: { [key]: { action: "accept", content: { session_name: "jwt-login" } } },
      requestState: asked.result.requestState,
    };
    const foreign = await call(http, TASK, reply, kim);
    expect(foreign.answer.error.code).toBe(-32602);
    expect(http.api.posts("/run/")).toEqual([]);
    const { taskId } = (await call(http, TASK, reply, pat)).answer.result;
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"])
      expect((await send(http, method, { taskId }, kim)).answer.error.code).toBe(-32602);
    expect((await send(http, "tasks/get", { taskId }, pat)).answer.result.status).toBe("working");
    expect(http.api.posts("/run/*/kill")).toEqual([]);
  });

  test("a caller has so many calls at once as on the earlier protocols", async () => {
    const http = await startHttpWithApi({
      settings: { ...ERA, HTTP_MAX_CALLS: "1", TASK_AFTER: "3600" },
    });
    const leaving = new AbortController();
    const going = call(http, NAMED, {}, { signal: leaving.signal }).catch(() => {});
    await until(() => http.api.world.runs().length > 0, "the run");
    const refused = await call(http, { action: "list_sessions" });
    expect(refused).toMatchObject({
      status: 429,
      answer: { error: { message: expect.stringContaining("Nothing was done") } },
    });
    leaving.abort();
    await going;
    const again = await until(async () => {
      const sent = await call(http, { action: "list_sessions" });
      return sent.status !== 429 && sent;
    }, "a free place");
    expect(again.status).toBe(200);
    expect(http.api.posts("/run/*/kill")).toEqual([]);
  });

  test("tasks are asked for, answered and ended while other calls of their caller take all its places", async () => {
    const http = await startHttpWithApi({ settings: { ...ERA, HTTP_MAX_CALLS: "2" } });
    const { taskId } = (await call(http, { ...NAMED, session_name: "as-a-task" })).answer.result;
    const leaving = new AbortController();
    const withoutTasks = {
      meta: { "io.modelcontextprotocol/clientCapabilities": {} },
      signal: leaving.signal,
    };
    const waiting = ["first", "second"].map((name) =>
      call(http, { ...NAMED, session_name: name }, {}, withoutTasks).catch(() => {}),
    );
    await until(() => http.api.world.runs().length === 3, "the runs of the calls that wait");
    expect((await call(http, { action: "list_sessions" })).status).toBe(429);
    const polls = await Promise.all(Array.from({ length: 20 }, () => send(http, "tasks/get", { taskId })));
    expect(polls.map(({ answer }) => answer.result?.status)).toEqual(Array(20).fill("working"));
    expect((await send(http, "tasks/update", { taskId, inputResponses: {} })).status).toBe(200);
    expect((await send(http, "tasks/cancel", { taskId })).status).toBe(200);
    expect((await send(http, "tasks/get", { taskId })).answer.result.status).toBe("cancelled");
    expect(http.api.posts("/run/*/kill")).toHaveLength(1);
    leaving.abort();
    await Promise.all(waiting);
  });

  test("the more tasks of a caller go on, the less often it is to ask for each, within what it may send", async () => {
    const http = await startHttpWithApi({ settings: { ...ERA, HTTP_RATE: "60" }, requestsPerMinute: 10_000 });
    const ids: string[] = [];
    for (const name of ["first", "second", "third", "fourth"])
      ids.push((await call(http, { ...NAMED, session_name: name })).answer.result.taskId);
    const ask = async (taskId = "") => (await send(http, "tasks/get", { taskId })).answer.result;
    // Half of its 60 requests a minute: 30 questions, for each of four tasks every 8 s.
    expect((await ask(ids[0])).pollIntervalMs).toBe(8_000);
    for (const { runId } of http.api.world.runs().slice(1))
      http.api.world.run(runId).complete({ result: "Done" });
    for (const taskId of ids.slice(1))
      await until(async () => (await ask(taskId)).status !== "working", "the task's end");
    expect((await ask(ids[0])).pollIntervalMs).toBe(3_000);
  });
});

test("an answer that the stopping server ends takes no more pieces, whenever the next one comes", async () => {
  const errors: Error[] = [];
  let ticks = 0;
  const server = createServer(async (_, response) => {
    response.on("error", (error) => errors.push(error));
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        controller.enqueue(new Uint8Array([32]));
        for (let left = ticks; left > 0; left--) await null;
        if (!response.writableEnded) response.end();
      },
    });
    await sendWebResponse(new Response(body), response, () => {});
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (; ticks < 20; ticks++) await (await fetch(`http://127.0.0.1:${port}`)).text();
  expect(errors).toEqual([]);
});
