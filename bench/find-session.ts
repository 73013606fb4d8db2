/**
 * How long it takes to find one session by its name among 3,000 with 10,000 runs: cold (nothing read yet), right
 * after that, and once the list is stale; with nothing and with 3,000 sessions in the index on disk.
 *
 *     npx tsx bench/find-session.ts [latency of the API in ms, default 0 and 20]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiClient } from "../src/api/client.js";
import { createRunList } from "../src/runs/run-list.js";
import { createRunWatcher } from "../src/runs/run-watcher.js";
import { createSessions } from "../src/sessions/sessions.js";
import { createDatabaseSessionStore } from "../src/sessions/store/database-session-store.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import type { SessionStore } from "../src/sessions/store/session-store.js";
import { systemClock } from "../src/shared/clock.js";
import type { Log } from "../src/shared/log.js";

const RUNS = 10_000;
const SESSIONS = 3_000;
const WANTED = "project-17";
/** A reading is fresh for three seconds; one more makes it stale. */
const STALE_MS = 4_000;

const log = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log;

const runs = Array.from({ length: RUNS }, (_, index) => {
  const session = index % SESSIONS;
  const startedAt = Date.now() - index * 60_000;
  return {
    run_id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    status: index < 5 ? "running" : "completed",
    workflow_name: "architect",
    session_id: `session-${session}`,
    session_name: `project-${session}`,
    turns: 12,
    started_at: new Date(startedAt).toISOString(),
    completed_at: index < 5 ? null : new Date(startedAt + 300_000).toISOString(),
    total_cost: 0.25,
    result: `Done: ${"word ".repeat(100)}`,
    git_repo: "https://host.example/team/app.git",
    git_branch: "main",
  };
});

/** Pages made beforehand, so that what is measured is the product and not a simulated database. */
const pages = Array.from({ length: RUNS / 100 + 1 }, (_, page) =>
  JSON.stringify({
    runs: runs.slice(page * 100, page * 100 + 100),
    total_count: RUNS,
    page: page + 1,
    page_size: 100,
  }),
);

async function serve(latencyMs: number) {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const page = Number(new URL(request.url ?? "", "http://localhost").searchParams.get("page"));
    setTimeout(() => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(pages[page - 1] ?? pages.at(-1));
    }, latencyMs);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests: () => requests, close: () => server.close() };
}

async function fill(folder: string, upstream: string): Promise<void> {
  const store = createDatabaseSessionStore({ folder, upstream });
  for (let session = 0; session < SESSIONS; session++) {
    const key = `key-${session}`;
    const [run] = runs.slice(session);
    const updatedAt = Date.parse(run?.started_at ?? "");
    await store.update(key, () => ({
      version: 1,
      key,
      name: `project-${session}`,
      sessionId: `session-${session}`,
      createdAt: updatedAt,
      updatedAt,
      runs: [
        {
          runId: run?.run_id ?? "",
          workflowName: "architect",
          status: "completed",
          startedAt: updatedAt,
          sessionId: `session-${session}`,
          updatedAt,
        },
      ],
    }));
  }
  await store.close();
}

async function measure(title: string, latencyMs: number, open: (url: string) => Promise<SessionStore>) {
  const api = await serve(latencyMs);
  const store = await open(api.url);
  const client = createApiClient({
    baseUrl: api.url,
    apiKey: "key",
    requestTimeoutMs: 10_000,
    maxRetries: 0,
    clock: systemClock,
    random: Math.random,
  });
  let ahead = 0;
  const clock = { ...systemClock, elapsed: () => systemClock.elapsed() + ahead };
  const watcher = createRunWatcher({
    api: client,
    clock,
    log,
    pollingIntervalMs: 8_000,
    perSecond: 20,
    stallAfterMs: 300_000,
  });
  const sessions = createSessions({
    store,
    runList: createRunList({ api: client, clock }),
    watcher,
    clock,
    log,
  });

  async function time(what: string): Promise<void> {
    const before = api.requests();
    const began = performance.now();
    const found = await sessions.find({ sessionName: WANTED });
    const ms = (performance.now() - began).toFixed(1);
    if (found.length !== 1) throw new Error(`Found ${found.length} sessions instead of one.`);
    const asked = `${api.requests() - before} requests`;
    process.stdout.write(`${title}, ${latencyMs} ms API, ${what.padEnd(8)} ${ms.padStart(8)} ms, ${asked}\n`);
  }

  await time("cold");
  await time("again");
  for (let round = 0; round < 3; round++) {
    ahead += STALE_MS;
    await time("stale");
  }
  await sessions.close();
  watcher.close();
  api.close();
}

const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
try {
  for (const latencyMs of process.argv[2] ? [Number(process.argv[2])] : [0, 20]) {
    await measure("empty index", latencyMs, async () => createMemorySessionStore());
    await measure("full index ", latencyMs, async (upstream) => {
      await fill(folder, upstream);
      return createDatabaseSessionStore({ folder, upstream });
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
