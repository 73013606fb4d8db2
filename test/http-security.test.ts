import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createGuard } from "../src/server/http/guard.js";
import { limitGit, NO_REDIRECTS } from "../src/server/http/limit-git.js";
import { createRate } from "../src/server/http/rate.js";
import { settleTokens } from "../src/server/http/serve-settings.js";
import { createTokenCheck } from "../src/server/http/token-check.js";
import { isLoopback } from "../src/shared/http/loopback.js";
import { runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { GITHUB_TOKEN, openGithubForTest } from "./support/github.js";
import { createHandClock } from "./support/hand-clock.js";
import { COMPLETE, silentLog, testSettings, until } from "./support/harness.js";
import {
  connectHttp,
  HELLO,
  JSON_HEADERS,
  sendPlain,
  startHttp,
  startHttpWithApi,
  startServeBin,
} from "./support/http.js";
import { asLongAs } from "./support/patient.js";

const ANNA = "anna-0123456789abcdef";
const BEN = "ben-0123456789abcdef0";
const TOKENS = `anna=${ANNA},ben=${BEN}`;
const hello = (url: string, headers: Record<string, string> = {}) =>
  sendPlain(`${url}/mcp`, { method: "POST", headers: { ...JSON_HEADERS, ...headers }, body: HELLO });

describe("where a request comes from", () => {
  test.each(["evil.example", "evil.example:28882", "127.0.0.1.evil.example", "localhost.evil.example", "x"])(
    "the Host %j is refused, on every path",
    async (host) => {
      const { url } = await startHttpWithApi();
      expect((await hello(url, { host })).status).toBe(403);
      for (const path of ["/mcp", "/health", "/ready", "/sse", "/"]) {
        expect((await sendPlain(url + path, { headers: { host } })).status, path).toBe(403);
      }
    },
  );

  test.each(["http://evil.example", "null", "http://127.0.0.1:1", "https://example.org.evil.example"])(
    "the Origin %s is refused, and no CORS header is sent",
    async (origin) => {
      const { url } = await startHttpWithApi({ settings: { HTTP_ORIGINS: "https://example.org" } });
      for (const answer of [
        await hello(url, { origin }),
        await sendPlain(`${url}/mcp`, { method: "OPTIONS", headers: { origin } }),
      ]) {
        expect(answer.status).toBe(403);
        expect(Object.keys(answer.headers).join()).not.toContain("access-control");
      }
    },
  );

  test("the server's own origin is served on loopback only, and with no other port or scheme", async () => {
    const { url } = await startHttpWithApi({ settings: { HTTP_ALLOWED_HOSTS: "mcp.example.org" } });
    const status = async (host: string, origin: string) => (await hello(url, { host, origin })).status;
    for (const host of ["localhost:28882", "127.0.0.1:28882", "[::1]:28882", "localhost"]) {
      expect(await status(host, `http://${host}`), host).toBe(200);
      expect(await status(host, `https://${host}`), host).toBe(403);
    }
    expect(await status("localhost:28882", "http://localhost:3000")).toBe(403);
    expect(await status("localhost:28882", "http://localhost")).toBe(403);
    expect(await status("localhost:28882", "http://127.0.0.1:28882")).toBe(403);
    expect(await status("mcp.example.org", "http://mcp.example.org")).toBe(403);
    expect(await status("evil.example:28882", "http://evil.example:28882")).toBe(403);
  });

  test("another site's pictures and links, which have no Origin, use up nobody's share", async () => {
    const { url } = await startHttpWithApi({ settings: { HTTP_RATE: "1" }, sse: true });
    const load = async (path: string, site: string) =>
      (await sendPlain(`${url}${path}`, { headers: { "sec-fetch-site": site } })).status;
    for (const site of ["cross-site", "same-site"]) {
      for (const path of ["/mcp", "/sse", "/health"]) expect(await load(path, site), path).toBe(403);
    }
    expect(await load("/health", "none")).toBe(200);
    expect((await hello(url)).status).toBe(200);
    expect((await hello(url)).status).toBe(429);
  });

  test("loopback names are served, and the names that are listed", async () => {
    const { url } = await startHttpWithApi({ settings: { HTTP_ALLOWED_HOSTS: "mcp.example.org" } });
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:28882", "mcp.example.org:443"]) {
      expect((await hello(url, { host })).status, host).toBe(200);
    }
    expect(Object.keys((await hello(url)).headers).join()).not.toContain("access-control");
  });

  test("a listed origin may ask first and read the answer", async () => {
    const origin = "https://example.org";
    const { url } = await startHttpWithApi({ settings: { HTTP_ORIGINS: origin, TOKENS } });
    const asked = await sendPlain(`${url}/mcp`, { method: "OPTIONS", headers: { origin } });
    expect(asked.status).toBe(204);
    expect(asked.headers["access-control-allow-origin"]).toBe(origin);
    expect(asked.headers["access-control-allow-methods"]).toBe("GET, POST, DELETE");
    const answer = await hello(url, { origin, authorization: `Bearer ${ANNA}` });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe(origin);
  });

  test("the address that is listened on counts as a name, but not the one for all addresses", () => {
    const rules = { allowedHosts: [], allowedOrigins: [] };
    expect(createGuard({ ...rules, host: "10.1.2.3" }).check({ host: "10.1.2.3:28882" })).toBeUndefined();
    expect(createGuard({ ...rules, host: "fd00::1" }).check({ host: "[fd00::1]:1" })).toBeUndefined();
    expect(createGuard({ ...rules, host: "0.0.0.0" }).check({ host: "0.0.0.0:28882" })).toBe(
      "Host not allowed",
    );
  });
});

describe("tokens", () => {
  test("without a right one nothing is served but health", async () => {
    const { url, api } = await startHttpWithApi({ settings: { TOKENS } });
    for (const authorization of ["", "Bearer ", `Bearer ${ANNA}x`, ANNA, `Basic ${ANNA}`, "Bearer anna"]) {
      const answer = await hello(url, authorization ? { authorization } : {});
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
      expect(answer.text).not.toMatch(/anna|ben|[\\/]|at /);
    }
    expect((await sendPlain(`${url}/health`)).status).toBe(200);
    expect(api.requests).toEqual([]);
    expect((await hello(url, { authorization: `bearer ${BEN}` })).status).toBe(200);
  });

  test("each tells its caller by name, whatever its length", () => {
    const find = createTokenCheck([
      { name: "anna", token: ANNA },
      { name: "ben", token: BEN },
    ]);
    expect(find(`Bearer ${ANNA}`)).toBe("anna");
    expect(find(`Bearer ${BEN}`)).toBe("ben");
    for (const wrong of [undefined, "", "Bearer", `Bearer ${ANNA.slice(1)}`, `Bearer ${ANNA} ${BEN}`]) {
      expect(find(wrong)).toBeUndefined();
    }
  });

  test("a session belongs to the token that opened it", async () => {
    const http = await startHttpWithApi({ settings: { TOKENS } });
    const { client, transport } = await http.connect({ token: ANNA });
    const session = { "mcp-session-id": transport.sessionId ?? "" };
    const ben = { ...JSON_HEADERS, ...session, authorization: `Bearer ${BEN}` };
    const list = { jsonrpc: "2.0", id: 9, method: "tools/list" };
    for (const method of ["POST", "GET", "DELETE"]) {
      const answer = await sendPlain(`${http.url}/mcp`, {
        method,
        headers: ben,
        ...(method === "POST" ? { body: list } : {}),
      });
      expect(answer.status, method).toBe(404);
      expect(JSON.parse(answer.text).error).toEqual({ code: -32001, message: "Session not found" });
    }
    expect((await client.listTools()).tools).toHaveLength(1);
  });

  test.each<[string, string[], Record<string, string>]>([
    ["without a token off loopback", ["--host", "0.0.0.0"], {}],
    ["without a token on all addresses of IPv6", ["--host=::"], {}],
    ["with a token that is too short", [], { TOKENS: "anna=secret" }],
    ["with a tokens file that is not there", [], { TOKENS_FILE: "/nowhere/secret" }],
  ])("it refuses to start %s, with exit code 2 and one line why", async (_what, args, settings) => {
    const { code, stdout, stderr } = await runBin(["serve", "--port", "0", ...args], toVariables(settings));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^automagik-workflows-mcp: .*AUTOMAGIK_WORKFLOWS_TOKENS.*\n$/);
    expect(stderr).not.toContain("secret");
  });

  test("may come from a file", async () => {
    const { writeFileSync } = await import("node:fs");
    const file = `${temporaryFolder()}/tokens`;
    writeFileSync(file, `# the team\nanna=${ANNA}\n\nben=${BEN}\n`, { mode: 0o600 });
    const settle = (settings: Record<string, string>) => settleTokens(testSettings(settings));
    expect(settle({ TOKENS_FILE: file, HTTP_HOST: "0.0.0.0" })).toEqual([
      { name: "anna", token: ANNA },
      { name: "ben", token: BEN },
    ]);
    expect(() => settle({ TOKENS_FILE: file, TOKENS })).toThrow("only one of them");
    expect(() => settle({ CALLER_KEYS: "on", ENGINE: "local" })).toThrow("CALLER_KEYS");
    expect(settle({})).toEqual([]);
  });

  test("loopback is what only this machine reaches", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"]) expect(isLoopback(host)).toBe(true);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org"])
      expect(isLoopback(host), host).toBe(false);
  });
});

describe("a caller's own key", () => {
  const key = (value: string) => ({ headers: { "x-workflows-api-key": value } });

  test("is used for that session's calls alone, and nothing is shared with others", async () => {
    const http = await startHttpWithApi({ settings: { CALLER_KEYS: "on", API_KEY: "server-key" } });
    const one = await http.connect(key("key-of-one"));
    const two = await http.connect(key("key-of-two"));
    const plain = await http.connect();
    // Each looks at a run of its own, since what another session reads at its start may come in between.
    const keysOf = (runId: string) =>
      new Set(
        http.api.requests
          .filter(({ path }) => path.includes(runId))
          .map(({ headers }) => headers["x-api-key"]),
      );
    for (const [session, runId, ownKey] of [
      [one, "run-of-one", "key-of-one"],
      [two, "run-of-two", "key-of-two"],
      [plain, "run-of-plain", "server-key"],
    ] as const) {
      await session.call({ action: "status", run_id: runId });
      expect(keysOf(runId)).toEqual(new Set([ownKey]));
    }
  });

  test("is asked for its workflows, and its runs are watched, once however many sessions it has", async () => {
    const http = await startHttpWithApi({
      settings: { TOKENS, CALLER_KEYS: "on", API_KEY: "server-key", POLLING_INTERVAL: "0.2" },
    });
    const { runId } = http.api.world.start("fix", { message: "Fix it", input_format: "stream-json" });
    const asked = (path: RegExp) =>
      http.api.requests.filter(
        ({ headers, ...request }) => headers["x-api-key"] === "key-of-one" && path.test(request.path),
      ).length;
    const clients = [];
    for (let index = 0; index < 8; index++) {
      const token = index % 2 === 0 ? ANNA : BEN;
      clients.push(await http.connect({ token, ...key("key-of-one") }));
    }
    // It may have been refreshed meanwhile.
    const lists = () => asked(/\/manage$/);
    expect(lists()).toBeLessThan(4);
    for (const { client } of clients) {
      await client.subscribeResource({ uri: `automagik://runs/${runId}` });
    }
    const looks = () => asked(/\/status$/);
    await until(() => looks() > 0, "the first look");
    const before = looks();
    const since = performance.now();
    await until(() => looks() >= before + 5, "five more looks");
    // At one rate for the key, not at eight: five looks take five intervals.
    expect(performance.now() - since).toBeGreaterThan(600);
    // The server of a key ends with its last session, and is made anew for the next.
    for (const { transport, client } of clients) {
      await transport.terminateSession();
      await client.close();
    }
    const read = lists();
    await http.connect({ token: ANNA, ...key("key-of-one") });
    expect(lists()).toBeGreaterThan(read);
  });

  test("belongs to its session: with another or none the session is not found", async () => {
    const http = await startHttpWithApi({ settings: { CALLER_KEYS: "on" } });
    const { transport } = await http.connect(key("key-of-one"));
    const session = { ...JSON_HEADERS, "mcp-session-id": transport.sessionId ?? "" };
    const body = { jsonrpc: "2.0", id: 9, method: "tools/list" };
    const ask = (headers: Record<string, string>) =>
      sendPlain(`${http.url}/mcp`, { method: "POST", headers: { ...session, ...headers }, body });
    expect((await ask({})).status).toBe(404);
    expect((await ask({ "x-workflows-api-key": "key-of-two" })).status).toBe(404);
    expect((await ask({ "x-workflows-api-key": "key-of-one" })).status).toBe(200);
  });

  test("is no way past the limit of runs at once", async () => {
    const api = await serveSimulatedApi({ paceMs: "manual" });
    onTestFinished(() => api.close());
    const bin = await startServeBin({
      settings: { BASE_URL: api.url, CALLER_KEYS: "on", MAX_CONCURRENT_RUNS: "1" },
    });
    const plain = await connectHttp(bin.url);
    const own = await connectHttp(bin.url, key("test-key"));
    const run = { ...COMPLETE, wait_seconds: 0 };
    expect((await plain.call({ ...run, session_name: "first" })).data.outcome).toBe("started");
    const second = await own.call({ ...run, session_name: "second" });
    expect(second.text).toContain("Run limit reached (1 of 1");
    expect(api.api.posts("/run/")).toHaveLength(1);
  });

  test("reads nothing with the keys that the server has for other services", async () => {
    const github = await openGithubForTest();
    github
      .addRepository("acme/secret")
      .addIssue({ title: "Unreleased", body: "Nobody knows", author: "bob" });
    const api = await serveSimulatedApi({ apiKey: "key-of-one" });
    onTestFinished(() => api.close());
    const bin = await startServeBin({
      settings: {
        ...{ BASE_URL: api.url, CALLER_KEYS: "on", API_KEY: "key-of-the-server" },
        ...{ GITHUB_URL: github.url, GITHUB_TOKEN },
      },
    });
    const task = { ...COMPLETE, message: "acme/secret#1", wait_seconds: 0 };
    const own = await connectHttp(bin.url, key("key-of-one"));
    expect((await own.call(task)).text).not.toContain("Unreleased");
    expect(github.requests).toEqual([]);
    // With the server's own key it is read, and shown before anything is sent.
    const plain = await connectHttp(bin.url);
    expect((await plain.call(task)).text).toContain("Unreleased");
    expect(
      api.api
        .posts("/run/")
        .map(({ body }) => JSON.stringify(body))
        .join(),
    ).not.toContain("Unreleased");
  });

  test("that the API refuses is the caller's to put right, not a setting's", async () => {
    const api = await serveSimulatedApi({ apiKey: "test-key" });
    onTestFinished(() => api.close());
    const bin = await startServeBin({ settings: { BASE_URL: api.url, CALLER_KEYS: "on" } });
    const own = await connectHttp(bin.url, key("not-the-key"));
    const { text } = await own.call({ action: "list_workflows" });
    expect(text).toContain("the workflows API refused the key");
    expect(text).toContain("Open a new session with a key in x-workflows-api-key that this API accepts.");
    expect(text).not.toMatch(/AUTOMAGIK_WORKFLOWS_API_KEY|not-the-key/);
  });

  test("is refused when it is so short that it would take words out of the log", async () => {
    const http = await startHttpWithApi({ settings: { CALLER_KEYS: "on" } });
    const { status, text } = await hello(http.url, { "x-workflows-api-key": "run" });
    expect(status).toBe(400);
    expect(text).toContain("less than 8 characters");
    expect(http.api.requests).toEqual([]);
  });

  test("is refused where it is not expected, rather than ignored", async () => {
    const { url, api } = await startHttpWithApi();
    const answer = await hello(url, { "x-workflows-api-key": "my-own-key" });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain("my-own-key");
    expect(api.requests).toEqual([]);
  });
});

describe("each caller's share", () => {
  test("of requests ends with 429 and the seconds to wait, and another caller's does not", async () => {
    const { url } = await startHttpWithApi({ settings: { TOKENS, HTTP_RATE: "3" } });
    const anna = { authorization: `Bearer ${ANNA}` };
    for (let index = 0; index < 3; index++) expect((await hello(url, anna)).status).toBe(200);
    const refused = await hello(url, anna);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { message: /Too many requests/ } });
    expect((await hello(url, { authorization: `Bearer ${BEN}` })).status).toBe(200);
  });

  test("of requests fills evenly, and a batch counts as many as it holds", () => {
    const clock = createHandClock();
    const rate = createRate({ perMinute: 60, clock });
    expect(rate.take("anna", 60)).toBeUndefined();
    expect(rate.take("anna", 1)).toBe(1);
    clock.advance(1_000);
    expect(rate.take("anna", 2)).toBe(1);
    expect(rate.take("anna", 1)).toBeUndefined();
    expect(rate.take("ben", 60)).toBeUndefined();
    clock.advance(3_600_000);
    expect(rate.take("anna", 61)).toBe(1);
  });

  test("of calls at once is bounded over all its sessions, and free again after an answer", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_CALLS: "2" } });
    const one = await http.connect();
    const two = await http.connect();
    const cancel = new AbortController();
    for (const [name, { call }] of Object.entries({ one, two })) {
      const start = { ...COMPLETE, session_name: name, wait_seconds: 600 };
      call(start, { signal: cancel.signal }).catch(() => {});
    }
    await until(() => http.api.world.runs().length === 2, "both runs");
    await expect(two.call({ action: "list_workflows" })).rejects.toThrow(/Too many calls at once: 2/);
    expect((await two.client.listTools()).tools).toHaveLength(1);
    cancel.abort();
    await until(() => http.api.posts().length === 2);
    const list = () =>
      two.call({ action: "list_workflows" }).then(
        ({ text }) => text,
        () => undefined,
      );
    const answer = await until(list, "a free place");
    expect(answer).toContain("architect");
  });

  test("of sessions is bounded: one that nobody uses makes room, one in use does not", async () => {
    const http = await startHttpWithApi({ settings: { HTTP_MAX_SESSIONS: "2" } });
    const listening = await http.connect();
    const { headers } = await hello(http.url);
    // Without a stream of its own, and nothing under way: nobody can tell whether it is still there.
    await sendPlain(`${http.url}/mcp`, {
      method: "POST",
      headers: { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) },
      body: { jsonrpc: "2.0", method: "notifications/initialized" },
    });
    const third = await http.connect();
    expect((await listening.client.listTools()).tools).toHaveLength(1);
    expect((await third.client.listTools()).tools).toHaveLength(1);
    await expect(http.connect()).rejects.toThrow(/Too many sessions: 2/);
  });

  test("of one body is bounded, also when its length is not told", async () => {
    const { url } = await startHttpWithApi({ settings: { HTTP_BODY_LIMIT: "16" } });
    for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
      const answer = await sendPlain(`${url}/mcp`, {
        method: "POST",
        headers: { ...JSON_HEADERS, ...headers },
        body: { ...HELLO, padding: "x".repeat(16 * 1024) },
      });
      expect(answer.status).toBe(413);
    }
    expect((await hello(url)).status).toBe(200);
  });
});

describe("slow senders", () => {
  test.each([
    ["says nothing", ""],
    ["never comes to the end of its headers", "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"],
    [
      "never comes to the end of its body",
      "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
    ],
  ])("a client that %s is cut off when its time is over", async (_what, text) => {
    const { url } = await startHttp({ headersTimeoutMs: 200, requestTimeoutMs: 200 });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const since = performance.now();
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.write(text);
    await once(socket, "close");
    expect(answer).toContain("HTTP/1.1 408");
    // Node by itself would look after 30 s.
    expect(performance.now() - since).toBeLessThan(await asLongAs(10_000));
  });

  test("a long call is none: it is the request that has to come in time, not its answer", async () => {
    const http = await startHttpWithApi({ headersTimeoutMs: 100, requestTimeoutMs: 100 });
    const { call } = await http.connect();
    const since = performance.now();
    expect((await call({ ...COMPLETE, wait_seconds: 2 })).data.outcome).toBe("running");
    expect(performance.now() - since).toBeGreaterThan(1_000);
  });
});

describe("what is closed", () => {
  test.each([
    "/sse",
    "/messages",
    "/messages?sessionId=x",
    "/ping",
    "/",
    "/mcp/x",
    "/.well-known/oauth-protected-resource",
  ])("%s is not there", async (path) => {
    const { url } = await startHttpWithApi();
    expect((await sendPlain(url + path)).status).toBe(404);
    expect((await sendPlain(url + path, { method: "POST", body: {} })).status).toBe(404);
  });

  test("the earlier transport works when it is asked for, with the same token for its messages", async () => {
    const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { url } = await startHttpWithApi({ settings: { TOKENS }, sse: true });
    expect((await sendPlain(`${url}/sse`)).status).toBe(401);
    const authorization = `Bearer ${ANNA}`;
    const client = new Client({ name: "old", version: "1" });
    await client.connect(
      new SSEClientTransport(new URL("/sse", url), { requestInit: { headers: { authorization } } }),
    );
    expect((await client.listTools()).tools).toHaveLength(1);
    const answer = await sendPlain(`${url}/messages?sessionId=x`, {
      method: "POST",
      headers: { ...JSON_HEADERS, authorization },
      body: {},
    });
    expect(answer.status).toBe(404);
    await client.close();
  });

  test("git looks at no folder, and at repositories of listed hosts only", async () => {
    const asked: string[] = [];
    const git = limitGit(
      {
        describeFolder: async () => ({ top: "/", branch: "main" }),
        findPushAddress: async () => "git@git.example.org:acme/shop.git",
        findRepository: async () => ({ kind: "found", top: "/" }),
        async listBranches(address) {
          asked.push(address);
          return { branches: ["main"], truncated: false };
        },
        async findBranch(address, name) {
          asked.push(address);
          return { found: { kind: "there", name } };
        },
      },
      ["git.example.org"],
    );
    expect(await git.describeFolder("/")).toBeUndefined();
    expect(await git.findPushAddress("/")).toBeUndefined();
    expect(await git.findRepository("/")).toEqual({ kind: "unknown" });
    const good = [
      "https://git.example.org/a/b",
      "git@GIT.example.org:a/b",
      "ssh://git@git.example.org:22/a/b",
    ];
    const bad = [
      "https://git.example.org.evil.example/a/b",
      "https://evil.example/git.example.org",
      "https://git.example.org:8443/a/b",
      "http://169.254.169.254/latest",
      "git@evil.example:git.example.org",
      "https://git.example.org@evil.example/a",
      "/etc",
    ];
    for (const address of [...good, ...bad]) await git.listBranches(address);
    expect(asked.splice(0)).toEqual(good);
    for (const address of [...good, ...bad]) await git.findBranch(address, "main");
    expect(asked).toEqual(good);
    const env = { PATH: process.env.PATH, HOME: "/nowhere", ...NO_REDIRECTS };
    expect(execFileSync("git", ["config", "--get", "http.followRedirects"], { env, encoding: "utf8" })).toBe(
      "false\n",
    );
  });
});

describe("errors and the log leak nothing", () => {
  test("whatever is sent, the answer says neither paths nor stacks nor what the API was sent", async () => {
    const { url } = await startHttpWithApi();
    const { headers } = await hello(url);
    const session = { ...JSON_HEADERS, "mcp-session-id": String(headers["mcp-session-id"]) };
    const bodies: unknown[] = [
      "{",
      "",
      "[]",
      "null",
      '"x"',
      { jsonrpc: "2.0" },
      { jsonrpc: "2.0", id: 2, method: "no/such" },
      { jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "none", arguments: {} } },
      { jsonrpc: "2.0", id: 4, method: "tools/call", params: 5 },
      { jsonrpc: "2.0", id: 5, method: "resources/read", params: { uri: "file:///etc/passwd" } },
      { jsonrpc: "2.0", id: 6, method: "prompts/get", params: { name: "none" } },
      { jsonrpc: "2.0", id: 7, method: "completion/complete", params: {} },
      Array.from({ length: 500 }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" })),
      { ...HELLO, id: 8 },
    ];
    for (const body of bodies) {
      for (const sent of [JSON_HEADERS, session]) {
        const answer = await sendPlain(`${url}/mcp`, { method: "POST", headers: sent, body });
        expect(answer.text, JSON.stringify(body).slice(0, 80)).not.toMatch(
          /node_modules|\.[jt]s:\d|\bat \w+ \(|test-key|\/work|\/src\//,
        );
      }
    }
  });

  test("the log names requests and callers by number and name, and no session, token or content", async () => {
    const lines: string[] = [];
    const errors: unknown[] = [];
    const note = (...args: unknown[]) => lines.push(args.map(String).join(" "));
    const log = {
      ...silentLog,
      debug: note,
      info: note,
      warn: note,
      error: (...args: unknown[]) => {
        errors.push(args);
        note(...args);
      },
    } as unknown as typeof silentLog;
    const http = await startHttpWithApi({ settings: { TOKENS }, log });
    const { call, transport } = await http.connect({ token: ANNA });
    await call({ ...COMPLETE, wait_seconds: 0 });
    await hello(http.url, { authorization: "Bearer wrong-token" });
    const noHello = { jsonrpc: "2.0", id: 1, method: "initialize" };
    const headers = { ...JSON_HEADERS, authorization: `Bearer ${ANNA}` };
    await sendPlain(`${http.url}/mcp`, { method: "POST", headers, body: noHello });
    await http.close();
    const text = lines.join("\n");
    expect(text).toMatch(/Session 1 of anna has begun/);
    // What a caller sends is neither a fault of the server nor a session that it has had.
    expect(text).not.toContain("Session 2 of anna");
    expect(errors).toEqual([]);
    expect(text).toMatch(/Request \d+: POST \/mcp → 200/);
    expect(text).toMatch(/Request \d+: POST \/mcp → 401/);
    for (const secret of [transport.sessionId ?? "?", ANNA, "wrong-token", COMPLETE.message, "mcp-proxy"]) {
      expect(text).not.toContain(secret);
    }
  });
});

test("a port that is taken is said plainly, without a stack", async () => {
  const { url } = await startHttp();
  const { code, stderr } = await runBin(["serve", "--port", new URL(url).port]);
  expect(code).toBe(1);
  expect(stderr).toContain("EADDRINUSE");
  expect(stderr).not.toMatch(/^\s+at /m);
});
