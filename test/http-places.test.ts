import { once } from "node:events";
import { Agent, createServer, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { createUnreadLimit } from "../src/server/http/unread.js";
import { systemClock } from "../src/shared/clock.js";
import { limitConnections } from "../src/shared/http/open-files.js";
import { createWrongTokens } from "../src/shared/http/wrong-tokens.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, silentLog, until } from "./support/harness.js";
import { HELLO, JSON_HEADERS, sendPlain, startHttp, startHttpWithApi } from "./support/http.js";

const ANNA = "anna-0123456789abcdef";
const BEN = "ben-0123456789abcdef0";
const TOKENS = `anna=${ANNA},ben=${BEN}`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A connection on which nothing is sent but what the test says. */
async function openSocket(url: string, text = ""): Promise<Socket & { isGone(): boolean }> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let isGone = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    isGone = true;
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  socket.write(text);
  return Object.assign(socket, { isGone: () => isGone });
}

/** A connection that is kept for later, as a client's or a proxy's pool does. */
function openAgent(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  return agent;
}

/** Sends a request by an agent. @returns its status, and whether it went over a connection that had served before */
function sendBy(agent: Agent, url: string, headers: Record<string, string>, body: object = HELLO) {
  return new Promise<{ status: number; reused: boolean; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const sent = request(
        `${url}/mcp`,
        { method: "POST", agent, headers: { ...JSON_HEADERS, ...headers } },
        async (response) => {
          let text = "";
          for await (const piece of response) text += piece;
          const { statusCode: status = 0, headers } = response;
          resolve({ status, reused: sent.reusedSocket, headers, text });
        },
      );
      sent.on("error", reject);
      sent.end(JSON.stringify(body));
    },
  );
}

describe("places for connections", () => {
  test("are kept for who has shown a token: a thousand idle strangers lock nobody out", async () => {
    const { url } = await startHttp({ settings: { TOKENS } });
    const agent = openAgent();
    expect((await sendBy(agent, url, bearer(ANNA))).status).toBe(200);
    const strangers: (Socket & { isGone(): boolean })[] = [];
    for (let index = 0; index < 1_100; index++) strangers.push(await openSocket(url));
    // The connection that has shown a token is still there, and a new one is taken.
    expect(await sendBy(agent, url, bearer(ANNA))).toMatchObject({ status: 200, reused: true });
    expect((await sendBy(openAgent(), url, bearer(BEN))).status).toBe(200);
    expect((await sendPlain(`${url}/health`)).status).toBe(200);
    await until(() => strangers.filter((one) => !one.isGone()).length <= 200, "the oldest to be gone");
    expect(strangers[0]?.isGone()).toBe(true);
    expect(strangers.at(-1)?.isGone()).toBe(false);
  }, 60_000);

  test("are not held by who asks for health without a token, nor by who is refused", async () => {
    const { url } = await startHttp({ settings: { TOKENS } });
    for (const path of ["/health", "/ready", "/nowhere", "/mcp"]) {
      const { headers } = await sendPlain(url + path, { headers: { connection: "keep-alive" } });
      expect(headers.connection, path).toBe("close");
    }
    const refused = await sendPlain(`${url}/mcp`, {
      method: "POST",
      headers: { ...JSON_HEADERS, ...bearer("wrong"), connection: "keep-alive" },
      body: { ...HELLO, padding: "x".repeat(500_000) },
    });
    expect(refused).toMatchObject({ status: 401, headers: { connection: "close" } });
  });

  test("go to the newest when all are taken by connections that are kept for later", async () => {
    const { url } = await startHttp({ settings: { TOKENS }, maxConnections: 10 });
    for (let index = 0; index < 25; index++) {
      const { status } = await sendBy(openAgent(), url, bearer(ANNA), { ...HELLO, method: "ping" });
      expect(status, `connection ${index}`).toBe(400);
    }
    expect((await sendBy(openAgent(), url, bearer(BEN))).status).toBe(200);
  });

  test("are no more than half of the files that the process may open", () => {
    expect(limitConnections(1_000, 1_048_576)).toBe(1_000);
    expect(limitConnections(1_000, 1_024)).toBe(512);
    expect(limitConnections(1_000, 64)).toBe(32);
    expect(limitConnections(1_000, undefined)).toBeGreaterThan(0);
  });

  test("outlast the pause between a pooling proxy's requests, and the time that a request's head may take", async () => {
    const { url } = await startHttp({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
    const agent = openAgent();
    const first = await sendBy(agent, url, {});
    expect(first.status).toBe(200);
    const [, seconds = ""] = /timeout=(\d+)/.exec(String(first.headers["keep-alive"])) ?? [];
    expect(Number(seconds)).toBeGreaterThan(60);
    // As long as it takes to cut off who does not come to the end of a head, or of a body.
    const slow = [
      await openSocket(url, "POST /mcp HTTP/1.1\r\n"),
      await openSocket(url, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"),
    ];
    for (const socket of slow) socket.resume();
    await until(() => slow.every((socket) => socket.isGone()), "the end of those that are slow");
    expect(await sendBy(agent, url, {})).toMatchObject({ status: 200, reused: true });
  });
});

describe("wrong tokens", () => {
  test("are counted by address and answered later and later, and a right one at once", async () => {
    const { url } = await startHttp({ settings: { TOKENS } });
    const took: number[] = [];
    for (let index = 0; index < 13; index++) {
      const since = performance.now();
      expect((await sendBy(openAgent(), url, bearer(`wrong-${index}`))).status).toBe(401);
      took.push(performance.now() - since);
    }
    expect(took[11]).toBeGreaterThan(450);
    expect(took[12]).toBeGreaterThan(950);
    const slow = sendBy(openAgent(), url, bearer("wrong"));
    expect((await sendBy(openAgent(), url, bearer(ANNA))).status).toBe(200);
    expect(await Promise.race([slow, "not yet"])).toBe("not yet");
    expect((await slow).status).toBe(401);
  });

  test("are held back in bounds, forgotten after a minute, and told once in the log, without what they were", async () => {
    const clock = createHandClock();
    const lines: string[] = [];
    const log = { ...silentLog, warn: (line: string) => lines.push(line) } as unknown as typeof silentLog;
    const wrong = createWrongTokens({ clock, log });
    for (let index = 0; index < 10; index++) expect(await wrong.count("10.0.0.1")).toBeUndefined();
    const held = Array.from({ length: 64 }, () => wrong.count("10.0.0.1"));
    expect(await wrong.count("10.0.0.1")).toBe(4);
    // Others from elsewhere are still told at once.
    expect(await wrong.count("10.0.0.2")).toBeUndefined();
    clock.advance(4_000);
    expect(await Promise.all(held)).toEqual(held.map(() => undefined));
    expect(lines).toEqual([expect.stringContaining("11 requests from 10.0.0.1")]);
    clock.advance(60_000);
    expect(await wrong.count("10.0.0.1")).toBeUndefined();
  });
});

describe("what one caller may have going on", () => {
  async function openSession(url: string) {
    const { headers } = await sendPlain(`${url}/mcp`, { method: "POST", headers: JSON_HEADERS, body: HELLO });
    const session = { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) };
    const send = (body: object, signal?: AbortSignal) =>
      fetch(`${url}/mcp`, {
        method: "POST",
        headers: session,
        body: JSON.stringify({ jsonrpc: "2.0", ...body }),
        ...(signal ? { signal } : {}),
      });
    return { session, send };
  }
  const wait = (id: number | string, name: string) => ({
    id,
    method: "tools/call",
    params: {
      name: "orchestrate_workflow",
      arguments: { ...COMPLETE, session_name: name, wait_seconds: 600 },
    },
  });
  const cancel = (requestId: number | string) => ({
    method: "notifications/cancelled",
    params: { requestId },
  });

  test("counts each call, also two of the same id", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_CALLS: "2" } });
    const { send } = await openSession(http.url);
    expect((await send(wait(7, "one"))).status).toBe(200);
    expect((await send(wait(7, "two"))).status).toBe(200);
    expect((await send(wait(7, "three"))).status).toBe(429);
    expect((await send(wait(8, "four"))).status).toBe(429);
    expect((await send({ id: 9, method: "tools/list" })).status).toBe(200);
  });

  test("counts everything that sets off work elsewhere", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_CALLS: "1" } });
    const { send } = await openSession(http.url);
    expect((await send(wait(7, "one"))).status).toBe(200);
    const ref = { type: "ref/prompt", name: "start_workflow" };
    for (const body of [
      { method: "resources/list" },
      { method: "resources/read", params: { uri: "automagik://workflows" } },
      { method: "completion/complete", params: { ref, argument: { name: "workflow_name", value: "" } } },
      { method: "prompts/get", params: { name: "start_workflow", arguments: { task: "x" } } },
    ]) {
      expect((await send({ id: 8, ...body })).status, body.method).toBe(429);
    }
  });

  test("is not made room for by cancelling what cannot be cancelled", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_CALLS: "2" } });
    const { send } = await openSession(http.url);
    // The protocol's SDK takes a cancellation of this id for one of none.
    expect((await send(wait(0, "one"))).status).toBe(200);
    expect((await send(cancel(0))).status).toBe(202);
    expect((await send(wait(7, "two"))).status).toBe(200);
    expect((await send(wait(8, "three"))).status).toBe(429);
    expect((await send(cancel(7))).status).toBe(202);
    expect((await send(cancel(7))).status).toBe(202);
    expect((await send(wait(8, "four"))).status).toBe(200);
    expect((await send(wait(9, "five"))).status).toBe(429);
  });

  test("of requests is counted before their bodies are read", async () => {
    const { url } = await startHttp({ settings: { HTTP_RATE: "2" } });
    const head =
      "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{";
    const answers: string[] = [];
    for (let index = 0; index < 3; index++) {
      const socket = await openSocket(url, head);
      socket.on("data", (text) => answers.push(String(text)));
    }
    await until(() => answers.length > 0, "the refusal");
    expect(answers).toEqual([expect.stringContaining("HTTP/1.1 429")]);
  });

  test("of sessions is kept by those that are still coming in", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_SESSIONS: "3" } });
    const hello = () => sendPlain(`${http.url}/mcp`, { method: "POST", headers: JSON_HEADERS, body: HELLO });
    const answers = await Promise.all(Array.from({ length: 12 }, hello));
    const opened = answers.filter(({ status }) => status === 200);
    expect(opened).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(9);
    for (const { headers } of opened) {
      const { status } = await sendPlain(`${http.url}/mcp`, {
        method: "POST",
        headers: { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) },
        body: { jsonrpc: "2.0", method: "notifications/initialized" },
      });
      expect(status).toBe(202);
    }
  });

  test("in memory of bodies that stall is bounded, and free again when they are gone", async () => {
    const { url } = await startHttp({ settings: { HTTP_BODY_LIMIT: "16" } });
    const head =
      "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n";
    const sockets: Socket[] = [];
    let refused = "";
    for (let index = 0; index < 24; index++) {
      const socket = await openSocket(url, head + "x".repeat(15_000));
      socket.on("data", (text) => {
        refused += text;
      });
      sockets.push(socket);
    }
    await until(() => refused.includes("HTTP/1.1 429"), "a refusal");
    expect(refused).toContain("Too many request bodies are being received");
    for (const socket of sockets) socket.destroy();
    await until(async () => (await sendBy(openAgent(), url, {})).status === 200, "a free place");
  });
});

describe("answers that nobody reads", () => {
  /** A server whose answers are watched, and what has become of each. */
  async function serveUnread(options: { limitBytes?: number; stalledMs?: number }) {
    const unread = createUnreadLimit({ clock: systemClock, ...options });
    const answers: { response: ServerResponse; onWritten(): void }[] = [];
    const server = createServer((_request, response) => {
      response.writeHead(200);
      answers.push({ response, onWritten: unread.watch(response, "anna") });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      async open() {
        const socket = await openSocket(url, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        socket.pause();
        const before = answers.length;
        await until(() => answers.length > before, "the request");
        const { response, onWritten } = answers.at(-1) as (typeof answers)[number];
        return {
          socket,
          response,
          write(bytes: number) {
            response.write(Buffer.alloc(bytes));
            onWritten();
          },
        };
      },
    };
  }
  const MIB = 1024 * 1024;

  test("are bounded in memory: the largest of a caller goes first", async () => {
    const { open } = await serveUnread({ limitBytes: 8 * MIB });
    const [small, large, next] = [await open(), await open(), await open()];
    small.write(10 * MIB);
    large.write(20 * MIB);
    expect(large.response.destroyed).toBe(true);
    next.write(30 * MIB);
    expect(next.response.destroyed).toBe(true);
    // The last one may be large, as long as it is read.
    expect(small.response.destroyed).toBe(false);
  });

  test("end when nothing of them is taken for a while, and those that are read slowly do not", async () => {
    const { open } = await serveUnread({ stalledMs: 1_000 });
    const stalled = await open();
    const slow = await open();
    stalled.write(12 * MIB);
    slow.write(12 * MIB);
    const reading = setInterval(() => slow.socket.read(), 10);
    onTestFinished(() => clearInterval(reading));
    await until(() => stalled.response.destroyed, "the end of the answer that nobody reads");
    expect(slow.response.destroyed).toBe(false);
  });
});
