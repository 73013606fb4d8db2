import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { createSimulatedApi } from "../mocks/http.js";
import { createHandClock } from "../mocks/world.js";

interface Recording {
  scenario: string;
  request: {
    method: string;
    path: string;
    query: Record<string, string>;
    headers: Record<string, string>;
    body: unknown;
  };
  response: { status: number; headers: Record<string, string>; body: unknown };
}

const FOLDER = new URL("./fixtures/upstream/", import.meta.url);
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const TIMELINE = "timeline-run.json";

const UNMANAGED =
  "the simulated API cannot create, change or delete workflows: the product never asks for it";
const SKIPPED: Record<string, string> = {
  "openapi.json": "a schema, not an exchange; the simulated API only lists its paths",
  "claude-code-health.json":
    "the healthy answer from a machine without credentials, which nothing here plays",
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

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as T;
}

// Numbers that say something; others, such as costs and durations, only need to be there.
const COUNTED = new Set(
  [
    "turns max_turns current_turns total_turns tool_calls timeout performance_score",
    "queue_size current_size total_added total_consumed total_count page page_size maxTurns suggestedTurns",
    "api_duration_ms cache_created cache_read cache_efficiency",
  ].flatMap((line) => line.split(" ")),
);
const UNUSED_UNTIL_THE_END = new Set(["cost_usd", "total", "input", "output", "total_tokens"]);

/** A text without what differs from run to run: ids, moments, durations and the agent's own transcript. */
function plain(text: string): string {
  if (text.includes("'tool_result'")) return "<transcript>";
  return text
    .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/, "<moment>")
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>")
    .replace(/\d+\.\d\ds$/, "<duration>");
}

/** Where the answer is not of the recorded form; empty when it is. */
function differences(recorded: unknown, actual: unknown, path = "body", key = ""): string[] {
  const differs = [`${path}: recorded ${JSON.stringify(recorded)}, answered ${JSON.stringify(actual)}`];
  if (recorded === null || typeof recorded !== "object") {
    if (recorded === null || actual === null || typeof recorded !== typeof actual) {
      return recorded === actual ? [] : differs;
    }
    if (typeof recorded === "string") return plain(recorded) === plain(String(actual)) ? [] : differs;
    const counts = COUNTED.has(key) || path.startsWith("body.detail");
    if (typeof recorded === "boolean" || counts) return recorded === actual ? [] : differs;
    return UNUSED_UNTIL_THE_END.has(key) && (recorded === 0) !== (actual === 0) ? differs : [];
  }
  if (typeof actual !== "object" || actual === null || Array.isArray(recorded) !== Array.isArray(actual)) {
    return differs;
  }
  const left = Object.entries(recorded);
  const right = actual as Record<string, unknown>;
  const names = new Set([...left.map(([name]) => name), ...Object.keys(right)]);
  if (names.size !== left.length || names.size !== Object.keys(right).length) {
    return [`${path}: recorded keys ${Object.keys(recorded)}, answered ${Object.keys(right)}`];
  }
  const nextKey = (name: string): string => (Array.isArray(recorded) ? key : name);
  return left.flatMap(([name, value]) => differences(value, right[name], `${path}.${name}`, nextKey(name)));
}

function createReplay() {
  const clock = createHandClock();
  const api = createSimulatedApi({
    profile: "automagik-0.6",
    apiKey: "right",
    clock,
    script: ({ ordinal }) => ({
      manual: true,
      // The second run's conversation is the one that the recording resumes.
      ...(ordinal === 2 ? { sessionId: "3f2b8c1e-5d7a-4e90-9b46-0c8f1a2d7e35" } : {}),
    }),
  });
  const answers = new Map<string, { status: number; type: string | null; body: unknown }>();
  const ids = new Map<string, string>();

  async function send(request: Recording["request"]) {
    const path = request.path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, (id) => ids.get(id.slice(0, 8)) ?? id);
    const keyed = (values: Record<string, string>): Record<string, string> =>
      JSON.parse(JSON.stringify(values).replace("<key>", "right"));
    const url = new URL(path, "http://localhost");
    url.search = new URLSearchParams(keyed(request.query)).toString();
    const { method, body } = request;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await api.handle(
      new Request(url, { method, headers: keyed(request.headers), ...(body === null ? {} : { body: text }) }),
    );
    const answer = (await response.json()) as { run_id?: string };
    return { status: response.status, type: response.headers.get("content-type"), body: answer };
  }

  return {
    api,
    clock,
    answers,
    /** Sends recorded requests one after the other and keeps the answers. */
    async ask(...names: string[]): Promise<void> {
      for (const name of names) {
        clock.advance(5);
        const { request, response } = load<Recording>(`${name}.json`);
        const answer = await send(request);
        answers.set(`${name}.json`, answer);
        const recordedId = (response.body as { run_id?: string }).run_id;
        if (recordedId && answer.body.run_id) ids.set(recordedId.slice(0, 8), answer.body.run_id);
      }
    },
    /** Starts a run whose own start was not recorded; `id` is how its recorded id begins. */
    begin(id: string, workflow: string, message: string, max_turns: number | null = null): void {
      clock.advance(5);
      const state = api.world.start(workflow, { message, max_turns, input_format: "text" });
      ids.set(id, state.runId);
    },
    turns(id: string, count: number): void {
      for (let turn = 0; turn < count; turn += 1) {
        clock.advance(500);
        api.world.run(ids.get(id) ?? id).turn();
      }
    },
    complete(id: string): void {
      clock.advance(500);
      api.world.run(ids.get(id) ?? id).complete();
    },
    fail(id: string): void {
      clock.advance(500);
      api.world.run(ids.get(id) ?? id).fail();
    },
    async status(id: string): Promise<unknown> {
      const path = `/api/v1/workflows/claude-code/run/${ids.get(id)}/status`;
      const headers = { "x-api-key": "<key>" };
      return (await send({ method: "GET", path, query: { debug: "true" }, headers, body: null })).body;
    },
  };
}

const replay = createReplay();
const timeline: unknown[] = [];

/** The recording session over again, in its own order. */
beforeAll(async () => {
  const { api, clock, ask, begin, turns, complete, fail } = replay;
  await ask(
    "root-health",
    "auth-missing-401",
    "auth-wrong-401",
    "auth-empty-401",
    "auth-bearer",
    "auth-query",
  );
  await ask("auth-claude-code-health-missing-401", "not-found-without-key-401", "not-found-404");
  await ask(
    "method-not-allowed-405",
    "workflows-route-removed-404",
    "claude-code-health-healthy",
    "manage-list",
  );
  await ask("runs-empty", "status-unknown-404", "status-not-a-uuid-404", "message-queue-none-404");
  await ask("kill-unknown-404", "cleanup-unknown-404", "add-message-unknown-404");
  await ask("run-unknown-workflow-404", "run-claude-workflow-404", "run-temp-workspace-conflict-400");
  await ask("run-invalid-json-422", "run-no-body-422", "run-message-missing-422", "run-several-errors-422");
  await ask("run-max-turns-422", "run-max-turns-zero-422", "run-timeout-422", "runs-page-not-a-number-422");
  await ask("runs-bad-sort-by-400", "runs-bad-sort-order-400", "runs-bad-status-filter-400");
  await ask("runs-page-size-400", "runs-page-zero-400");

  await ask("run-started", "status-just-started", "status-just-started-debug");
  turns("91b8ae4e", 2);
  await ask("status-running", "status-running-debug", "runs-while-running", "runs-filter-running");
  await ask("message-queue-running-none-404", "add-message-bad-type-400", "add-message-empty-400");
  await ask("add-message-missing-422", "add-message-old-shape-422", "add-message-queued");
  await ask(
    "add-message-system-queued",
    "message-queue",
    "cleanup-running-400",
    "status-debug-not-a-bool-422",
  );
  turns("91b8ae4e", 5);
  complete("91b8ae4e");
  await ask("status-completed", "status-completed-debug", "message-queue-after-completion");
  await ask("add-message-not-running-400", "cleanup-completed", "status-after-cleanup-debug");

  begin("ea663477", "builder", "Run the test suite and fix what fails.", 20);
  timeline.push(await replay.status("ea663477"));
  for (let turn = 1; turn <= 6; turn += 1) {
    turns("ea663477", 1);
    // The recorded run's last turn and its completion are one change.
    if (turn < 6) timeline.push(await replay.status("ea663477"));
  }
  complete("ea663477");
  timeline.push(await replay.status("ea663477"));

  begin("a82d93dc", "shipper", "Deploy the service to staging.", 10);
  turns("a82d93dc", 2);
  fail("a82d93dc");
  await ask("status-failed", "status-failed-debug", "runs-failed-no-error-message");
  await ask("add-message-failed-400", "cleanup-failed");
  begin("6e3d67ae", "shipper", "Publish the package.", 10);
  fail("6e3d67ae");
  await ask("status-failed-at-start-debug");

  await ask("run-input-format-omitted", "status-input-format-omitted-failed");
  await ask("status-input-format-omitted-failed-debug", "runs-input-format-omitted");
  await ask("run-timeout-too-long", "runs-timeout-too-long", "run-blank-message", "runs-blank-message");
  await ask("run-accepted-but-failed-200", "status-accepted-but-failed-404");

  begin("e28accd9", "builder", "Refactor the storage layer.", 40);
  turns("e28accd9", 2);
  await ask("kill-running", "status-killed", "status-killed-debug", "add-message-killed-400");
  await ask("runs-page-killed", "runs-killed-status-filter-400");
  turns("e28accd9", 2);
  await ask("status-killed-still-working-debug");
  turns("e28accd9", 2);
  complete("e28accd9");
  await ask("status-killed-then-completed", "runs-killed-then-completed");
  await ask("kill-completed", "status-completed-then-killed");

  begin("205b6b14", "builder", "Tidy up.");
  turns("205b6b14", 1);
  await ask("status-running-no-max-turns-debug", "kill-running-force");
  turns("205b6b14", 3);
  complete("205b6b14");
  begin("4d6303ef", "genie", "Plan the sprint.");
  turns("4d6303ef", 1);
  await ask("cleanup-running-force");
  turns("4d6303ef", 3);
  complete("4d6303ef");

  await ask("run-temp-workspace");
  turns("f5ade40e", 1);
  await ask("runs-temp-workspace-running");
  turns("f5ade40e", 3);
  complete("f5ade40e");
  await ask("run-with-repository");
  turns("7261b4a5", 4);
  complete("7261b4a5");
  await ask("runs-with-repository");

  await ask("run-resume", "status-resume-just-started-debug");
  turns("c3bba926", 1);
  await ask("status-resume-running-debug");
  turns("c3bba926", 3);
  complete("c3bba926");
  await ask(
    "run-resume-no-conversation",
    "status-resume-no-conversation",
    "status-resume-no-conversation-debug",
  );
  await ask("run-max-turns-reached-started");
  turns("0dc228d2", 4);
  await ask("status-max-turns-reached");

  await ask("stream-json-started");
  clock.advance(3000);
  await ask("stream-json-status", "stream-json-status-debug", "stream-json-add-message");
  clock.advance(3000);
  await ask(
    "stream-json-message-queue",
    "runs-default-page",
    "runs-page",
    "runs-page-two",
    "runs-page-past-end",
  );
  await ask("runs-filter-completed", "runs-filter-timeout", "runs-filter-unknown-workflow", "runs-sort-cost");
  await ask("runs-overflow-500", "kill-stream-json", "stream-json-status-killed");
  await ask("run-with-user-id");
  turns("6ec68910", 2);
  complete("6ec68910");
  await ask("runs-filter-user-id");

  const { workflows } = api.world;
  workflows.add({
    name: "docs-writer",
    description: "Writes user documentation",
    displayName: "Docs Writer",
    category: "documentation",
    icon: "Book",
    mainColour: "#10B981",
    emoji: "📚",
    capabilities: ["markdown"],
    maxTurns: 40,
    suggestedTurns: 20,
  });
  await ask("manage-list-with-custom", "run-custom-workflow-started");
  workflows.remove("docs-writer");
  const [brain, builder, ...others] = workflows.list();
  const { name, description } = brain!;
  workflows.set([builder!, { name, description, displayName: "Brain", category: "custom" }, ...others]);
  await ask("manage-list-after-overwrite");

  begin("b74c5cc1", "shipper", "Release it.", 12);
  turns("b74c5cc1", 2);
  api.world.addMessage(api.world.runs().at(-1)!.runId, "user", "Wait for the tag.");
  api.world.restart();
  clock.advance(15_000);
  await ask(
    "status-stale-after-restart",
    "status-stale-after-restart-debug",
    "message-queue-after-restart-404",
  );
});

describe("the simulated public server answers as the real one did", () => {
  const exchanges = FILES.filter((name) => !(name in SKIPPED) && name !== TIMELINE);

  it.each(exchanges)("%s", (name) => {
    const { response } = load<Recording>(name);
    const answer = replay.answers.get(name);
    expect(answer, "was not replayed").toBeDefined();
    expect(answer?.status).toBe(response.status);
    expect(answer?.type).toBe(response.headers["content-type"]);
    expect(differences(response.body, answer?.body)).toEqual([]);
  });

  it("changes at every turn of a run as in the recorded timeline", () => {
    const recorded = load<{ body: unknown }[]>(TIMELINE);
    expect(timeline).toHaveLength(recorded.length);
    for (const [index, { body }] of recorded.entries()) {
      expect(differences(body, timeline[index], `entry ${index}`)).toEqual([]);
    }
  });

  it("skips only recordings that exist", () => {
    expect(FILES).toEqual(expect.arrayContaining(Object.keys(SKIPPED)));
    expect(FILES.length).toBeGreaterThan(100);
  });

  it("is compared in a way that can fail", () => {
    const recorded = { status: "running", turns: 0, runs: [{ at: "2026-11-22T11:32:07.280255", cost: 0.1 }] };
    expect(differences(recorded, structuredClone(recorded))).toEqual([]);
    expect(differences(recorded, { ...recorded, status: "completed" })).toHaveLength(1);
    expect(differences(recorded, { ...recorded, turns: 1 })).toHaveLength(1);
    expect(differences(recorded, { ...recorded, runs: [] })).toHaveLength(1);
    expect(differences(recorded, { ...recorded, extra: 1 })).toHaveLength(1);
    expect(
      differences(recorded, { ...recorded, runs: [{ at: "2026-11-22T11:32:07Z", cost: 0.1 }] }),
    ).toHaveLength(1);
    expect(differences(recorded, { ...recorded, runs: [{ at: null, cost: 0.1 }] })).toHaveLength(1);
  });
});
