import { describe, expect, it, vi } from "vitest";
import { createHandlers } from "../mocks/handlers.js";
import { type ApiOptions, createSimulatedApi, type SimulatedApi } from "../mocks/http.js";
import { type ServedApi, serveSimulatedApi } from "../mocks/serve.js";
import { useSimulatedApi } from "../mocks/vitest.js";
import { createHandClock } from "../mocks/world.js";

const BASE = "/api/v1/workflows/claude-code";
const KEY = { "x-api-key": "test-key" };
const START = { message: "Add rate limiting", input_format: "stream-json", max_turns: 10 };

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
type Body = any;

function createClient(options: ApiOptions = {}) {
  const clock = createHandClock();
  const api = createSimulatedApi({ clock, ...options });
  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> {
    const headers = { ...KEY, "content-type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await api.handle(new Request(`http://localhost${BASE}${path}`, init));
    return { status: response.status, body: await response.json() };
  }
  return {
    api,
    clock,
    get: (path: string) => call("GET", path),
    post: (path: string, body?: unknown) => call("POST", path, body),
    async start(body: object = START, workflow = "implement"): Promise<Body> {
      const answer = await call("POST", `/run/${workflow}`, body);
      expect(answer.status).toBe(200);
      return answer.body;
    },
  };
}

describe("a run under the contract", () => {
  it("shows its turns and actions live and ends with a result", async () => {
    const { api, clock, start, get } = createClient();
    api.world.script({
      actions: ["Reading the code", "Designing database schema"],
      paceMs: 1000,
      result: "Two tables.",
      costUsd: 0.2,
      filesChanged: ["schema.sql"],
      commits: ["3f9c2ab"],
    });
    const { run_id, status, session_id, started_at } = await start();
    expect(status).toBe("pending");
    expect(started_at).toMatch(/Z$/);

    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
      status: "running",
      session_id,
      claude_session_id: session_id,
      current_turn: 0,
      current_action: null,
      max_turns: 10,
      result: null,
    });
    clock.advance(2000);
    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
      current_turn: 2,
      current_action: "Designing database schema",
      phases_completed: ["Reading the code"],
      execution_time_seconds: 2,
      progress: { turns: 2, max_turns: 10, is_running: true },
      metrics: { cost_usd: 0.2, tools_used: ["Read"] },
    });
    expect((await get("/runs")).body.runs).toMatchObject([
      { run_id, session_id, status: "running", turns: 2 },
    ]);
    clock.advance(1000);
    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
      status: "completed",
      current_action: null,
      completed_at: new Date(clock.now()).toISOString(),
      progress: { turns: 2, max_turns: 10, is_running: false },
      metrics: { cost_usd: 0.2 },
      result: {
        success: true,
        completion_type: "completed",
        final_output: "Two tables.",
        files_changed: ["schema.sql"],
        git_commits: ["3f9c2ab"],
      },
    });
  });

  it("takes six stock turns unless scripted, cut to the turn limit", async () => {
    const { clock, start, get } = createClient();
    const long = await start({ ...START, max_turns: 50 });
    const short = await start({ ...START, max_turns: 2 });
    clock.advance(60_000);
    const turns = async (run: Body) => (await get(`/run/${run.run_id}/status`)).body;
    expect(await turns(long)).toMatchObject({ status: "completed", current_turn: 6 });
    const { result, ...rest } = await turns(short);
    expect(rest).toMatchObject({ status: "completed", current_turn: 2 });
    expect(result.message).not.toContain("limit of");
  });

  it("says so when a script runs into the turn limit", async () => {
    const { api, clock, start, get } = createClient();
    api.world.script({ actions: ["a", "b", "c", "d"], paceMs: 10 });
    const { run_id } = await start({ ...START, max_turns: 3 });
    clock.advance(1000);
    const { body } = await get(`/run/${run_id}/status`);
    expect(body).toMatchObject({ status: "completed", current_turn: 3 });
    expect(body.result.message).toContain("limit of 3 turns");
  });

  it("explains a failure in its status", async () => {
    const { api, clock, start, get } = createClient({
      script: { outcome: "failed", error: "No disk space" },
    });
    const { run_id } = await start();
    clock.advance(60_000);
    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
      status: "failed",
      error_message: "No disk space",
      result: { success: false, message: "No disk space" },
    });
    expect(() => api.world.run(run_id).turn()).toThrow("cannot move");
  });

  it("takes up a message at its next turn and tells of it at the end", async () => {
    const { api, start, get, post } = createClient({ script: { manual: true } });
    const { run_id } = await start();
    expect((await get(`/run/${run_id}/message-queue`)).body.queue_stats).toMatchObject({ total_added: 0 });
    const message = { message_type: "user", content: "Use Redis" };
    expect((await post(`/run/${run_id}/add-message`, message)).body).toMatchObject({
      success: true,
      queue_size: 1,
    });
    const counters = async () => (await get(`/run/${run_id}/message-queue`)).body.queue_stats;
    expect(await counters()).toMatchObject({ current_size: 1, total_added: 1, total_consumed: 0 });
    api.world.run(run_id).turn();
    expect(await counters()).toMatchObject({ current_size: 0, total_added: 1, total_consumed: 1 });
    api.world.run(run_id).complete({ result: "Done." });
    const { result } = (await get(`/run/${run_id}/status`)).body;
    expect(result.final_output).toBe("Done.\n\nTaken up on the way: Use Redis");
  });

  it("stays killed, and cannot be killed when it has ended", async () => {
    const { clock, start, get, post } = createClient();
    const { run_id } = await start();
    clock.advance(1500);
    expect((await post(`/run/${run_id}/kill`)).body).toMatchObject({
      success: true,
      kill_method: "graceful",
    });
    clock.advance(60_000);
    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({ status: "killed", current_turn: 1 });
    expect(await post(`/run/${run_id}/kill`)).toEqual({
      status: 409,
      body: { detail: `Run ${run_id} is already killed` },
    });
    expect((await get("/runs?status=killed")).body.runs).toMatchObject([{ run_id, status: "killed" }]);
    expect((await post(`/run/${run_id}/cleanup`)).body).toMatchObject({
      success: true,
      cleanup_details: { workspace_removed: true, errors: [] },
    });
  });

  it("continues a session with its name and repository", async () => {
    const { start, get, post } = createClient();
    const repository_url = "https://github.com/example/demo.git";
    const first = await start({ ...START, session_name: "limits", repository_url, git_branch: "main" });
    const next = await start({ ...START, session_id: first.session_id }, "review");
    expect(next.session_id).toBe(first.session_id);
    expect((await get(`/run/${next.run_id}/status`)).body).toMatchObject({
      session_id: first.session_id,
      session_name: "limits",
      repository_url,
      git_branch: "main",
    });
    expect(await post("/run/review", { ...START, session_id: "nobody" })).toEqual({
      status: 404,
      body: { detail: "Session nobody not found" },
    });
  });

  it("is refused unless input_format is stream-json", async () => {
    const { post, api } = createClient();
    const { input_format: _, ...without } = START;
    const absent = await post("/run/implement", without);
    expect(absent).toMatchObject({
      status: 422,
      body: { detail: [{ type: "missing", loc: ["body", "input_format"] }] },
    });
    const text = await post("/run/implement", { ...START, input_format: "text" });
    expect(text).toMatchObject({ status: 422, body: { detail: [{ type: "literal_error", input: "text" }] } });
    expect(api.world.runs()).toEqual([]);
  });

  it("shows whatever status a test gives it", async () => {
    const { api, clock, start, get } = createClient({ paceMs: "manual" });
    const { run_id } = await start();
    api.world.run(run_id).setStatus("paused");
    clock.advance(60_000);
    expect((await get(`/run/${run_id}/status`)).body.status).toBe("paused");
    api.world.run(run_id).setStatus("pending");
    expect((await get(`/run/${run_id}/status`)).body.status).toBe("pending");
  });

  it("fails when the server is restarted, and its messages are lost", async () => {
    const { api, start, get, post } = createClient({ paceMs: "manual" });
    const { run_id } = await start();
    await post(`/run/${run_id}/add-message`, { message_type: "user", content: "Hello" });
    api.world.restart();
    expect((await get(`/run/${run_id}/status`)).body.status).toBe("failed");
    expect((await get(`/run/${run_id}/message-queue`)).body.queue_stats.total_added).toBe(0);
  });

  it("goes as the script function says for each start", async () => {
    const { api, clock, start, get } = createClient();
    api.world.script(({ workflowName, ordinal }) =>
      workflowName === "fix" ? { outcome: "failed", actions: [] } : { result: `Run ${ordinal}` },
    );
    const good = await start();
    const bad = await start(START, "fix");
    clock.advance(60_000);
    expect((await get(`/run/${good.run_id}/status`)).body.result.message).toBe("Run 1");
    expect((await get(`/run/${bad.run_id}/status`)).body).toMatchObject({
      status: "failed",
      current_turn: 0,
    });
  });
});

describe("a paced run of the public server", () => {
  it("shows live turns and the session only in debug, and loses the session at the end", async () => {
    const { clock, start, get } = createClient({ profile: "automagik-0.6", script: { paceMs: 500 } });
    const { run_id, session_id } = await start({ message: "Go", input_format: "text" }, "builder");
    clock.advance(1000);
    const running = (await get(`/run/${run_id}/status?debug=true`)).body;
    expect(running.progress.turns).toBe(0);
    expect(running.debug.metadata.current_turns).toBe(2);
    const real = running.debug.metadata.claude_session_id;
    expect(real).not.toBe(session_id);
    clock.advance(10_000);
    const done = (await get(`/run/${run_id}/status?debug=true`)).body;
    expect(done).toMatchObject({ status: "completed", progress: { turns: 6, max_turns: null } });
    expect(done.debug.metadata).not.toHaveProperty("claude_session_id");

    const resumed = await start({ message: "Go on", input_format: "text", session_id: real }, "builder");
    clock.advance(10_000);
    expect((await get(`/run/${resumed.run_id}/status`)).body.progress.turns).toBe(6);
  });

  it("hangs for ever with stream-json", async () => {
    const { api, clock, start, get } = createClient({ profile: "automagik-0.6" });
    const { run_id } = await start(START, "builder");
    clock.advance(24 * 3_600_000);
    expect((await get(`/run/${run_id}/status`)).body).toMatchObject({
      status: "running",
      progress: { turns: 0 },
    });
    expect(() => api.world.run(run_id).turn()).toThrow("hung");
  });
});

describe("discovery", () => {
  it.each([
    ["manage", [200, 404]],
    ["workflows", [404, 200]],
    ["health", [404, 404]],
  ] as const)("offers the workflows at %s", async (discovery, statuses) => {
    const { get } = createClient({ discovery });
    expect([(await get("/manage")).status, (await get("/workflows")).status]).toEqual(statuses);
    expect((await get("/health")).body.workflows).toHaveProperty("architect", true);
  });

  it("lists the contract's workflows, and follows changes of them", async () => {
    const { api, get } = createClient();
    const names = async () => (await get("/manage")).body.map((row: Body) => row.name);
    expect(await names()).toEqual([
      "architect",
      "implement",
      "test",
      "review",
      "fix",
      "refactor",
      "document",
    ]);
    api.world.workflows.remove("fix");
    api.world.workflows.add({ name: "translate", description: "Translate texts" });
    expect(await names()).toEqual(expect.arrayContaining(["translate"]));
    expect(await names()).not.toContain("fix");
  });

  it("describes itself below a prefix when told to, and needs no key for that or the root's health", async () => {
    const api = createSimulatedApi({ describe: true, basePath: `/team${BASE}` });
    const get = (path: string) => api.handle(new Request(`http://localhost${path}`));
    const { paths } = (await (await get("/team/api/v1/openapi.json")).json()) as Body;
    expect(Object.keys(paths)).toContain(`/team${BASE}/run/{workflow_name}`);
    expect((await get("/team/health")).status).toBe(200);
    expect((await get(`/team${BASE}/health`)).status).toBe(401);
    expect(api.requests.map((request) => request.path)).toEqual([
      "root:/api/v1/openapi.json",
      "root:/health",
      "/health",
    ]);
  });
});

describe("the record of requests", () => {
  it("keeps method, path, query, body and headers in order, refused ones too", async () => {
    const { api, clock, get, post, start } = createClient();
    const { run_id } = await start();
    await get("/runs?page=2");
    await post(`/run/${run_id}/kill`);
    await post("/run/nothing", { message: "?" });
    expect(api.requests[0]).toMatchObject({
      method: "POST",
      path: "/run/implement",
      body: START,
      headers: { "x-api-key": "test-key" },
      at: clock.now(),
    });
    expect(api.requests[1]).toMatchObject({ method: "GET", path: "/runs", query: { page: "2" }, body: null });
    expect(api.posts("/run/").map(({ path }) => path)).toEqual(["/run/implement", "/run/nothing"]);
    expect(api.posts("/run/*/kill")).toHaveLength(1);
    expect(api.posts(/^\/run\//)).toHaveLength(3);
  });

  it("can be waited for, before and after the request", async () => {
    const { api, get } = createClient();
    const coming = api.waitFor(({ path }) => path === "/manage");
    await get("/runs");
    await get("/manage");
    expect((await coming).path).toBe("/manage");
    expect((await api.waitFor(({ path }) => path === "/runs")).path).toBe("/runs");
    await expect(api.waitFor(({ path }) => path === "/never", 5)).rejects.toThrow("GET /runs, GET /manage");
  });
});

/** The same client behaviour over MSW and over a real socket. */
function faultsOver(open: () => Promise<{ api: SimulatedApi; url: string; close(): Promise<void> }>): void {
  async function withApi(test: (api: SimulatedApi, call: typeof fetch) => Promise<void>): Promise<void> {
    const { api, url, close } = await open();
    try {
      await test(api, (path, init) => fetch(`${url}${BASE}${path}`, { headers: KEY, ...init }));
    } finally {
      await close();
    }
  }
  const start = {
    method: "POST",
    headers: { ...KEY, "content-type": "application/json" },
    body: JSON.stringify(START),
  };

  it("answers", () =>
    withApi(async (api, call) => {
      const response = await call("/run/implement", start);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.json()).toMatchObject({ run_id: api.world.runs()[0]?.runId });
      expect((await call("/runs")).status).toBe(200);
    }));

  it("drops a connection before the server has acted", () =>
    withApi(async (api, call) => {
      api.fault({ method: "POST" }, { drop: "before" }, 1);
      await expect(call("/run/implement", start)).rejects.toThrow(TypeError);
      expect(api.world.runs()).toHaveLength(0);
      expect(api.posts("/run/")).toHaveLength(1);
      expect((await call("/run/implement", start)).status).toBe(200);
    }));

  it("drops a connection after the server has acted", () =>
    withApi(async (api, call) => {
      api.fault({ path: "/run/" }, { drop: "after" });
      await expect(call("/run/implement", start)).rejects.toThrow(TypeError);
      expect(api.world.runs()).toHaveLength(1);
    }));

  it("hangs until the client gives up", () =>
    withApi(async (api, call) => {
      api.fault({ path: "/runs" }, { hang: true });
      const giveUp = new AbortController();
      const call1 = call("/runs", { headers: KEY, signal: giveUp.signal });
      await api.waitFor(({ path }) => path === "/runs");
      giveUp.abort(new Error("enough"));
      await expect(call1).rejects.toThrow("enough");
    }));

  it("delays an answer", () =>
    withApi(async (api, call) => {
      api.fault({ path: "/runs" }, { delayMs: 60 });
      const begun = performance.now();
      expect((await call("/runs")).status).toBe(200);
      // Timers may fire a little early by the clock that is read here.
      expect(performance.now() - begun).toBeGreaterThan(55);
      await api.settled();
    }));

  it("answers with another status, with and without having acted", () =>
    withApi(async (api, call) => {
      const undo = api.fault({ method: "POST" }, { status: 503, headers: { "retry-after": "2" } });
      const refused = await call("/run/implement", start);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
      expect(api.world.runs()).toHaveLength(0);
      undo();
      api.fault({ method: "POST" }, { status: 502, body: "<html>Bad gateway</html>", act: true }, 1);
      expect(await (await call("/run/implement", start)).text()).toContain("Bad gateway");
      expect(api.world.runs()).toHaveLength(1);
      expect((await call("/run/implement", start)).status).toBe(200);
    }));
}

describe("behind MSW", () => {
  const simulated = useSimulatedApi();
  faultsOver(async () => ({ api: simulated.api(), url: simulated.baseUrl, close: async () => {} }));

  it("is a fresh one for every test", () => {
    expect(simulated.api().requests).toEqual([]);
  });

  it("refuses requests to anything else", async () => {
    const complaint = vi.spyOn(console, "error").mockImplementation(() => {});
    await expect(fetch("http://localhost:28882/")).rejects.toThrow();
    expect(complaint.mock.calls.flat().join()).toContain("without a matching request handler");
    complaint.mockRestore();
  });

  it("can be put behind a prefix that is taken off", async () => {
    const api = createSimulatedApi();
    simulated.server.use(...createHandlers(api, "http://proxy.test/tools"));
    const response = await fetch(`http://proxy.test/tools${BASE}/run/implement`, {
      method: "POST",
      headers: { ...KEY, "content-type": "application/json" },
      body: JSON.stringify(START),
    });
    expect(response.status).toBe(200);
    expect(api.requests).toMatchObject([{ path: "/run/implement", body: START }]);
  });
});

describe("on a real port", () => {
  const open = (): Promise<ServedApi> => serveSimulatedApi();
  faultsOver(open);

  it("refuses a body that is too large", async () => {
    const { url, api, close } = await open();
    const body = JSON.stringify({ ...START, message: "x".repeat(2 * 1024 * 1024) });
    const response = await fetch(`${url}${BASE}/run/implement`, { method: "POST", headers: KEY, body });
    expect(response.status).toBe(413);
    expect(api.requests).toEqual([]);
    await close();
  });

  it("closes at once although a request hangs", async () => {
    const { url, api, close } = await open();
    api.fault({}, { hang: true });
    const hanging = fetch(`${url}/health`);
    await api.waitFor(() => true);
    await Promise.all([expect(hanging).rejects.toThrow(TypeError), close()]);
    await expect(fetch(`${url}/health`)).rejects.toThrow(TypeError);
  });
});
