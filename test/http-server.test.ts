import type { JSONRPCMessage, Progress } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createSessionEvents } from "../src/server/fastmcp/event-store.js";
import { COMPLETE, silentLog, until } from "./support/harness.js";
import {
  connectHttp,
  HELLO,
  JSON_HEADERS,
  sendPlain,
  startCuttingProxy,
  startHttp,
  startHttpWithApi,
  startServeBin,
} from "./support/http.js";
import { asLongAs } from "./support/patient.js";

const isStatus = ({ path }: { path: string }) => path.endsWith("/status");

describe("a client whose connections are cut", () => {
  test("in the middle of a long call resumes and misses nothing", async () => {
    const http = await startHttpWithApi();
    const proxy = await startCuttingProxy(http.url);
    const { call } = await http.connect({ url: proxy.url });
    const progress: Progress[] = [];
    const answer = call({ ...COMPLETE, wait_seconds: 60 }, { onprogress: (one) => progress.push(one) });
    await http.api.waitFor(isStatus);
    const run = http.api.world.run(http.api.world.runs()[0]?.runId ?? "");
    for (const turn of ["First", "Second", "Third"]) {
      run.turn(turn);
      await until(() => progress.some(({ message }) => message?.includes(turn)), turn);
      expect(proxy.cut()).toBeGreaterThan(0);
    }
    run.complete({ result: "All done" });
    expect((await answer).data).toMatchObject({ outcome: "completed", run: { result: "All done" } });
    expect(http.api.posts()).toHaveLength(1);
    const values = progress.map((one) => one.progress);
    expect(values).toEqual([...new Set(values)].sort((one, other) => one - other));
  });

  test("gets the answer that came while it was away, on a stream that then ends", async () => {
    const http = await startHttpWithApi();
    const { headers } = await sendPlain(`${http.url}/mcp`, {
      method: "POST",
      headers: JSON_HEADERS,
      body: HELLO,
    });
    const session = {
      ...JSON_HEADERS,
      "mcp-session-id": String(headers["mcp-session-id"]),
      "mcp-protocol-version": "2025-11-25",
    };
    // The plain client reads the first event and hangs up.
    const { text } = await sendPlain(`${http.url}/mcp`, {
      method: "POST",
      headers: session,
      body: {
        jsonrpc: "2.0",
        id: 2,
        method: "tools/call",
        params: { name: "orchestrate_workflow", arguments: { ...COMPLETE, wait_seconds: 60 } },
      },
    });
    const [, eventId = ""] = /^id: (\S+)/m.exec(text) ?? [];
    await http.api.waitFor(isStatus);
    http.api.world.run(http.api.world.runs()[0]?.runId ?? "").complete({ result: "Meanwhile" });
    const resume = async (from: string) => {
      const resumed = await fetch(`${http.url}/mcp`, { headers: { ...session, "last-event-id": from } });
      return { status: resumed.status, text: await resumed.text() };
    };
    // It is 409 as long as the server has not noticed that the client has hung up.
    const first = await until(async () => {
      const resumed = await resume(eventId);
      return resumed.status !== 409 && resumed;
    }, "the former stream's end");
    expect(first).toEqual({ status: 200, text: expect.stringContaining("Meanwhile") });
    // By now it has long been answered.
    expect(await resume(eventId)).toEqual(first);
    expect((await resume("7.nowhere")).status).toBe(400);
  }, 30_000);

  test("can resume a quiet call after the events of a noisy one have pushed out its own", async () => {
    const events = createSessionEvents();
    const message = (text: string): JSONRPCMessage => ({
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { text },
    });
    const cursor = await events.storeEvent("quiet", {} as JSONRPCMessage);
    for (let index = 0; index < 3_000; index++) await events.storeEvent("noisy", message(`${index}`));
    await events.storeEvent("quiet", { jsonrpc: "2.0", id: 1, result: {} });
    const replayed: unknown[] = [];
    const send = async (_id: string, one: JSONRPCMessage) => void replayed.push(one);
    expect(await events.replayEventsAfter(cursor, { send })).toBe("quiet");
    expect(replayed).toEqual([{ jsonrpc: "2.0", id: 1, result: {} }]);
    expect(events.isAnswered(cursor)).toBe(true);
    replayed.length = 0;
    await events.replayEventsAfter("2.noisy", { send });
    expect(replayed.length).toBeGreaterThan(900);
    expect(replayed.length).toBeLessThanOrEqual(1_000);
    // A single event larger than all the room there is stays until the next.
    const large = await events.storeEvent("noisy", message("x".repeat(4_000_000)));
    replayed.length = 0;
    await events.replayEventsAfter(`${Number(large.split(".")[0]) - 1}.noisy`, { send });
    expect(replayed).toHaveLength(1);
    for (const eventId of ["999999.noisy", "1.elsewhere"]) {
      expect(await events.getStreamIdForEventId?.(eventId)).toBeUndefined();
    }
  });
});

test("a client that vanishes is noticed, and the run that it watched is not asked for any more", async () => {
  const lines: string[] = [];
  const log = { ...silentLog, info: (text: string) => lines.push(text) } as unknown as typeof silentLog;
  const http = await startHttpWithApi({ log, idleMs: 300 });
  const proxy = await startCuttingProxy(http.url);
  const start = () => http.api.world.start("fix", { message: "Fix it", input_format: "stream-json" }).runId;
  const [watched, other] = [start(), start()];
  const asked = (runId: string) => http.api.requests.filter(({ path }) => path.includes(runId)).length;
  const vanishing = await http.connect({ url: proxy.url });
  await vanishing.client.subscribeResource({ uri: `automagik://runs/${watched}` });
  await until(() => asked(watched) > 2, "the run to be watched");
  const staying = await http.connect();
  await staying.client.subscribeResource({ uri: `automagik://runs/${other}` });
  // Without a word: neither the session's end nor a stream's comes from the client.
  const session = { ...JSON_HEADERS, "mcp-session-id": vanishing.transport.sessionId ?? "" };
  await vanishing.transport.close();
  proxy.cut();
  await until(() => lines.includes("Session 1 of local has ended."), "the end of the session");
  const before = asked(watched);
  const beforeOther = asked(other);
  await until(() => asked(other) > beforeOther + 3, "the run that somebody still watches to be asked for");
  // One request may have been under way.
  expect(asked(watched) - before).toBeLessThanOrEqual(1);
  expect((await sendPlain(`${http.url}/mcp`, { headers: session })).status).toBe(404);
  expect((await staying.client.listTools()).tools).toHaveLength(1);
});

describe("health and readiness", () => {
  const ready = async (url: string, headers: Record<string, string> = {}) => {
    const { status, text } = await sendPlain(`${url}/ready`, { headers });
    return { status, ...JSON.parse(text) };
  };

  test("both are 200 when the API is there and its workflows are known", async () => {
    const { url } = await startHttpWithApi();
    expect(await sendPlain(`${url}/health`)).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(await ready(url)).toEqual({ status: 200, ready: true });
  });

  test("the process is healthy without the API, and not ready, with the reason", async () => {
    const served = await serveSimulatedApi();
    const { url } = await startHttp({ settings: { BASE_URL: served.url } });
    await served.close();
    expect((await sendPlain(`${url}/health`)).status).toBe(200);
    expect(await ready(url)).toEqual({
      status: 503,
      ready: false,
      reason: expect.stringContaining(`${served.url} cannot be reached (ECONNREFUSED)`),
    });
  });

  test("a wrong key is a reason too, which only who has a token gets to read", async () => {
    const token = "anna-0123456789abcdef";
    const { url } = await startHttpWithApi({ settings: { API_KEY: "wrong", TOKENS: `anna=${token}` } });
    expect(await ready(url)).toEqual({
      status: 503,
      ready: false,
      reason: "The workflows API is not available.",
    });
    const { reason } = await ready(url, { authorization: `Bearer ${token}` });
    expect(reason).toContain("refused the key");
  });
});

describe("the process that serves", () => {
  test("takes nothing from the framework's own variables", async () => {
    const api = await serveSimulatedApi();
    const bin = await startServeBin({
      settings: { BASE_URL: api.url },
      env: {
        FASTMCP_TRANSPORT: "stdio",
        FASTMCP_PORT: "1",
        FASTMCP_HOST: "0.0.0.0",
        FASTMCP_ENDPOINT: "/elsewhere",
        FASTMCP_BASE_PATH: "/base",
        FASTMCP_STATELESS: "true",
      },
    });
    expect(bin.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
    const { transport, client } = await connectHttp(bin.url);
    expect(transport.sessionId).toBeTruthy();
    expect((await client.listTools()).tools).toHaveLength(1);
    expect((await sendPlain(`${bin.url}/elsewhere`)).status).toBe(404);
    expect(bin.stdout()).toBe("");
    await api.close();
  });

  async function startWatching() {
    const served = await serveSimulatedApi({ paceMs: "manual" });
    const bin = await startServeBin({ settings: { BASE_URL: served.url, LOG_LEVEL: "debug" } });
    const client = await connectHttp(bin.url);
    const call = client.call({ ...COMPLETE, wait_seconds: 600 }, { timeoutMs: 60_000 });
    await served.api.waitFor(isStatus);
    return { bin, client, call, served, runId: served.api.world.runs()[0]?.runId ?? "" };
  }

  test.each(["SIGTERM", "SIGINT"] as const)(
    "on %s answers the call in flight with the run's id and is gone within five seconds",
    async (signal) => {
      const { bin, call, served, runId } = await startWatching();
      const since = performance.now();
      bin.child.kill(signal);
      expect((await call).text).toContain(`the run continues as ${runId}`);
      expect(await bin.ended()).toBe(0);
      expect(performance.now() - since).toBeLessThan(await asLongAs(5_000));
      expect(served.api.posts(/kill/)).toEqual([]);
      expect(served.api.world.runs()[0]?.status).toBe("running");
      expect(bin.stderr()).not.toMatch(/\[mcp-proxy\]|^\s+at /m);
      await served.close();
    },
  );

  test("refuses new calls while it answers those in flight, and ends at once at the second signal", async () => {
    const served = await serveSimulatedApi({ paceMs: "manual" });
    served.api.fault({ method: "POST" }, { hang: true });
    const bin = await startServeBin({ settings: { BASE_URL: served.url, LOG_LEVEL: "debug" } });
    const { call } = await connectHttp(bin.url);
    call({ ...COMPLETE }).catch(() => {});
    await served.api.waitFor(({ method }) => method === "POST");
    bin.child.kill("SIGTERM");
    await until(() => bin.stderr().includes("Stopping: SIGTERM"), "the first signal to have arrived");
    await expect(call({ action: "list_workflows" })).rejects.toThrow(/The server is stopping/);
    const { status, text } = await sendPlain(`${bin.url}/ready`);
    expect({ status, text }).toEqual({
      status: 503,
      text: '{"ready":false,"reason":"The server is stopping."}',
    });
    const since = performance.now();
    bin.child.kill("SIGTERM");
    expect(await bin.ended()).toBe(1);
    expect(performance.now() - since).toBeLessThan(await asLongAs(1_000));
    await served.close();
  });
});
