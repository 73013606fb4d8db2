import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { AGENT_KINDS } from "../src/engine/agent/agent-kinds.js";
import { createEngineApp, type EngineAppOptions } from "../src/engine/http/app.js";
import { healthSchema, rootHealthSchema } from "../src/engine/http/health-schemas.js";
import * as schemas from "../src/engine/http/run-schemas.js";
import { serveEngine } from "../src/engine/http/serve.js";
import { cleanedUpSchema } from "../src/engine/http/work-schemas.js";
import { managedSchema } from "../src/engine/http/workflow-schemas.js";
import { EngineRefusal } from "../src/engine/types.js";
import { createWorkflowLibrary } from "../src/engine/workflows/workflow-library.js";
import { systemClock } from "../src/shared/clock.js";
import { readEvents } from "./contract/event-reader.js";
import {
  createFakeEngine,
  createFakeStore,
  type FakeEngine,
  type FakeRun,
  type FakeStore,
} from "./contract/fake-engine.js";
import { API, type Body } from "./contract/upstream.js";
import { createHandClock, type HandClock } from "./support/hand-clock.js";
import { asLongAs } from "./support/patient.js";

const KEY = { "x-api-key": "engine-key" };
const START = { message: "Add rate limiting", input_format: "stream-json" };
const QUESTION: FakeRun["questions"][number] = {
  questionId: "q1",
  kind: "question",
  askedAt: Date.parse("2026-11-25T12:00:01Z"),
  text: "Which database?",
  choices: [{ value: "pg", title: "PostgreSQL", description: "With JSON" }],
  multiSelect: false,
};

let clock: HandClock;
let store: FakeStore;
let engine: FakeEngine;
let errors: string[];
let ownFolder: string;

beforeEach(() => {
  clock = createHandClock();
  store = createFakeStore(clock.now);
  engine = createFakeEngine(store, clock.now);
  errors = [];
  ownFolder = mkdtempSync(join(tmpdir(), "automagik-test-"));
  onTestFinished(() => rmSync(ownFolder, { recursive: true, force: true }));
});

function createParts(options: Partial<EngineAppOptions> = {}) {
  const log = { debug() {}, info() {}, warn() {}, error: (message: string) => errors.push(message) };
  return createEngineApp({
    engine,
    runs: store,
    library: createWorkflowLibrary({
      shippedFolder: fileURLToPath(new URL("../workflows", import.meta.url)),
      ownFolder,
      clock,
    }),
    apiKey: "engine-key",
    clock,
    log: log as unknown as EngineAppOptions["log"],
    version: "1.2.3",
    ...options,
  });
}

const createApp = (options: Partial<EngineAppOptions> = {}) => createParts(options).app;

/** Asks the app without a server between. */
async function ask(
  method: string,
  path: string,
  options: { body?: unknown; headers?: Record<string, string>; app?: ReturnType<typeof createApp> } = {},
): Promise<{ status: number; body: Body; headers: Headers }> {
  const { body, headers = KEY, app = createApp() } = options;
  const response = await app.request(`http://localhost${path.startsWith("/api") ? "" : API}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

async function serve(options: Partial<EngineAppOptions> = {}) {
  const { app, clients } = createParts(options);
  const served = await serveEngine({ app, host: "127.0.0.1", port: 0 });
  onTestFinished(() => served.close());
  return {
    ...served,
    clients,
    events: (path = "/events", headers: Record<string, string> = {}) =>
      readEvents(`${served.url}${API}${path}`, { ...KEY, ...headers }),
  };
}

describe("a start over HTTP", () => {
  it("hands the engine what was asked, flags from the query and never from the body", async () => {
    await ask("POST", "/run/fix?auto_merge=true&persistent=0", {
      body: {
        ...START,
        session_id: "s1",
        session_name: "names",
        repository_url: "https://example.org/a.git",
        git_branch: "main",
        user_id: "u1",
        max_turns: 5,
        timeout: 60,
        temp_workspace: true,
      },
    });
    expect(JSON.parse(engine.calls[0]?.slice(6) ?? "")).toEqual({
      workflowName: "fix",
      message: START.message,
      sessionId: "s1",
      sessionName: "names",
      repositoryUrl: "https://example.org/a.git",
      gitBranch: "main",
      userId: "u1",
      maxTurns: 5,
      timeoutS: 60,
      persistent: false,
      autoMerge: true,
      tempWorkspace: false,
    });
  });

  it("takes empty and null fields for none", async () => {
    const none = {
      session_name: "",
      repository_url: null,
      git_branch: "",
      max_turns: null,
      session_id: null,
    };
    await ask("POST", "/run/fix", { body: { ...START, ...none } });
    expect(JSON.parse(engine.calls[0]?.slice(6) ?? "")).toEqual({
      workflowName: "fix",
      message: START.message,
      timeoutS: 7200,
      persistent: true,
      autoMerge: false,
      tempWorkspace: false,
    });
  });

  it("answers what the engine refuses with its status and words, and states that nothing was started", async () => {
    engine.fails(new EngineRefusal(503, "Claude Code is not installed. Nothing was started."));
    const refused = await ask("POST", "/run/fix", { body: START });
    expect([refused.status, refused.body]).toEqual([
      503,
      { detail: "Claude Code is not installed. Nothing was started.", started: false },
    ]);
    engine.fails(new EngineRefusal(404, "Workflow 'fix' not found"));
    expect((await ask("POST", "/run/fix", { body: START })).body).toEqual({
      detail: "Workflow 'fix' not found",
    });
  });

  it("tells nobody outside what went wrong inside", async () => {
    engine.fails(new Error("EACCES /home/me/secret"));
    expect(await ask("POST", "/run/fix", { body: START })).toMatchObject({
      status: 500,
      body: { detail: "Internal server error" },
    });
    expect(errors).toEqual([`POST ${API}/run/fix failed: EACCES /home/me/secret`]);
  });
});

describe("a run over HTTP", () => {
  it("never took less than no time, however the clock was set meanwhile", async () => {
    const run = engine.add({ startedAt: clock.now() + 3_600_000 });
    expect((await ask("GET", `/run/${run.runId}/status`)).body.execution_time_seconds).toBe(0);
    Object.assign(run, { status: "completed", endedAt: clock.now() });
    expect((await ask("GET", `/run/${run.runId}/status`)).body.execution_time_seconds).toBe(0);
    expect((await ask("GET", "/runs")).body.runs[0]).toMatchObject({
      execution_time: 0,
      execution_time_seconds: 0,
    });
  });

  it("tells how long its end and its cleaning up took, however the clock was set meanwhile", async () => {
    const { kill, cleanup } = engine;
    const takeAWhile = (byMs: number) => {
      clock.set(byMs);
      clock.advance(500);
    };
    Object.assign(engine, {
      kill: (...asked: Parameters<typeof kill>) => {
        takeAWhile(-3_600_000);
        return kill(...asked);
      },
      cleanup: (...asked: Parameters<typeof cleanup>) => {
        takeAWhile(3_600_000);
        return cleanup(...asked);
      },
    });
    const { runId } = engine.add();
    expect((await ask("POST", `/run/${runId}/kill`)).body).toMatchObject({
      kill_duration_ms: 500,
      message: expect.stringContaining("in 0.50s"),
    });
    expect((await ask("POST", `/run/${runId}/cleanup?force=true`)).body).toMatchObject({
      cleanup_duration_ms: 500,
    });
  });

  it("shows everything that the engine knows of it, as described", async () => {
    const run = engine.add({
      turn: 3,
      currentAction: "Bash: npm test",
      lastActivityAt: clock.now(),
      toolsUsed: ["Bash"],
      tokens: { input: 10, output: 5 },
      costUsd: 0.25,
      phasesCompleted: ["Read"],
      workspacePath: "/work/tree",
      questions: [
        { ...QUESTION, questionId: "q0", answeredAt: clock.now(), answeredBy: "timeout" },
        QUESTION,
      ],
    });
    run.request.repositoryUrl = "https://me:secret@example.org/a.git";
    clock.advance(2_500);
    const { body } = await ask("GET", `/run/${run.runId}/status?debug=true`);
    expect(schemas.statusSchema.strict().parse(body)).toMatchObject({
      status: "running",
      repository_url: "https://example.org/a.git",
      current_turn: 3,
      max_turns: null,
      current_action: "Bash: npm test",
      phases_completed: ["Read"],
      waiting_for: "question",
      questions: [{ question_id: "q1", text: "Which database?" }],
      execution_time_seconds: 2.5,
      metrics: { cost_usd: 0.25, tokens: { total: 15, input: 10, output: 5 }, tools_used: ["Bash"] },
      workspace_path: "/work/tree",
      debug: { metadata: { last_activity: "2026-11-25T12:00:00.000Z" } },
    });
    Object.assign(run, {
      status: "completed",
      endedAt: clock.now(),
      result: "Done.",
      commits: ["abc1234 Fix it"],
    });
    run.filesChanged = ["a.ts"];
    expect((await ask("GET", `/run/${run.runId}/status`)).body).toMatchObject({
      waiting_for: null,
      questions: [],
      current_action: null,
      result: {
        success: true,
        final_output: "Done.",
        files_changed: ["a.ts"],
        git_commits: ["abc1234 Fix it"],
      },
    });
    const list = schemas.pageSchema.parse(
      (await ask("GET", "/runs?status=timeout&user_id=u1&workflow_name=fix")).body,
    );
    expect(schemas.rowSchema.strict().parse(list.runs[0])).toMatchObject({
      git_repo: "https://example.org/a.git",
      git_diff_summary: "1 file changed",
      final_commit_hash: "abc1234",
    });
    expect(engine.calls).toEqual([
      `list ${JSON.stringify({ statuses: ["failed", "interrupted"], workflowName: "fix", userId: "u1" })}`,
    ]);
  });

  it("has no duration and no workspace before it begins", async () => {
    const { startedAt: _, ...waiting } = engine.add({ status: "pending" });
    store.runs.set(waiting.runId, waiting);
    clock.advance(1_000);
    expect((await ask("GET", `/run/${waiting.runId}/status`)).body).toMatchObject({
      status: "pending",
      execution_time_seconds: null,
      started_at: "2026-11-25T12:00:00.000Z",
      workspace_path: null,
    });
  });

  it("says what cleaning up has kept, and calls it a fault only when nothing went", async () => {
    const { runId } = engine.add({ status: "completed" });
    const kept = await ask("POST", `/run/${runId}/cleanup`);
    expect(cleanedUpSchema.strict().parse(kept.body)).toMatchObject({
      success: false,
      cleanup_details: { git_worktree_removed: false, errors: ["Uncommitted changes were kept."] },
    });
    expect((await ask("POST", `/run/${runId}/cleanup?force=true`)).body).toMatchObject({
      success: true,
      cleanup_details: { git_worktree_removed: true, workspace_path: "/work/tree", errors: [] },
      message: expect.stringContaining("The commits stay on branch main."),
    });
  });

  it("passes messages on without their margins", async () => {
    const { runId } = engine.add();
    const body = { message_type: "system", content: "\n Use Redis \n" };
    const answer = await ask("POST", `/run/${runId}/add-message`, { body });
    expect(schemas.queuedSchema.strict().parse(answer.body)).toMatchObject({
      queue_size: 1,
      queue_stats: { oldest_message_age: 0.5 },
    });
    expect(engine.calls).toEqual(["message system Use Redis"]);
  });
});

describe("questions over HTTP", () => {
  it("are listed with their answers, and answered", async () => {
    const { runId } = engine.add({ questions: [structuredClone(QUESTION)] });
    const path = `/run/${runId}/questions`;
    expect(schemas.questionsSchema.strict().parse((await ask("GET", path)).body)).toEqual({
      run_id: runId,
      questions: [
        {
          question_id: "q1",
          kind: "question",
          text: "Which database?",
          choices: [{ value: "pg", title: "PostgreSQL", description: "With JSON" }],
          multi_select: false,
          asked_at: "2026-11-25T12:00:01.000Z",
        },
      ],
    });
    const answered = await ask("POST", `${path}/q1/answer`, { body: { answer: " pg " } });
    expect(answered).toMatchObject({
      status: 200,
      body: { question_id: "q1", answer: "pg", answered_by: "person", answered_at: expect.any(String) },
    });
    expect((await ask("GET", path)).body.questions).toEqual([answered.body]);
    expect((await ask("POST", `${path}/q1/answer`, { body: { answer: "my" } })).status).toBe(409);
    expect((await ask("POST", `${path}/q2/answer`, { body: { answer: "my" } })).status).toBe(404);
    expect((await ask("POST", `${path}/q1/answer`, { body: { answer: " " } })).status).toBe(400);
    expect((await ask("POST", `${path}/q1/answer`, { body: {} })).body.detail).toMatchObject([
      { type: "missing", loc: ["body", "answer"] },
    ]);
    expect((await ask("GET", "/run/nobody/questions")).status).toBe(404);
  });
});

describe("the workflow library over HTTP", () => {
  const OWN = {
    name: "docs-writer",
    display_name: "Docs Writer",
    prompt_template: "You write clear user documentation.",
    allowed_tools: ["Read"],
    maxTurns: 40,
    suggestedTurns: "20",
  };

  it("creates, changes and removes a person's own", async () => {
    const created = await ask("POST", "/manage", { body: OWN });
    expect(created.status).toBe(200);
    expect(managedSchema.strict().parse(created.body)).toMatchObject({
      message: "Workflow 'docs-writer' created successfully",
      workflow: {
        name: "docs-writer",
        display_name: "Docs Writer",
        suggestedTurns: 20,
        is_system_workflow: false,
      },
    });
    expect((await ask("POST", "/manage", { body: OWN })).status).toBe(400);
    const change = { name: "docs-writer", description: "Writes manuals", maxTurns: null };
    expect(await ask("PUT", "/manage", { body: change })).toMatchObject({
      status: 200,
      body: { workflow: { description: "Writes manuals", display_name: "Docs Writer", maxTurns: null } },
    });
    expect((await ask("GET", "/manage")).body.at(-1)).toMatchObject({
      name: "docs-writer",
      path: "/workflows/docs-writer",
      description: "Writes manuals",
    });
    expect((await ask("GET", "/health")).body.workflows).toHaveProperty("docs-writer", true);
    expect(await ask("DELETE", "/manage?name=docs-writer")).toMatchObject({
      status: 200,
      body: { success: true, message: "Workflow 'docs-writer' deleted successfully", workflow: null },
    });
    expect((await ask("DELETE", "/manage?name=docs-writer")).status).toBe(404);
    expect((await ask("PUT", "/manage", { body: change })).status).toBe(404);
  });

  it("leaves those that came with the engine as they are", async () => {
    const before = (await ask("GET", "/manage")).body;
    for (const [method, path, body] of [
      ["POST", "/manage", { ...OWN, name: "fix" }],
      ["PUT", "/manage", { ...OWN, name: "fix" }],
      ["DELETE", "/manage?name=fix", undefined],
    ] as const) {
      expect((await ask(method, path, { body })).status).toBe(400);
    }
    expect((await ask("GET", "/manage")).body).toEqual(before);
  });

  it.each([
    [{ ...OWN, active: false }, 400],
    [{ ...OWN, mcp_config: { linear: {} } }, 400],
    [{ ...OWN, name: "../up" }, 400],
    [{ ...OWN, allowed_tools: "Read" }, 422],
    [{ ...OWN, permission_mode: "all" }, 422],
    [{ name: "docs-writer" }, 422],
  ])("refuses what it cannot keep: %j", async (body, status) => {
    expect((await ask("POST", "/manage", { body })).status).toBe(status);
    expect((await ask("GET", "/manage")).body.at(-1).name).toBe("review-codex");
  });

  it("wants a name to delete by", async () => {
    expect((await ask("DELETE", "/manage")).body).toEqual({
      detail: [{ type: "missing", loc: ["query", "name"], msg: "Field required", input: null }],
    });
  });
});

describe("health and description", () => {
  it("warns when the agent's program cannot be used", async () => {
    const app = createApp({
      agents: {
        all: AGENT_KINDS,
        isOffered: async () => true,
        find: async () => ({ ok: false, problem: "Claude Code is not logged in." }),
      },
    });
    expect(healthSchema.strict().parse((await ask("GET", "/health", { app })).body)).toMatchObject({
      status: "warning",
      agent_available: false,
      claude_cli_path: null,
      message: "Claude Code is not logged in.",
    });
  });

  it("promises to keep the key of a start only where runs outlive the engine", async () => {
    const describe = async (keyPrefix?: string) =>
      (await ask("GET", "/api/v1/openapi.json", { headers: {}, app: createApp({ keyPrefix }) })).body;
    const { parameters } = (await describe("db-1.")).paths[`${API}/run/{workflow_name}`].post;
    expect(parameters).toContainEqual(
      expect.objectContaining({ in: "header", name: "idempotency-key", "x-key-prefix": "db-1." }),
    );
    expect(JSON.stringify(await describe())).not.toContain("idempotency-key");
  });

  it("describes every path that there is, with what it takes and gives", async () => {
    const { body } = await ask("GET", "/api/v1/openapi.json", { headers: {} });
    expect(body.info.version).toBe("1.2.3");
    const own = ["/events", "/run/{run_id}/events", "/run/{run_id}/questions"];
    for (const path of own) expect(body.paths[API + path].get).toBeDefined();
    const { post } = body.paths[`${API}/run/{workflow_name}`];
    expect(post.parameters).toContainEqual(
      expect.objectContaining({
        in: "query",
        name: "temp_workspace",
        schema: expect.objectContaining({ type: "boolean" }),
      }),
    );
    expect(post.requestBody.content["application/json"].schema).toEqual({
      $ref: "#/components/schemas/StartRun",
    });
    const { properties, required } = body.components.schemas.StartRun;
    expect(required).toEqual(["message", "input_format"]);
    expect(properties.max_turns).toMatchObject({ type: ["integer", "null"], minimum: 1, maximum: 200 });
    expect(properties.timeout).toMatchObject({
      type: "integer",
      minimum: 60,
      maximum: 14_400,
      default: 7200,
    });
    expect(properties.input_format).toMatchObject({ enum: ["stream-json"] });
    expect(body.components.schemas.RunStatus.properties).toHaveProperty("waiting_for");
    expect(Object.keys(body.components.securitySchemes)).toEqual([
      "ApiKeyHeader",
      "ApiKeyQuery",
      "BearerAuth",
    ]);
  });
});

describe("who may ask", () => {
  const asHost = (host: string, headers = {}) =>
    ask("GET", "/runs", {
      headers: { ...KEY, host, ...headers },
      app: createApp({
        allowedHosts: ["Box.example", "box.local:9000"],
        allowedOrigins: ["https://ui.example"],
      }),
    });

  it.each([
    "localhost",
    "LOCALHOST:28881",
    "127.0.0.1:1",
    "[::1]",
    "[::1]:28881",
    "box.example:1",
    "box.local:9000",
  ])("answers under the name %s", async (host) => {
    expect((await asHost(host)).status).toBe(200);
  });

  it.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:80",
    "10.0.0.1",
    "box.local:9001",
    "[::2]",
  ])("refuses the name %s", async (host) => {
    expect(await asHost(host)).toMatchObject({ status: 403, body: { detail: "Host not allowed" } });
  });

  it("refuses pages of other origins, the health check included, and sends no header for them", async () => {
    for (const origin of ["https://evil.example", "null", "http://localhost:28881"]) {
      const { status, headers } = await asHost("localhost", { origin });
      expect(status).toBe(403);
      expect([...headers.keys()].filter((name) => /^access-control|^x-powered/.test(name))).toEqual([]);
    }
    expect((await asHost("localhost", { origin: "https://ui.example" })).status).toBe(200);
    const response = await createApp().request("http://localhost/health", {
      headers: { origin: "https://a.example" },
    });
    expect(response.status).toBe(403);
  });

  it("does not start without a key to ask for", () => {
    expect(() => createApp({ apiKey: " " })).toThrow("needs an API key");
  });

  it("counts as use what has shown the key, and nothing else", async () => {
    let used = 0;
    const app = createApp({ onRequest: () => used++ });
    for (const path of ["/health", "/api/v1/openapi.json", `${API}/runs`, "/nowhere"]) {
      for (const headers of [{}, { "x-api-key": "wrong" }]) {
        await app.request(`http://localhost${path}`, { headers });
      }
    }
    expect(used).toBe(0);
    await app.request(`http://localhost${API}/runs`, { headers: KEY });
    expect(used).toBe(1);
  });

  it("answers wrong keys later and later, tells of them in the log, and the right one at once", async () => {
    const warnings: string[] = [];
    const log = { debug() {}, info() {}, warn: (line: string) => warnings.push(line), error() {} };
    const { url } = await serve({
      clock: systemClock,
      log: log as unknown as EngineAppOptions["log"],
    });
    const ask = (key: string) => fetch(`${url}${API}/runs`, { headers: { "x-api-key": key } });
    for (let index = 0; index < 11; index++) expect((await ask(`wrong-${index}`)).status).toBe(401);
    const since = performance.now();
    const wrong = ask("wrong");
    expect((await ask("engine-key")).status).toBe(200);
    expect(await Promise.race([wrong, "not yet"])).toBe("not yet");
    const answer = await wrong;
    expect(performance.now() - since).toBeGreaterThan(450);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("connection")).toBe("close");
    expect(warnings).toEqual([expect.stringMatching(/^11 requests from \S*127\.0\.0\.1 had no valid token/)]);
  });

  it("refuses early what is nested too deep", async () => {
    const body = `{"message":"x","input_format":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    const response = await createApp().request(`http://localhost${API}/run/fix`, {
      method: "POST",
      headers: { ...KEY, "content-type": "application/json" },
      body,
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ detail: "The JSON is nested more than 100 levels deep" });
    expect(engine.calls).toEqual([]);
  });

  it("keeps places for who has the key, however many idle connections there are", async () => {
    const { url } = await serve();
    const sockets: Socket[] = [];
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let index = 0; index < 450; index++) {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.on("error", () => {});
      sockets.push(socket);
      await once(socket, "connect");
    }
    expect((await fetch(`${url}${API}/runs`, { headers: KEY })).status).toBe(200);
    await expect
      .poll(() => sockets.filter((one) => !one.destroyed && !one.readableEnded).length)
      .toBeLessThan(100);
  });

  it("refuses a wrong Host on a real connection too", async () => {
    const { url } = await serve();
    const status = await new Promise((resolve, reject) => {
      request(`${url}/health`, { headers: { host: "evil.example" } }, (response) =>
        resolve(response.statusCode),
      )
        .on("error", reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

describe("events over HTTP", () => {
  it("stand at once and say where they begin", async () => {
    const run = engine.add();
    store.emit(run, "started");
    const reader = await (await serve()).events();
    expect(reader.response.headers.get("content-type")).toBe("text/event-stream");
    expect(await reader.count(1)).toMatchObject([
      { id: 1, event: "open", data: { newest_id: 1, gap: false } },
    ]);
  });

  it("carry each event with the run as its status shows it, none left out", async () => {
    const run = engine.add();
    const server = await serve();
    const reader = await server.events();
    await reader.count(1);
    for (let turn = 1; turn <= 5; turn++) {
      run.turn = turn;
      store.emit(run, "turn", { turn });
    }
    Object.assign(run, { status: "completed", endedAt: clock.now(), result: "Done." });
    store.emit(run, "ended");
    const [, ...events] = await reader.count(7);
    expect(events.map(({ id, event, data }) => [id, event, data.type, data.run.current_turn])).toEqual([
      [1, "run", "turn", 1],
      [2, "run", "turn", 2],
      [3, "run", "turn", 3],
      [4, "run", "turn", 4],
      [5, "run", "turn", 5],
      [6, "run", "finished", 5],
    ]);
    const last = schemas.runEventSchema.strict().parse(events[5]?.data);
    expect(last).toMatchObject({
      at: "2026-11-25T12:00:00.000Z",
      run_id: run.runId,
      data: { status: "completed" },
    });
    const response = await fetch(`${server.url}${API}/run/${run.runId}/status?debug=true`, { headers: KEY });
    expect(last.run).toEqual(await response.json());
    expect(events[0]?.data.run.result).toBeNull();
    expect(last.run?.result?.final_output).toBe("Done.");
  });

  it("resume after the last one that was seen", async () => {
    const run = engine.add();
    for (let n = 0; n < 4; n++) store.emit(run, "turn", { turn: n });
    const server = await serve();
    const reader = await server.events("/events", { "last-event-id": "2" });
    await reader.count(3);
    store.emit(run, "turn", { turn: 4 });
    expect((await reader.count(4)).map(({ id, data }) => [id, data.data ?? data])).toEqual([
      [2, { newest_id: 4, gap: false }],
      [3, { turn: 2 }],
      [4, { turn: 3 }],
      [5, { turn: 4 }],
    ]);
  });

  it("lose and double nothing for a client that breaks off again and again", async () => {
    const run = engine.add();
    const server = await serve();
    const seen: number[] = [];
    let last = "0";
    for (let round = 0; round < 10; round++) {
      const reader = await server.events("/events", { "last-event-id": last });
      for (let n = 0; n < 20; n++) {
        store.emit(run, "turn");
        if (n % 5 === 0) await new Promise(setImmediate);
      }
      const events = (await reader.count(2 + round)).filter(({ event }) => event === "run");
      reader.stop();
      await reader.ended;
      seen.push(...events.map(({ id }) => id ?? 0));
      last = String(seen.at(-1) ?? 0);
    }
    expect(seen.length).toBeGreaterThan(50);
    expect(seen).toEqual(seen.map((_, index) => index + 1));
  });

  it.each(["1", "99", "soon", "99999999999999999999"])("tell of a gap after %s", async (last) => {
    const run = engine.add();
    for (let n = 0; n < 5; n++) store.emit(run, "turn");
    store.forget(3);
    const reader = await (await serve()).events("/events", { "last-event-id": last });
    const [open] = await reader.count(1);
    expect(open).toMatchObject({ id: 5, event: "open", data: { newest_id: 5, gap: true } });
  });

  it("of one run are of no other, and of no run there are none", async () => {
    const [one, other] = [engine.add(), engine.add()];
    const server = await serve();
    const reader = await server.events(`/run/${one.runId}/events`);
    await reader.count(1);
    for (const run of [other, one, other, one]) store.emit(run, "turn");
    expect((await reader.count(3)).slice(1).map(({ id }) => id)).toEqual([2, 4]);
    const unknown = await fetch(`${server.url}${API}/run/nobody/events`, { headers: KEY });
    expect(unknown.status).toBe(404);
    expect((await fetch(`${server.url}${API}/events`)).status).toBe(401);
    const head = await fetch(`${server.url}${API}/events`, { method: "HEAD", headers: KEY });
    expect(head.status).toBe(405);
  });

  it("are so many at most that there is room for everything else", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on("warning", note);
    onTestFinished(() => void process.off("warning", note));
    const server = await serve();
    const open = () => fetch(`${server.url}${API}/events`, { headers: KEY });
    // Held: a response that nobody has any more is collected, and its stream ends.
    const opened: Response[] = [];
    for (let index = 0; index < 105; index++) opened.push(await open());
    expect(opened.filter(({ status }) => status === 200)).toHaveLength(100);
    const refused = await open();
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toEqual({ detail: "Too many streams of events: 100 are open." });
    expect((await fetch(`${server.url}${API}/runs`, { headers: KEY })).status).toBe(200);
    // Each listens for the end of the server, and none of them is one too many.
    expect(warnings).toEqual([]);
    expect(opened).toHaveLength(105);
  });

  it("are kept alive by a comment every 15 s", async () => {
    const reader = await (await serve()).events();
    await reader.count(1);
    clock.advance(14_999);
    clock.advance(1);
    await expect.poll(() => reader.comments).toEqual(["keep-alive"]);
    clock.advance(15_000);
    await expect.poll(() => reader.comments).toHaveLength(2);
  });

  it("let go of the store when the reader has gone", async () => {
    let requests = 0;
    const server = await serve({ onRequest: () => requests++ });
    const readers = [await server.events(), await server.events()];
    for (const reader of readers) await reader.count(1);
    expect([store.listeners(), clock.pending(), server.clients()]).toEqual([2, 2, 2]);
    const health = await (await fetch(`${server.url}/health`)).json();
    expect(rootHealthSchema.strict().parse(health)).toMatchObject({ active_runs: 0, clients: 2 });
    readers[0]?.stop();
    await expect.poll(() => [store.listeners(), clock.pending(), server.clients()]).toEqual([1, 1, 1]);
    readers[1]?.stop();
    await expect.poll(() => [store.listeners(), clock.pending(), server.clients()]).toEqual([0, 0, 0]);
    // Whoever asks for health without the key is no client.
    expect(requests).toBe(2);
  });

  it("end for a reader that does not read, and it finds the rest when it resumes", async () => {
    const run = engine.add({ phasesCompleted: ["x".repeat(10_000)] });
    const server = await serve();
    const response = await fetch(`${server.url}${API}/events`, { headers: KEY });
    await expect.poll(() => store.listeners()).toBe(1);
    let sent = 0;
    // What the connection's buffers take is the system's choice.
    while (store.listeners() === 1 && sent < 20_000) {
      for (let n = 0; n < 100; n++, sent++) store.emit(run, "turn");
      await new Promise(setImmediate);
    }
    expect(store.listeners()).toBe(0);
    const ids = [...(await response.text()).matchAll(/^id: (\d+)\nevent: run/gm)].map((match) =>
      Number(match[1]),
    );
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    expect(ids.length).toBeLessThan(sent);
    const reader = await server.events("/events", { "last-event-id": String(ids.length) });
    expect((await reader.count(2))[1]?.id).toBe(ids.length + 1);
  });

  it("reach the client within a few milliseconds", async () => {
    const run = engine.add();
    const reader = await (await serve()).events();
    await reader.count(1);
    const delays: number[] = [];
    for (let n = 0; n < 50; n++) {
      const sent = performance.now();
      store.emit(run, "turn");
      await reader.count(n + 2);
      delays.push((reader.events.at(-1)?.at ?? Number.NaN) - sent);
    }
    const median = delays.sort((a, b) => a - b)[25] ?? Number.NaN;
    expect(median).toBeLessThan(await asLongAs(20));
  });
});

describe("stopping", () => {
  it("ends streams and connections within a second", async () => {
    const server = await serve();
    const reader = await server.events();
    await reader.count(1);
    const began = performance.now();
    await Promise.all([server.close(), server.close()]);
    expect(await reader.ended).toBe("ended");
    expect(performance.now() - began).toBeLessThan(await asLongAs(1_000));
    expect(store.listeners()).toBe(0);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });

  it("does not wait for a client that never finishes its request", async () => {
    const server = await serve();
    const hanging = request(`${server.url}${API}/run/fix`, {
      method: "POST",
      headers: { ...KEY, "content-type": "application/json", "content-length": 100 },
    });
    // However the client is told: what counts is that the connection ends, and the server with it.
    const over = new Promise((resolve) => hanging.on("error", () => {}).on("close", resolve));
    const connected = new Promise<void>((resolve) => {
      hanging.on("socket", (socket) => {
        if (socket.connecting) socket.once("connect", resolve);
        else resolve();
      });
    });
    hanging.write("{");
    await connected;
    await server.close();
    await over;
  });

  it("says when the port cannot be had", async () => {
    const { url } = await serve();
    const port = Number(new URL(url).port);
    await expect(serveEngine({ app: createApp(), host: "127.0.0.1", port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });
});
