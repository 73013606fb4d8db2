import { EventEmitter } from "node:events";
import nodeHttp, { type ClientRequest, createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { HttpResponse, http } from "msw";
import { setupServer } from "msw/node";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type ApiClientOptions, createApiClient, type WorkflowsApi } from "../src/api/client.js";
import type { ApiError, ApiErrorKind } from "../src/api/errors.js";
import { isFinal } from "../src/api/types.js";
import { pauseAfter } from "../src/shared/backoff.js";
import { systemClock } from "../src/shared/clock.js";
import { cleanText } from "../src/shared/text.js";
import { until } from "./support/harness.js";
import { createPausingClock, type PausingClock } from "./support/pausing-clock.js";

const BASE_URL = "http://localhost:28881";
const ROUTER = "/api/v1/workflows/claude-code";
const KEY = "sk-very-secret-0815";
const TIMEOUT_MS = 5_000;
const NOON = Date.parse("2026-11-25T12:00:00Z");

interface Sent {
  method: string;
  url: URL;
  headers: Headers;
  body: unknown;
}

const server = setupServer();
let sent: Sent[] = [];

function intercept(): void {
  server.listen({
    onUnhandledRequest(request, print) {
      // Real servers of these tests are on this machine; anything else is a mistake.
      if (new URL(request.url).hostname !== "127.0.0.1") print.error();
    },
  });
}

beforeAll(intercept);
afterAll(() => server.close());
beforeEach(() => {
  server.resetHandlers();
  sent = [];
});

type Answerer = (request: Sent) => Response | Promise<Response>;

/** Answers every request to an origin by turns; the last answer stands for all that follow. */
function answer(...answers: Answerer[]): void {
  server.use(
    http.all(`${BASE_URL}/*`, async ({ request }) => {
      const text = await request.clone().text();
      const { method, url, headers } = request;
      const one = { method, url: new URL(url), headers, body: text ? JSON.parse(text) : undefined };
      sent.push(one);
      return (answers[Math.min(sent.length, answers.length) - 1] as Answerer)(one);
    }),
  );
}

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answerer =>
  () =>
    HttpResponse.json(body as object, { status, headers });
const text =
  (body: string, status = 200): Answerer =>
  () =>
    HttpResponse.text(body, { status, headers: { "content-type": "text/html" } });
const hang: Answerer = () => new Promise<Response>(() => {});
const redirect: Answerer = (request) =>
  request.url.pathname === "/elsewhere"
    ? HttpResponse.json({ run_id: "run-2", status: "pending" })
    : new HttpResponse(null, { status: 307, headers: { location: `${BASE_URL}/elsewhere` } });
const drop: Answerer = () => HttpResponse.error();

const EMPTY = json({ runs: [] });
const STARTED = json({ run_id: "run-1", status: "pending" });

interface Client {
  api: WorkflowsApi;
  clock: PausingClock;
}

function createClient(options: Partial<ApiClientOptions> = {}): Client {
  const clock = createPausingClock(TIMEOUT_MS, NOON);
  const api = createApiClient({
    baseUrl: BASE_URL,
    apiKey: KEY,
    requestTimeoutMs: TIMEOUT_MS,
    maxRetries: 3,
    random: () => 0.5,
    clock,
    ...options,
  });
  return { api, clock };
}

async function failureOf(work: Promise<unknown>): Promise<ApiError> {
  const error = await work.then(
    (value) => expect.fail(`it went well: ${JSON.stringify(value)}`),
    (thrown) => thrown,
  );
  expect(error.name).toBe("ApiError");
  return error;
}

/** A real server on this machine, closed when the test ends. */
async function serve(listener: RequestListener): Promise<string> {
  const real = createServer(listener);
  await new Promise<void>((resolve) => real.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    real.closeAllConnections();
    real.close();
  });
  return `http://127.0.0.1:${(real.address() as AddressInfo).port}`;
}

const START = { workflowName: "architect", message: "Design it", inputFormat: "stream-json" } as const;

describe("a request", () => {
  it("carries its three options in the query and everything else in the body", async () => {
    answer(STARTED);
    await createClient().api.startRun({
      ...START,
      sessionId: "s-1",
      sessionName: "auth",
      repositoryUrl: "https://example.test/app.git",
      gitBranch: "main",
      userId: "7d9a0f34-2c61-4b8e-8f15-6a3b9c2e1d70",
      maxTurns: 10,
      timeoutS: 600,
      persistent: false,
      autoMerge: true,
      tempWorkspace: false,
    });
    const [request] = sent;
    expect(request?.method).toBe("POST");
    expect(request?.url.pathname).toBe(`${ROUTER}/run/architect`);
    expect(Object.fromEntries(request?.url.searchParams ?? [])).toEqual({
      persistent: "false",
      auto_merge: "true",
      temp_workspace: "false",
    });
    expect(request?.body).toEqual({
      message: "Design it",
      input_format: "stream-json",
      session_id: "s-1",
      session_name: "auth",
      repository_url: "https://example.test/app.git",
      git_branch: "main",
      user_id: "7d9a0f34-2c61-4b8e-8f15-6a3b9c2e1d70",
      max_turns: 10,
      timeout: 600,
    });
    expect(request?.headers.get("content-type")).toBe("application/json");
  });

  it("sends only what is set", async () => {
    answer(STARTED);
    await createClient().api.startRun(START);
    expect(sent[0]?.url.search).toBe("");
    expect(sent[0]?.body).toEqual({ message: "Design it", input_format: "stream-json" });
  });

  it("carries the key in its own header and nowhere in the address", async () => {
    answer(EMPTY);
    await createClient().api.listRuns({ page: 2, pageSize: 5, workflowName: "architect" });
    expect(sent[0]?.headers.get("x-api-key")).toBe(KEY);
    expect(sent[0]?.headers.has("authorization")).toBe(false);
    expect(sent[0]?.url.href).toBe(`${BASE_URL}${ROUTER}/runs?page=2&page_size=5&workflow_name=architect`);
  });

  it("keeps a path in front of the API's own", async () => {
    answer(EMPTY);
    await createClient({ baseUrl: `${BASE_URL}/behind/a/proxy` }).api.listRuns();
    expect(sent[0]?.url.pathname).toBe(`/behind/a/proxy${ROUTER}/runs`);
  });

  it("keeps an id with odd characters within its own step of the path", async () => {
    answer(json({ status: "running" }));
    await createClient().api.getRun("a/b c?d");
    expect(sent[0]?.url.pathname).toBe(`${ROUTER}/run/a%2Fb%20c%3Fd/status`);
  });

  it.each(["", ".", ".."])("is not made for the id %j, which an address would swallow", async (id) => {
    answer(STARTED);
    const { api } = createClient();
    for (const call of [
      api.killRun(id, true),
      api.getRun(id),
      api.startRun({ ...START, workflowName: id }),
    ]) {
      expect(await failureOf(call)).toMatchObject({ kind: "not_found", mayHaveActed: false });
    }
    expect(sent).toHaveLength(0);
  });

  it("is not made, and says so, where the API is not found by looking", async () => {
    const locate = () => Promise.reject(new Error("The state folder cannot be written (EROFS)"));
    const { api } = createClient({ locate, maxRetries: 0 });
    const start = await failureOf(api.startRun(START));
    expect(start.message).toContain(
      ": The state folder cannot be written (EROFS). Not started; nothing was charged.",
    );
    expect(start).toMatchObject({ mayHaveActed: false });
    expect((await failureOf(api.getRun("r"))).message).toContain("(EROFS). Nothing was done.");
    expect(sent).toHaveLength(0);
  });

  it("is not made at all without a key", async () => {
    answer(EMPTY);
    const { api } = createClient({ apiKey: undefined });
    expect(api.hasKey).toBe(false);
    const calls = [
      api.listWorkflows(),
      api.startRun(START),
      api.getRun("r"),
      api.listRuns(),
      api.addMessage("r", "user", "hello"),
      api.getQueue("r"),
      api.killRun("r", true),
      api.cleanupRun("r", true),
    ];
    for (const call of calls) {
      const error = await failureOf(call);
      expect(error).toMatchObject({ kind: "no_key", mayHaveActed: false });
      expect(error.message).toMatch(/^Could not .* Nothing was sent\. Set AUTOMAGIK_WORKFLOWS_API_KEY/);
    }
    expect(sent).toHaveLength(0);
  });

  it.each([301, 302, 307, 308])("is not carried on by a redirect with %i, nor is its key", async (status) => {
    const elsewhere: string[] = [];
    const other = await serve((request, response) => {
      elsewhere.push(request.method ?? "");
      response.end("{}");
    });
    let received = 0;
    const url = await serve((_request, response) => {
      received++;
      response.writeHead(status, { location: `${other}/taken` }).end();
    });
    const { api } = createClient({ baseUrl: url });
    const start = await failureOf(api.startRun(START));
    expect(start).toMatchObject({ kind: "unexpected", status, mayHaveActed: true });
    expect(await failureOf(api.listRuns())).toMatchObject({ kind: "unexpected", mayHaveActed: false });
    expect(start.message).not.toContain(other);
    expect(received).toBe(2);
    expect(elsewhere).toEqual([]);
  });
});

describe("an answer", () => {
  it("is read no further than its limit", async () => {
    // MSW reads along with every answer and would go on reading when the client has stopped.
    server.close();
    onTestFinished(intercept);
    const chunk = Buffer.alloc(1024 * 1024, " ");
    let gone = false;
    const url = await serve((_request, response) => {
      response.on("close", () => {
        gone = true;
      });
      const more = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    });
    const error = await failureOf(createClient({ baseUrl: url }).api.listWorkflows());
    expect(error).toMatchObject({ kind: "unexpected", mayHaveActed: false });
    expect(error.message).toContain("exceeds the size limit of 4096 KiB. Nothing was changed.");
    await until(() => gone, "the end of the connection");
  });

  it.each([
    ["kill", (api: WorkflowsApi) => api.killRun("r", false), "256 KiB", true],
    ["queue", (api: WorkflowsApi) => api.getQueue("r"), "64 KiB", false],
  ])("of %s has its own limit", async (_what, call, limit, mayHaveActed) => {
    answer(json({ success: true, run_id: "r", note: "x".repeat(300 * 1024) }));
    const error = await failureOf(call(createClient().api));
    expect(error).toMatchObject({ kind: "unexpected", mayHaveActed });
    expect(error.message).toContain(`size limit of ${limit}`);
  });

  it("that refuses in too many words is still a refusal", async () => {
    answer(json({ detail: "x".repeat(300 * 1024) }, 422));
    expect(await failureOf(createClient().api.startRun(START))).toMatchObject({
      kind: "refused",
      status: 422,
    });
  });

  it.each([
    ["plain letters", "abc ".repeat(4 * 1024 * 1024)],
    ["letters of several bytes", "\u{1f4be}\u00e9 ".repeat(2 * 1024 * 1024)],
    ["nothing but escape sequences", '\u0001"\\\n'.repeat(2 * 1024 * 1024)],
  ])("that is too long for its results, of %s, tells everything else", async (_what, result) => {
    const body = JSON.stringify({ status: "completed", result: { final_output: result }, current_turn: 7 });
    expect(Buffer.byteLength(body)).toBeGreaterThan(10 * 1024 * 1024);
    const url = await serve((_request, response) => response.end(body));
    const run = await createClient({ baseUrl: url }).api.getRun("r");
    expect(run).toMatchObject({ status: "completed", turn: 7 });
    expect(run.result?.endsWith(" [the rest is too long to be read]")).toBe(true);
    expect(run.result?.slice(0, 8_000)).toBe(cleanText(result.slice(0, 20_000)).slice(0, 8_000));
  });

  it.each([
    ["HTML", text("<!doctype html><title>Sign in</title>")],
    ["truncated JSON", text('{"runs": [{"run_id": "r')],
    ["nothing", text("")],
    ["JSON of another shape", json({ hello: "world" })],
    ["a bare null", json(null)],
  ])("of 200 with %s is no answer of the API", async (_what, reply) => {
    answer(reply);
    const { api } = createClient();
    const read = await failureOf(api.listRuns());
    expect(read).toMatchObject({ kind: "unexpected", mayHaveActed: false });
    expect(read.message).toMatch(/Nothing was changed\. Check that AUTOMAGIK_WORKFLOWS_BASE_URL/);
    const start = await failureOf(api.startRun(START));
    expect(start).toMatchObject({ kind: "unexpected", mayHaveActed: true });
    expect(start.message).toMatch(/not known whether the API has acted on it\. Check that/);
    expect(sent).toHaveLength(2);
  });

  it("may lack, null or mistype every field but the few it needs", async () => {
    const odd = [null, 7, "x", true, [], {}, [null], { metadata: null }, { metadata: "x" }, { tokens: 5 }];
    const fields =
      "run_id workflow_name session_id claude_session_id session_name repository_url git_branch current_turn max_turns current_action phases_completed started_at completed_at execution_time_seconds error_message progress metrics result debug turns tools_used total_cost total_tokens git_repo workspace_path".split(
        " ",
      );
    for (const value of odd) {
      const body = { ...Object.fromEntries(fields.map((name) => [name, value])), status: "running" };
      answer(json(body), json({ runs: [{ ...body, run_id: "r" }, value] }));
      sent = [];
      const { api } = createClient();
      expect((await api.getRun("r")).status).toBe("running");
      expect((await api.listRuns()).runs).toMatchObject([{ runId: "r", status: "running" }]);
    }
  });

  it("with nothing but a status gives a run about which nothing is made up", async () => {
    answer(json({ status: "running", brand_new_field: { a: 1 } }));
    expect(await createClient().api.getRun("r")).toEqual({
      runId: "r",
      workflowName: "",
      status: "running",
      toolsUsed: [],
      phasesCompleted: [],
      filesChanged: [],
      commits: [],
    });
  });

  it("with an unknown status keeps it, and it is not taken for an end", async () => {
    answer(json({ status: "waiting_for_gpu", result: "not yet" }));
    const run = await createClient().api.getRun("r");
    expect(run.status).toBe("waiting_for_gpu");
    expect(isFinal(run.status)).toBe(false);
    expect(run.result).toBeUndefined();
  });

  it.each([
    ["2026-11-22T10:59:59.064427", "2026-11-22T10:59:59.064Z"],
    ["2026-11-22T10:59:59Z", "2026-11-22T10:59:59.000Z"],
    ["2026-11-22T12:59:59+02:00", "2026-11-22T10:59:59.000Z"],
    ["2026-11-22 10:59:59.5+0000", "2026-11-22T10:59:59.500Z"],
  ])("has the time %s read as %s", async (wire, iso) => {
    answer(json({ status: "running", started_at: wire }));
    const { startedAt } = await createClient().api.getRun("r");
    expect(new Date(startedAt ?? 0).toISOString()).toBe(iso);
  });

  it("never shows more turns than the limit allows", async () => {
    answer(json({ status: "running", debug: { metadata: { current_turns: 12, max_turns: 10 } } }));
    expect(await createClient().api.getRun("r")).toMatchObject({ turn: 10, maxTurns: 10 });
  });

  it("brings no escape sequences and no control characters into the house", async () => {
    answer(
      json({ status: "completed", result: "a\u001b[31mred\u001b[0m\u0007\nb", session_name: "x\u202ey" }),
    );
    expect(await createClient().api.getRun("r")).toMatchObject({ result: "ared\nb", sessionName: "xy" });
  });

  it("tells how far the API's clock is ahead", async () => {
    answer(json({ runs: [] }, 200, { date: "Wed, 25 Nov 2026 12:00:30 GMT" }), EMPTY);
    const { api } = createClient();
    expect(api.clockOffsetMs()).toBe(0);
    await api.listRuns();
    expect(api.clockOffsetMs()).toBe(30_000);
    await api.listRuns();
    expect(api.clockOffsetMs()).toBe(30_000);
  });
});

describe("a read that fails for a passing reason", () => {
  const busy = json({ detail: "busy" }, 503);

  it("is tried again after growing pauses until it succeeds", async () => {
    answer(busy, drop, busy, EMPTY);
    const { api, clock } = createClient();
    expect(await clock.runOut(api.listRuns())).toEqual({ runs: [], last: true });
    expect(sent).toHaveLength(4);
    expect(clock.pauses).toEqual([187.5, 375, 750]);
  });

  it("is given up after the tries that the setting allows, or that the call does", async () => {
    answer(busy);
    const { api, clock } = createClient();
    expect(await failureOf(clock.runOut(api.listRuns()))).toMatchObject({ kind: "server_fault" });
    expect(sent).toHaveLength(4);
    await failureOf(api.listRuns({ retries: 0 }));
    expect(sent).toHaveLength(5);
  });

  it("waits between half and the whole of a pause that doubles up to 8 s", async () => {
    answer(busy);
    for (const [random, part] of [
      [0, 0.5],
      [1, 1],
    ] as const) {
      const { api, clock } = createClient({ maxRetries: 7, random: () => random });
      await failureOf(clock.runOut(api.listRuns()));
      const pauses = [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000];
      expect(clock.pauses).toEqual(pauses.map((ms) => ms * part));
    }
  });

  it("waits no longer however often it was tried", () => {
    expect(pauseAfter(5_000, { firstMs: 250, longestMs: 8_000 })).toBe(8_000);
  });

  it.each([
    ["in seconds", { "retry-after": "7" }, 7_000],
    ["as a date", { "retry-after": "Wed, 25 Nov 2026 12:00:09 GMT" }, 9_000],
    [
      "as a date of a server whose clock is an hour ahead",
      { "retry-after": "Wed, 25 Nov 2026 13:00:04 GMT", date: "Wed, 25 Nov 2026 13:00:00 GMT" },
      4_000,
    ],
    ["as a date that is past", { "retry-after": "Wed, 25 Nov 2026 11:00:00 GMT" }, 187.5],
    ["as nonsense", { "retry-after": "soon" }, 187.5],
  ])("waits as long as the API asks %s", async (_form, headers: Record<string, string>, pause) => {
    answer(json({ detail: "slow down" }, 429, headers), EMPTY);
    const { api, clock } = createClient();
    await clock.runOut(api.listRuns());
    expect(clock.pauses).toEqual([pause]);
  });

  it("is reported at once when the API asks for more patience than 30 s", async () => {
    answer(json({ detail: "slow down" }, 429, { "retry-after": "31" }));
    const { api, clock } = createClient();
    const error = await failureOf(api.listRuns());
    expect(error).toMatchObject({ kind: "rate_limited", retryAfterMs: 31_000 });
    expect(error.message).toContain("Try again in 31 s.");
    expect(clock.pauses).toEqual([]);
    expect(sent).toHaveLength(1);
  });

  it("stops at once when it is called off during a pause", async () => {
    answer(busy);
    const { api, clock } = createClient();
    const stop = new AbortController();
    const work = failureOf(api.listRuns({ signal: stop.signal }));
    await until(() => clock.pauses.length === 1, "the first pause");
    stop.abort();
    expect(await work).toMatchObject({ kind: "aborted", mayHaveActed: false });
    expect(sent).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  it("stops at once when it is called off during a request", async () => {
    answer(hang);
    const { api, clock } = createClient();
    const stop = new AbortController();
    const work = failureOf(api.listRuns({ signal: stop.signal }));
    await until(() => sent.length === 1, "the request");
    stop.abort();
    const error = await work;
    expect(error.kind).toBe("aborted");
    expect(error.message).toBe("Stopped while trying to list the runs. Nothing was changed.");
    expect(clock.pending()).toBe(0);
  });

  it("is not even sent when it was called off before", async () => {
    answer(EMPTY);
    const error = await failureOf(createClient().api.listRuns({ signal: AbortSignal.abort() }));
    expect(error.kind).toBe("aborted");
    expect(sent).toHaveLength(0);
  });

  it.each([400, 401, 403, 404, 409, 422])("is not tried again after %i", async (status) => {
    answer(json({ detail: "no" }, status));
    await failureOf(createClient().api.listRuns());
    expect(sent).toHaveLength(1);
  });
});

describe("a call that acts", () => {
  const calls: [string, (api: WorkflowsApi) => Promise<unknown>][] = [
    ["startRun", (api) => api.startRun(START)],
    ["addMessage", (api) => api.addMessage("r", "user", "hello")],
    ["killRun", (api) => api.killRun("r", false)],
    ["cleanupRun", (api) => api.cleanupRun("r", false)],
  ];
  const failures: [string, Answerer, boolean][] = [
    ["500", json({ detail: "oh" }, 500), true],
    ["503 with Retry-After", json({ detail: "oh" }, 503, { "retry-after": "1" }), true],
    ["a reset", drop, true],
    ["a redirect", redirect, true],
    ["503 that states that nothing was started", json({ detail: "oh", started: false }, 503), false],
    ["500 that states that nothing was started", json({ detail: "oh", started: false }, 500), false],
    ["503 that states the opposite", json({ detail: "oh", started: true }, 503), true],
    ["429", json({ detail: "oh" }, 429, { "retry-after": "1" }), false],
    ["422", json({ detail: "oh" }, 422), false],
  ];

  it.each(
    calls.flatMap(([name, call]) =>
      failures.map(([what, reply, open]) => [name, what, call, reply, open] as const),
    ),
  )("%s is sent once and never again after %s", async (_name, _what, call, reply, mayHaveActed) => {
    answer(reply);
    const { api, clock } = createClient({ maxRetries: 10 });
    expect(await failureOf(call(api))).toMatchObject({ mayHaveActed });
    expect(sent).toHaveLength(1);
    expect(clock.pauses).toEqual([]);
  });
});

describe("the time limit", () => {
  it("ends a request that gets no answer", async () => {
    answer(hang);
    const { api, clock } = createClient({ maxRetries: 0 });
    const read = failureOf(api.listRuns());
    await until(() => sent.length === 1, "the read");
    clock.advance(TIMEOUT_MS);
    expect(await read).toMatchObject({ kind: "unreachable", mayHaveActed: false });
    const start = failureOf(api.startRun(START));
    await until(() => sent.length === 2, "the start");
    clock.advance(TIMEOUT_MS);
    const error = await start;
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: true });
    expect(error.message).toContain(
      "did not answer within 5 s. It is not known whether the API has acted on it.",
    );
    expect(clock.pending()).toBe(0);
  });

  it("covers a body that comes slowly", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"runs": [');
    });
    const limits = { requestTimeoutMs: 300, maxRetries: 0, clock: systemClock };
    const error = await failureOf(createClient({ baseUrl: url, ...limits }).api.listRuns());
    expect(error).toMatchObject({ kind: "unreachable" });
    expect(error.message).toContain("did not answer within 0.3 s");
  });
});

describe("a connection", () => {
  it("that is refused means that nothing was done", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const error = await failureOf(createClient({ baseUrl: `http://127.0.0.1:${port}` }).api.startRun(START));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: false });
    expect(error.message).toContain("cannot be reached (ECONNREFUSED). Not started; nothing was charged.");
  });

  it("that is reset under way leaves open what was done", async () => {
    const url = await serve((request) => request.socket.resetAndDestroy());
    const error = await failureOf(createClient({ baseUrl: url }).api.startRun(START));
    expect(error).toMatchObject({ kind: "unreachable", mayHaveActed: true });
    expect(error.message).toContain("broke the connection");
  });

  const part = (code: string, syscall: string) =>
    Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  it.each([
    ["EHOSTUNREACH while connecting", part("EHOSTUNREACH", "connect"), false],
    ["EHOSTUNREACH on a connection that stood", part("EHOSTUNREACH", "read"), true],
    ["ETIMEDOUT while connecting", part("ETIMEDOUT", "connect"), false],
    ["ETIMEDOUT on a connection that stood", part("ETIMEDOUT", "write"), true],
    ["a name that cannot be resolved", part("EAI_AGAIN", "getaddrinfo"), false],
    [
      "every address in vain",
      Object.assign(new AggregateError([part("ETIMEDOUT", "connect")]), { code: "ETIMEDOUT" }),
      false,
    ],
    [
      "a certificate that is not trusted",
      Object.assign(new Error("no"), { code: "CERT_HAS_EXPIRED" }),
      false,
    ],
    ["a failure that nobody has a name for", new Error("?"), true],
  ])("fails by %s", async (_what, error, mayHaveActed) => {
    const spy = vi.spyOn(nodeHttp, "request").mockImplementation(() => {
      const request = Object.assign(new EventEmitter(), {
        end: () =>
          queueMicrotask(() => {
            request.emit("socket", new EventEmitter());
            request.emit("error", error);
          }),
      });
      return request as unknown as ClientRequest;
    });
    onTestFinished(() => spy.mockRestore());
    expect(await failureOf(createClient().api.startRun(START))).toMatchObject({
      kind: "unreachable",
      mayHaveActed,
    });
    expect(spy).toHaveBeenCalledTimes(1);
  });
});

describe("the list of workflows", () => {
  const missing = json({ detail: "Not Found" }, 404);
  const paths = () => sent.map(({ url }) => url.pathname.slice(ROUTER.length));

  it("is read from /manage; nameless entries and repetitions are left out", async () => {
    const entry = { name: "architect", description: "Designs", suggestedTurns: 0, maxTurns: null };
    answer(
      json([entry, { name: "" }, { description: "?" }, null, 5, { ...entry, description: "again" }, "plain"]),
    );
    expect(await createClient().api.listWorkflows()).toEqual([
      { name: "architect", description: "Designs", capabilities: [] },
      { name: "plain", description: "", capabilities: [] },
    ]);
    expect(paths()).toEqual(["/manage"]);
  });

  it.each([
    ["unknown", missing],
    ["not allowed", json({ detail: "Method Not Allowed" }, 405)],
  ])("comes from /workflows where /manage is %s", async (_how, refusal) => {
    answer(refusal, json({ workflows: [{ name: "brain", description: "Thinks" }] }));
    expect(await createClient().api.listWorkflows()).toMatchObject([{ name: "brain" }]);
    expect(paths()).toEqual(["/manage", "/workflows"]);
  });

  it("comes from the health check as a last resort, without those it calls unusable", async () => {
    answer(
      missing,
      missing,
      json({ status: "healthy", workflows: { brain: true, broken: false, lina: {} } }),
    );
    const names = (await createClient().api.listWorkflows()).map(({ name }) => name);
    expect(names).toEqual(["brain", "lina"]);
    expect(paths()).toEqual(["/manage", "/workflows", "/health"]);
  });

  it.each([401, 500])("is not looked for elsewhere when /manage answers %i", async (status) => {
    answer(json({ detail: "no" }, status));
    await failureOf(createClient({ maxRetries: 0 }).api.listWorkflows());
    expect(paths()).toEqual(["/manage"]);
  });
});

describe("a status in other words", () => {
  it.each([
    [
      "completed",
      ["completed", "COMPLETED", "Complete", "succeeded", "Success", "SUCCESSFUL", "done", "Finished"],
    ],
    [
      "failed",
      [
        "failed",
        "Failure",
        "error",
        "ERRORED",
        "crashed",
        "timed_out",
        "Timed Out",
        "timed-out",
        "TIMEOUT",
        "expired",
      ],
    ],
    ["killed", ["killed", "cancelled", "Canceled", "ABORTED", "stopped", "terminated", "interrupted"]],
  ])("is read as %s, in the run's status and in the list", async (status, words) => {
    for (const word of words) {
      answer(json({ run_id: "run-1", status: word }), json({ runs: [{ run_id: "run-1", status: word }] }));
      const { api } = createClient();
      expect(await api.getRun("run-1")).toMatchObject({ status });
      expect((await api.listRuns()).runs).toMatchObject([{ status }]);
      sent = [];
    }
    expect(isFinal(status)).toBe(true);
  });

  it.each(["paused", "waiting for input", "Queued", "succeeding", "not done", "rolled_back"])(
    "that nobody knows ends no run and is shown as it is: %s",
    async (word) => {
      answer(json({ run_id: "run-1", status: word }));
      const { status } = await createClient().api.getRun("run-1");
      expect(status).toBe(word);
      expect(isFinal(status)).toBe(false);
    },
  );

  it("says why a run has failed, where nothing else does", async () => {
    answer(json({ run_id: "run-1", status: "TIMED_OUT" }));
    expect((await createClient().api.getRun("run-1")).error).toBe('its status is "TIMED_OUT"');
  });

  it("of a start speaks of the start: no run is over before it was looked at", async () => {
    answer(json({ run_id: "run-1", status: "success" }));
    expect((await createClient().api.startRun(START)).status).toBe("pending");
    sent = [];
    answer(json({ run_id: "run-1", status: "Error", message: "no credit" }));
    expect(await createClient().api.startRun(START)).toMatchObject({ status: "failed", error: "no credit" });
  });
});

describe("ids that are numbers", () => {
  it("are read as they are written", async () => {
    const run = { run_id: 4711, status: "running", session_id: 12, claude_session_id: null };
    answer(
      json({ run_id: 4711, status: "pending" }),
      json({ ...run, questions: [{ question_id: 3, text: "Which?" }] }),
      json({ runs: [run] }),
    );
    const { api } = createClient();
    expect((await api.startRun(START)).runId).toBe("4711");
    const seen = await api.getRun("4711");
    expect(seen).toMatchObject({ runId: "4711", sessionId: "12", questions: [{ questionId: "3" }] });
    expect((await api.listRuns()).runs).toMatchObject([{ runId: "4711", sessionId: "12" }]);
  });

  it("count as not told where they are too large to be exact", async () => {
    answer(text('{"run_id":"run-1","status":"running","session_id":90071992547409931}'));
    expect(await createClient().api.getRun("run-1")).not.toHaveProperty("sessionId");
    sent = [];
    answer(text('{"run_id":90071992547409931,"status":"pending"}'));
    expect(await failureOf(createClient().api.startRun(START))).toMatchObject({ kind: "unexpected" });
  });
});

describe("the message of an error", () => {
  const SECRET = { "x-internal": "header-secret", "set-cookie": "session=cookie-secret" };
  const refuse = (status: number, detail = "the API's words", headers = {}) =>
    json({ detail }, status, { ...SECRET, ...headers });
  const cases: [ApiErrorKind, Answerer, RegExp][] = [
    [
      "unauthorised",
      refuse(401),
      /refused the key \(HTTP 401: "the API's words"\)\. Not started; nothing was charged\. Set AUTOMAGIK_WORKFLOWS_API_KEY/,
    ],
    [
      "unauthorised",
      refuse(403),
      /HTTP 403: "the API's words"\)\. Not started; nothing was charged\. Set AUTOMAGIK_WORKFLOWS_API_KEY/,
    ],
    [
      "not_found",
      refuse(404),
      /HTTP 404: "the API's words"\)\. Not started; nothing was charged\. Check the name or id/,
    ],
    [
      "refused",
      refuse(422),
      /HTTP 422: "the API's words"\)\. Not started; nothing was charged\. Put right what it names/,
    ],
    [
      "rate_limited",
      refuse(429),
      /HTTP 429: "the API's words"\)\. Not started; nothing was charged\. Try again in a while/,
    ],
    [
      "rate_limited",
      refuse(429, "x", { "retry-after": "90" }),
      /Not started; nothing was charged\. Try again in 90 s\./,
    ],
    [
      "server_fault",
      refuse(500),
      /HTTP 500: "the API's words"\)\. It is not known whether the API has acted on it\. Find out/,
    ],
    [
      "server_fault",
      text("<h1>Bad gateway</h1>", 502),
      /failed \(HTTP 502\)\. It is not known whether the API has acted/,
    ],
    ["unreachable", drop, /broke the connection\. It is not known .* Check that the API is running/],
    [
      "unexpected",
      text("<h1>Welcome</h1>"),
      /answered HTTP 200 with something that is not JSON.*It is not known .* Check that AUTOMAGIK_WORKFLOWS_BASE_URL/,
    ],
    [
      "unexpected",
      json({ status: "pending" }),
      /without the fields it needs \(run_id\)\. It is not known .* Check that/,
    ],
  ];

  it.each(cases)("%s says what was tried, what came of it and what to do", async (kind, reply, words) => {
    answer(reply);
    const error = await failureOf(createClient().api.startRun(START));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(/^Could not start workflow architect: /);
    expect(error.message).toMatch(words);
    expect(error.message).not.toMatch(/header-secret|cookie-secret|\n|node_modules|fetch failed|<h1>/);
    expect(error.message).not.toContain(KEY);
  });

  it("of a read says that nothing was changed", async () => {
    answer(refuse(500));
    const error = await failureOf(createClient({ maxRetries: 0 }).api.listRuns());
    expect(error.message).toMatch(
      /^Could not list the runs: .* Nothing was changed\. Try again in a while\.$/,
    );
  });

  it("hides the key when the API quotes it, and whatever would not stay on one short line", async () => {
    answer(refuse(401, `Key ${KEY} is\n\u001b[31mnot\u001b[0m known. ${"x".repeat(5_000)}`));
    const error = await failureOf(createClient().api.startRun(START));
    expect(error.reason).toMatch(/^Key <key> is not known\. x+…$/);
    expect(error.message.length).toBeLessThan(1_000);
    expect(JSON.stringify(error) + error.message).not.toContain(KEY);
  });
});
