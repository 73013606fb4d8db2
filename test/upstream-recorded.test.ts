import { readdirSync, readFileSync } from "node:fs";
import { HttpResponse, http } from "msw";
import { setupServer } from "msw/node";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createHandlers } from "../mocks/handlers.js";
import { createSimulatedApi } from "../mocks/http.js";
import { createHandClock } from "../mocks/world.js";
import { createApiClient, type WorkflowsApi } from "../src/api/client.js";
import type { ApiError, ApiErrorKind } from "../src/api/errors.js";
import type { Run } from "../src/api/types.js";
import { mergeRun } from "../src/runs/merge-run.js";
import { looksRefused } from "../src/runs/run-facts.js";
import { createHandClock as createTimerClock } from "./support/hand-clock.js";

interface Recording {
  request: { method: string; path: string; query: Record<string, string>; body: unknown };
  // biome-ignore lint/suspicious/noExplicitAny: recorded bodies are looked at field by field
  response: { status: number; headers: Record<string, string>; body: any };
}

const FOLDER = new URL("./fixtures/upstream/", import.meta.url);
const ROUTER = "/api/v1/workflows/claude-code";
const BASE_URL = "http://localhost:28881";
const KEY = "recorded-key-that-stays-secret";

const UNMANAGED = "workflows are never created, changed or deleted by the product";
const SKIPPED: Record<string, string> = {
  "openapi.json": "a schema, not an exchange",
  "root-health.json": "the health check beside the API is not in use",
  "workflow-create-missing-422.json": UNMANAGED,
  "workflow-create-over-system.json": UNMANAGED,
  "workflow-created.json": UNMANAGED,
  "workflow-delete-name-missing-422.json": UNMANAGED,
  "workflow-delete-system-400.json": UNMANAGED,
  "workflow-delete-unknown-404.json": UNMANAGED,
  "workflow-deleted.json": UNMANAGED,
  "workflow-update-system-400.json": UNMANAGED,
  "workflow-update-unknown-404.json": UNMANAGED,
  "workflow-updated.json": UNMANAGED,
};

/** Answers that are errors: their kind, and how the API's own words begin. */
const NO_KEY = "API key is missing. Provide via x-api-key header";
const REFUSALS: Record<string, [ApiErrorKind, string]> = {
  "add-message-bad-type-400": ["refused", "message_type must be 'user' or 'system'"],
  "add-message-empty-400": ["refused", "content cannot be empty"],
  "add-message-failed-400": ["refused", "Cannot add messages to workflow in failed state"],
  "add-message-killed-400": ["refused", "Cannot add messages to workflow in killed state"],
  "add-message-missing-422": ["refused", "content: Field required"],
  "add-message-not-running-400": ["refused", "Cannot add messages to workflow in completed state"],
  "add-message-old-shape-422": ["refused", "message_type: Field required; content: Field required"],
  "add-message-unknown-404": ["not_found", "Workflow run 00000000-0000-4000-8000-000000000000 not found"],
  "auth-claude-code-health-missing-401": ["unauthorised", NO_KEY],
  "auth-empty-401": ["unauthorised", NO_KEY],
  "auth-missing-401": ["unauthorised", NO_KEY],
  "auth-wrong-401": ["unauthorised", "Invalid API Key"],
  "cleanup-running-400": ["refused", "Workflow is still running. Use force=true to cleanup anyway."],
  "cleanup-unknown-404": ["not_found", "Workflow run not found: 00000000-0000-4000-8000-000000000000"],
  "kill-unknown-404": ["not_found", "Run 00000000-0000-4000-8000-000000000000 not found"],
  "method-not-allowed-405": ["refused", "Method Not Allowed"],
  "not-found-404": ["not_found", "Not Found"],
  "not-found-without-key-401": ["unauthorised", NO_KEY],
  "run-claude-workflow-404": ["not_found", "Workflow 'claude' not found. Available: ['brain', 'builder', "],
  "run-invalid-json-422": ["refused", "12: JSON decode error"],
  "run-max-turns-422": ["refused", "max_turns: Input should be less than or equal to 200"],
  "run-max-turns-zero-422": ["refused", "max_turns: Input should be greater than or equal to 1"],
  "run-message-missing-422": ["refused", "message: Field required"],
  "run-no-body-422": ["refused", "body: Field required"],
  "run-several-errors-422": [
    "refused",
    "message: Input should be a valid string; max_turns: Input should be a valid integer, unable to parse string",
  ],
  "run-temp-workspace-conflict-400": [
    "refused",
    "temp_workspace cannot be used with: repository_url, git_branch, auto_merge.",
  ],
  "run-timeout-422": ["refused", "timeout: Input should be greater than or equal to 60"],
  "run-unknown-workflow-404": ["not_found", "Workflow 'architect' not found. Available: ['brain', 'builder'"],
  "runs-bad-sort-by-400": ["refused", "Invalid sort_by field"],
  "runs-bad-sort-order-400": ["refused", "Sort order must be 'asc' or 'desc'"],
  "runs-bad-status-filter-400": ["refused", "Invalid status filter"],
  "runs-killed-status-filter-400": ["refused", "Invalid status filter"],
  "runs-overflow-500": ["server_fault", "Failed to list runs: Python int too large to convert to SQLite"],
  "runs-page-not-a-number-422": ["refused", "query.page: Input should be a valid integer"],
  "runs-page-size-400": ["refused", "Page size must be between 1 and 100"],
  "runs-page-zero-400": ["refused", "Page must be >= 1"],
  "status-accepted-but-failed-404": ["not_found", "Run ddc4fd10-42b8-460d-b2b2-c30e4fa82c42 not found"],
  "status-debug-not-a-bool-422": ["refused", "query.debug: Input should be a valid boolean"],
  "status-not-a-uuid-404": ["not_found", "Run nonsense not found"],
  "status-unknown-404": ["not_found", "Run 00000000-0000-4000-8000-000000000000 not found"],
  "workflows-route-removed-404": ["not_found", "Not Found"],
};

const STARTS = [
  "run-blank-message run-custom-workflow-started run-input-format-omitted run-max-turns-reached-started",
  "run-resume run-resume-no-conversation run-started run-temp-workspace run-timeout-too-long",
  "run-with-repository run-with-user-id stream-json-started",
].flatMap((line) => line.split(" "));
const FAILED_START = "run-accepted-but-failed-200";

/** Everything of {@link TOLD} that a status answer tells; what is not listed must be absent. */
const TOLD =
  "status turn maxTurns sessionId sessionHidden durationS costUsd error currentAction currentPhase";
const running = { status: "running" };
const done = { status: "completed", durationS: 3, costUsd: 0.0412 };
const hidden = { sessionHidden: true } as const;
const refusedResume = { status: "completed", turn: 0, durationS: 0 };
const STATUSES: Record<string, Partial<Run>> = {
  "status-just-started": { ...running, turn: 0, maxTurns: 30 },
  "status-just-started-debug": { ...running, turn: 0, maxTurns: 30, ...hidden },
  "status-running": { ...running, turn: 0, maxTurns: 30 },
  "status-running-debug": {
    ...running,
    turn: 2,
    maxTurns: 30,
    sessionId: "04591d0f-3923-4282-a228-4cd4afa0a388",
  },
  "status-running-no-max-turns-debug": {
    ...running,
    turn: 1,
    sessionId: "ab203d23-e150-44e8-a87f-5e6bc13bcd2c",
  },
  "status-completed": { ...done, turn: 7 },
  "status-completed-debug": { ...done, turn: 7, ...hidden },
  "status-after-cleanup-debug": { ...done, turn: 7, ...hidden },
  "status-completed-then-killed": { ...done, status: "killed", turn: 6 },
  "status-killed-then-completed": { ...done, turn: 6 },
  "status-max-turns-reached": { ...done, durationS: 1, turn: 3 },
  "status-killed": { status: "killed", turn: 0, maxTurns: 40 },
  "status-killed-debug": {
    status: "killed",
    turn: 2,
    maxTurns: 40,
    sessionId: "a4f52fd8-84bc-4b04-b320-e81c5be2ec07",
  },
  "status-killed-still-working-debug": {
    status: "killed",
    turn: 4,
    maxTurns: 40,
    sessionId: "a4f52fd8-84bc-4b04-b320-e81c5be2ec07",
  },
  "status-failed": { status: "failed", turn: 0, maxTurns: 10 },
  "status-failed-debug": {
    status: "failed",
    turn: 2,
    maxTurns: 10,
    sessionId: "c6cf4d22-4ba5-4651-8f47-2ae921116574",
  },
  "status-failed-at-start-debug": { status: "failed", turn: 0, maxTurns: 10, ...hidden },
  "status-input-format-omitted-failed": { status: "failed", turn: 0 },
  "status-input-format-omitted-failed-debug": { status: "failed", turn: 0, ...hidden },
  // The session that was asked for is in the metadata, but it is not yet the run's own.
  "status-resume-just-started-debug": { ...running, turn: 0, maxTurns: 10, ...hidden },
  "status-resume-running-debug": {
    ...running,
    turn: 1,
    maxTurns: 10,
    sessionId: "3f2b8c1e-5d7a-4e90-9b46-0c8f1a2d7e35",
  },
  "status-resume-no-conversation": refusedResume,
  "status-resume-no-conversation-debug": { ...refusedResume, ...hidden },
  "status-stale-after-restart": { ...running, turn: 0, maxTurns: 12 },
  "status-stale-after-restart-debug": {
    ...running,
    turn: 2,
    maxTurns: 12,
    sessionId: "3c254d2c-6ff4-4271-aa4c-c7dea724bb85",
  },
  "stream-json-status": { ...running, turn: 0, maxTurns: 5 },
  "stream-json-status-debug": { ...running, turn: 0, maxTurns: 5, ...hidden },
  "stream-json-status-killed": { status: "killed", turn: 0, maxTurns: 5 },
};

const MESSAGE_FAULT =
  "1 validation error for ClaudeCodeRunRequest message Value error, Message cannot be empty";
const KILLED = "Workflow gracefully terminated";
/** Lists: the beginnings of the runs' ids, and of the errors that only a list tells. */
const LISTS: Record<string, { ids: string; errors?: Record<string, string>; more?: true }> = {
  "auth-bearer": { ids: "" },
  "auth-query": { ids: "" },
  "runs-empty": { ids: "" },
  "runs-blank-message": { ids: "ba84b121", errors: { ba84b121: MESSAGE_FAULT } },
  "runs-default-page": {
    ids: "dcb77e48 0dc228d2 f4fea5b4 c3bba926 7261b4a5 f5ade40e 4d6303ef 205b6b14 e28accd9 ba84b121 66a28293 28df67f2 6e3d67ae a82d93dc ea663477 91b8ae4e",
    errors: {
      "205b6b14": "Workflow force killed",
      e28accd9: KILLED,
      ba84b121: MESSAGE_FAULT,
      "66a28293": "1 validation error for ClaudeCodeRunRequest timeout Input should be less than or equal to",
      "28df67f2": "1 validation error for ClaudeCodeRunRequest input_format Value error",
    },
  },
  "runs-failed-no-error-message": { ids: "a82d93dc" },
  "runs-filter-completed": { ids: "0dc228d2 f4fea5b4", more: true },
  "runs-filter-running": { ids: "91b8ae4e" },
  "runs-filter-timeout": {
    ids: "ba84b121 66a28293",
    errors: { ba84b121: MESSAGE_FAULT, "66a28293": "1 validation error" },
    more: true,
  },
  "runs-filter-unknown-workflow": { ids: "" },
  "runs-filter-user-id": { ids: "6ec68910" },
  "runs-input-format-omitted": { ids: "28df67f2", errors: { "28df67f2": "1 validation error" } },
  "runs-killed-then-completed": { ids: "e28accd9", errors: { e28accd9: KILLED }, more: true },
  "runs-page-killed": { ids: "e28accd9", errors: { e28accd9: KILLED }, more: true },
  "runs-page-past-end": { ids: "" },
  "runs-page": { ids: "dcb77e48 0dc228d2 f4fea5b4", more: true },
  "runs-page-two": { ids: "c3bba926 7261b4a5 f5ade40e", more: true },
  "runs-sort-cost": { ids: "a82d93dc 6e3d67ae", more: true },
  "runs-temp-workspace-running": { ids: "f5ade40e" },
  "runs-timeout-too-long": { ids: "66a28293", errors: { "66a28293": "1 validation error" } },
  "runs-while-running": { ids: "91b8ae4e" },
  "runs-with-repository": { ids: "7261b4a5", more: true },
};

const queue = (waiting: number, oldestAgeS: number) => ({ waiting, added: waiting, consumed: 0, oldestAgeS });
const killed = (method: string, message: string) => ({
  success: true,
  method,
  processTerminated: true,
  message,
});
const A82D = "/srv/automagik/workspaces/a82d93dc-8392-4a35-ab2e-186827d2ae36";
const FORCED = "/srv/automagik/workspaces/4d6303ef-08af-48be-999d-d174410d1ae2";
/** Answers that become an object as a whole; the run's id is added from the request. */
const REPORTS: Record<string, object | undefined> = {
  "add-message-queued": queue(1, 0.000056),
  "add-message-system-queued": queue(2, 0.006491),
  "stream-json-add-message": queue(1, 0.000139),
  "message-queue": queue(2, 0.040129),
  "message-queue-after-completion": queue(2, 2.802994),
  "stream-json-message-queue": queue(1, 3.009394),
  "message-queue-none-404": undefined,
  "message-queue-running-none-404": undefined,
  "message-queue-after-restart-404": undefined,
  "kill-completed": killed("graceful", "Workflow builder (gracefully terminated) in 0.00s"),
  "kill-running": killed("graceful", "Workflow builder (gracefully terminated) in 0.00s"),
  "kill-running-force": killed("force", "Workflow builder (force killed) in 0.00s"),
  "kill-stream-json": killed("graceful", "Workflow builder (gracefully terminated) in 0.01s"),
  "cleanup-completed": {
    success: false,
    removed: [],
    errors: [],
    message: "Workspace cleanup completed with errors in 0.00s",
  },
  "cleanup-failed": {
    success: true,
    removed: ["workspace"],
    errors: [],
    workspacePath: A82D,
    message: "Workspace cleanup completed successfully in 0.00s",
  },
  "cleanup-running-force": {
    success: true,
    removed: ["workspace"],
    errors: [],
    workspacePath: FORCED,
    message: "Workspace cleanup completed successfully in 0.00s",
  },
};

const SYSTEM = ["brain", "builder", "genie", "shipper", "surgeon", "guardian", "lina"];
const CATALOGUES: Record<string, string[]> = {
  "manage-list": [...SYSTEM, "flashinho_thinker"],
  "manage-list-with-custom": [...SYSTEM, "flashinho_thinker", "docs-writer"],
  "manage-list-after-overwrite": [
    "builder",
    "brain",
    "genie",
    "shipper",
    "surgeon",
    "guardian",
    "lina",
    "flashinho_thinker",
  ],
  "claude-code-health": [...SYSTEM, "flashinho_thinker", "claude"],
  "claude-code-health-healthy": [...SYSTEM, "flashinho_thinker", "claude"],
};

const TIMELINE = "timeline-run.json";
const server = setupServer();
let api: WorkflowsApi;

beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterAll(() => server.close());
beforeEach(() => {
  server.resetHandlers();
  api = createApiClient({
    baseUrl: BASE_URL,
    apiKey: KEY,
    requestTimeoutMs: 5_000,
    maxRetries: 0,
    clock: createTimerClock(),
    random: () => 0,
  });
});

function load<T = Recording>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as T;
}

const recorded = (name: string) => load(`${name}.json`);
const utc = (time: string) => Date.parse(`${time}Z`);

/** Answers every request with the recordings, by their path; what none has been recorded for, with the first. */
function replay(...recordings: Recording[]): { method: string; path: string }[] {
  const asked: { method: string; path: string }[] = [];
  server.use(
    http.all(`${BASE_URL}/*`, ({ request }) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      asked.push({ method: request.method, path });
      const fitting = recordings.find((one) => one.request.path === path) ?? recordings[0]!;
      const { status, headers, body } = fitting.response;
      return HttpResponse.text(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
    }),
  );
  return asked;
}

/** The client's call that asks what the recording answers; an address not in use is asked for as a list. */
function ask({ request }: Recording): Promise<unknown> {
  const path = request.path.slice(ROUTER.length);
  const [, , id = "", what] = path.split("/");
  const force = request.query.force === "true";
  if (["/manage", "/health", "/workflows"].includes(path)) return api.listWorkflows();
  if (what === "status") return api.getRun(id);
  if (what === "add-message") return api.addMessage(id, "user", "hello");
  if (what === "message-queue") return api.getQueue(id);
  if (what === "kill") return api.killRun(id, force);
  if (what === "cleanup") return api.cleanupRun(id, force);
  if (path.startsWith("/run/") && request.method === "POST") {
    return api.startRun({ workflowName: id, message: "hello", inputFormat: "text" });
  }
  return api.listRuns({ pageSize: Number(request.query.page_size ?? 20) });
}

async function replayRun(recording: Recording): Promise<Run> {
  replay(recording);
  return (await ask(recording)) as Run;
}

const told = (run: Run, fields: string) =>
  Object.fromEntries(Object.entries(run).filter(([name]) => fields.split(" ").includes(name)));

describe("every recorded answer", () => {
  it("is either replayed here or skipped for a reason", () => {
    const used = [REFUSALS, STATUSES, LISTS, REPORTS, CATALOGUES].flatMap(Object.keys);
    const listed = [...used, ...STARTS, FAILED_START].map((name) => `${name}.json`);
    const folder = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
    expect(folder.sort()).toEqual([...listed, ...Object.keys(SKIPPED), TIMELINE].sort());
  });

  it.each(Object.entries(REFUSALS))("%s becomes an error of its kind", async (name, [kind, words]) => {
    const recording = recorded(name);
    replay(recording);
    const error = (await ask(recording).catch((thrown) => thrown)) as ApiError;
    expect(error).toMatchObject({
      name: "ApiError",
      kind,
      status: recording.response.status,
      mayHaveActed: false,
    });
    expect(error.reason?.startsWith(words), error.reason).toBe(true);
    expect(error.message).toMatch(/^Could not /);
    expect(error.message).toContain(`HTTP ${recording.response.status}: "${error.reason}"`);
    expect(error.message).not.toContain(KEY);
    expect(error.message).not.toMatch(/\n|<key>|localhost:28881\/api/);
  });

  it.each(STARTS)("%s is a run with a session that is only claimed", async (name) => {
    const recording = recorded(name);
    const asked = replay(recording);
    const { body } = recording.response;
    expect(await ask(recording)).toEqual({
      runId: body.run_id,
      workflowName: recording.request.path.split("/").at(-1),
      status: "pending",
      sessionId: body.session_id,
      sessionClaimed: true,
      startedAt: utc(body.started_at),
      toolsUsed: [],
      phasesCompleted: [],
      filesChanged: [],
      commits: [],
    });
    expect(asked).toEqual([{ method: "POST", path: recording.request.path }]);
  });

  it("a start that is accepted and has failed says why on one line", async () => {
    const run = await replayRun(recorded(FAILED_START));
    expect(run.status).toBe("failed");
    expect(run.error).toMatch(
      /^Failed to start builder workflow: 1 validation error for WorkflowRunCreate user_id Input should be a valid UUID/,
    );
  });

  it.each(Object.entries(STATUSES))("%s tells what it should and nothing else", async (name, facts) => {
    const recording = recorded(name);
    const asked = replay(recording);
    const run = (await ask(recording)) as Run;
    const { body } = recording.response;
    expect(told(run, TOLD)).toEqual(facts);
    expect(run.runId).toBe(body.run_id);
    expect(run.workflowName).toBe(body.workflow_name);
    expect(run.startedAt).toBe(utc(body.started_at));
    expect(run.completedAt).toBe(body.completed_at ? utc(body.completed_at) : undefined);
    const activity = body.debug?.metadata.last_activity;
    expect(run.lastActivityAt).toBe(activity ? utc(activity) : undefined);
    expect(run.toolsUsed).toEqual(body.metrics.tools_used);
    expect(run.result).toBe(body.result.final_output ?? undefined);
    expect(run.tokens?.total).toBe(body.metrics.tokens.total || undefined);
    expect(asked).toEqual([{ method: "GET", path: recording.request.path }]);
  });

  it.each(Object.entries(LISTS))("%s lists its runs", async (name, { ids, errors = {}, more }) => {
    const recording = recorded(name);
    replay(recording);
    const { runs, last } = (await ask(recording)) as { runs: Run[]; last: boolean };
    expect(runs.map((run) => run.runId.slice(0, 8)).join(" ")).toBe(ids);
    expect(last).toBe(more !== true);
    for (const [index, run] of runs.entries()) {
      const row = recording.response.body.runs[index];
      expect(run.startedAt).toBe(utc(row.started_at));
      expect(run.sessionName).toBe(row.session_name);
      expect(run).not.toHaveProperty("sessionId");
      expect(run.turn).toBe(row.turns ?? undefined);
      expect(run.costUsd).toBe(row.total_cost ?? undefined);
      expect(run.repositoryUrl).toBe(row.git_repo ?? undefined);
      expect(run.gitBranch).toBe(row.git_branch ?? undefined);
      const begun: string | undefined = /^Processing: (.*)/.exec(row.result)?.[1];
      expect(run.messageStart).toBe(begun?.trim() || undefined);
      expect(run.result).toBe(begun === undefined ? row.result : undefined);
      const error = errors[run.runId.slice(0, 8)];
      if (error) expect(run.error?.startsWith(error), run.error).toBe(true);
      else expect(run.error).toBeUndefined();
    }
  });

  it.each(Object.entries(REPORTS))("%s is read as a whole", async (name, report) => {
    const recording = recorded(name);
    const asked = replay(recording);
    const runId = recording.request.path.split("/").at(-2);
    expect(await ask(recording)).toEqual(report && { runId, ...report });
    expect(asked).toEqual([{ method: recording.request.method, path: recording.request.path }]);
  });

  it.each(Object.entries(CATALOGUES))("%s names the workflows", async (name, names) => {
    const recording = recorded(name);
    // The health check is asked only where neither list is to be had.
    const missing = {
      ...recorded("not-found-404"),
      request: { ...recording.request, path: `${ROUTER}/manage` },
    };
    if (name.startsWith("manage")) replay(recording);
    else replay(missing, recorded("workflows-route-removed-404"), recording);
    const workflows = await api.listWorkflows();
    expect(workflows.map((workflow) => workflow.name)).toEqual(names);
    if (!name.startsWith("manage")) return;
    for (const [index, workflow] of workflows.entries()) {
      const wire = recording.response.body[index];
      expect(workflow).toEqual({
        name: wire.name,
        description: wire.description,
        displayName: wire.displayName,
        category: wire.category,
        emoji: wire.emoji,
        capabilities: wire.capabilities,
        suggestedTurns: wire.suggestedTurns,
        ...(wire.maxTurns ? { maxTurns: wire.maxTurns } : {}),
      });
    }
  });
});

describe("recorded answers of one run after the other", () => {
  it("keep the turn limit and the real session, and drop the claimed one", async () => {
    const names = [
      "run-started",
      "status-just-started-debug",
      "status-running-debug",
      "status-completed-debug",
    ];
    const pictures: Run[] = [];
    for (const name of names) pictures.push(await replayRun(recorded(name)));
    const [started, ...later] = pictures as [Run, ...Run[]];
    const merged = [started];
    for (const run of later) merged.push(mergeRun(merged.at(-1)!, run));
    const real = "04591d0f-3923-4282-a228-4cd4afa0a388";
    expect(merged.map((run) => run.sessionId)).toEqual([started.sessionId, undefined, real, real]);
    expect(merged.at(-1)).toMatchObject({ status: "completed", turn: 7, maxTurns: 30 });
    expect(merged.at(-1)).not.toHaveProperty("sessionClaimed");
  });

  it("count the turns of the timeline upwards without a step back", async () => {
    const entries = load<{ body: object }[]>(TIMELINE);
    const request = recorded("status-running-debug").request;
    let run: Run | undefined;
    const turns: (number | undefined)[] = [];
    for (const { body } of entries) {
      const response = { status: 200, headers: { "content-type": "application/json" }, body };
      const seen = await replayRun({ request, response });
      run = run ? mergeRun(run, seen) : seen;
      turns.push(run.turn);
    }
    expect(turns).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(run).toMatchObject({
      status: "completed",
      maxTurns: 20,
      sessionId: "5e31c13e-65d3-4793-b437-95ee74a1172a",
      costUsd: 0.0412,
      tokens: { total: 12615, input: 1840, output: 655 },
    });
  });

  it("keep the turns that a failed run had taken, though its last answer says none", async () => {
    const seen = await replayRun(recorded("status-failed-debug"));
    expect(mergeRun(seen, await replayRun(recorded("status-failed"))).turn).toBe(2);
  });

  it("show a refused resume by its signature and an ordinary end without it", async () => {
    expect(looksRefused(await replayRun(recorded("status-resume-no-conversation-debug")))).toBe(true);
    expect(looksRefused(await replayRun(recorded("status-max-turns-reached")))).toBe(false);
  });
});

describe("the contract's richer answers", () => {
  it("are read in full while a run goes on and when it has ended", async () => {
    const clock = createHandClock();
    const simulated = createSimulatedApi({
      apiKey: KEY,
      clock,
      script: { manual: true, sessionId: "conversation-1" },
    });
    server.use(...createHandlers(simulated));
    const startedAt = clock.now();
    const started = await api.startRun({
      workflowName: "architect",
      message: "Design the JWT login",
      inputFormat: "stream-json",
      sessionName: "auth",
      repositoryUrl: "https://example.test/app.git",
      gitBranch: "main",
      maxTurns: 10,
    });
    expect(started).toMatchObject({ status: "pending", sessionId: "conversation-1", startedAt });
    const hand = simulated.world.run(started.runId);
    hand.turn("Reading the code");
    clock.advance(1_500);
    hand.turn("Designing database schema");
    expect(await api.getRun(started.runId)).toEqual({
      runId: started.runId,
      workflowName: "architect",
      status: "running",
      sessionId: "conversation-1",
      sessionName: "auth",
      turn: 2,
      maxTurns: 10,
      currentAction: "Designing database schema",
      startedAt,
      durationS: 1.5,
      costUsd: 0.0206,
      tokens: { total: 1248, input: 920, output: 328 },
      toolsUsed: ["Read"],
      repositoryUrl: "https://example.test/app.git",
      gitBranch: "main",
      lastActivityAt: startedAt + 1_500,
      phasesCompleted: ["Reading the code"],
      filesChanged: [],
      commits: [],
    });
    hand.complete({ result: "Done.", costUsd: 0.5, filesChanged: ["schema.sql"], commits: ["abc123"] });
    const ended = await api.getRun(started.runId);
    expect(ended).toMatchObject({
      status: "completed",
      sessionId: "conversation-1",
      maxTurns: 10,
      completedAt: startedAt + 1_500,
      costUsd: 0.5,
      result: "Done.",
      filesChanged: ["schema.sql"],
      commits: ["abc123"],
      phasesCompleted: ["Reading the code", "Designing database schema"],
    });
    expect(ended).not.toHaveProperty("currentAction");
    const [listed] = (await api.listRuns()).runs;
    expect(listed).toMatchObject({
      runId: started.runId,
      sessionId: "conversation-1",
      turn: 2,
      maxTurns: 10,
    });
  });
});
