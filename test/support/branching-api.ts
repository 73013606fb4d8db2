import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { createSimulatedApi } from "../../mocks/http.js";
import type { Script, StartInfo } from "../../mocks/types.js";

/** A start as the API got it. */
export interface SeenStart {
  workflow: string;
  message: string;
  session: string | undefined;
  continues: string | undefined;
  from: string | undefined;
  key: string | undefined;
}

/** The simulated API with branches: sessions have them, they begin at others, and are merged. */
export interface BranchingApi {
  url: string;
  /** Every start that was answered with a run of its own: the paid ones. */
  runs: SeenStart[];
  /** Starts that came, those of a known key included. */
  posts: number;
  /** `branch into branch`, in the order of the merges; a branch that had all of it already is not merged again. */
  merged: string[];
  /** Merges under way at the same time, at most. */
  mergesAtOnce: number;
  kills: string[];
  /** What is done with the answer to the next start: it is acted on, and nobody hears of it. */
  loseNextStart(): void;
  /** Called when a start or a merge was acted on and nobody has heard of it yet. */
  onActed: () => void | Promise<void>;
  /** It answers that it does nothing at the moment. */
  away: boolean;
  /** What the take of this branch comes to instead of a merge. */
  refuses: Map<string, object>;
  /** Its runs. */
  world: ReturnType<typeof createSimulatedApi>["world"];
}

const ROUTER = "/api/v1/workflows/claude-code";

/**
 * @param options.keepsKeys it promises that starts under one `Idempotency-Key` are one run
 * @param options.script how the runs go
 */
export async function serveBranchingApi(options: {
  keepsKeys?: boolean;
  script: (start: StartInfo) => Script | undefined;
}): Promise<BranchingApi> {
  const api = createSimulatedApi({ describe: true, script: options.script, paceMs: 0 });
  const known = new Map<string, object>();
  const bases = new Map<string, string>();
  const contents = new Map<string, Set<string>>();
  let isLost = false;
  let merging = 0;

  const branchOf = (sessionId: string) => `automagik/${sessionId.slice(0, 8)}`;
  const commitOf = (branch: string) =>
    [branch, ...(contents.get(branch) ?? [])].map((one) => one.slice(-8)).join("+");

  async function ask(path: string, init: RequestInit = {}) {
    const outcome = await api.answer(
      new Request(`http://localhost${path}`, {
        ...init,
        headers: { "x-api-key": "test-key", "content-type": "application/json" },
      }),
    );
    if (outcome.kind !== "response") throw new Error("The simulated API has dropped a request.");
    return {
      status: outcome.response.status,
      body: (await outcome.response.json()) as Record<string, unknown>,
    };
  }

  function describe(body: Record<string, unknown>): Record<string, unknown> {
    const described = structuredClone(body) as {
      paths: Record<string, Record<string, object>>;
      components: { schemas: { Start: { properties: object } } };
    };
    const properties = { into: {}, check: {}, check_timeout: {}, new_branch: {} };
    described.paths[`${ROUTER}/run/{run_id}/take`] = {
      post: { requestBody: { content: { "application/json": { schema: { type: "object", properties } } } } },
    };
    Object.assign(described.components.schemas.Start.properties, { start_from: {} });
    if (options.keepsKeys)
      Object.assign(described.paths[`${ROUTER}/run/{workflow_name}`] as object, {
        parameters: [{ in: "header", name: "Idempotency-Key", "x-key-prefix": "db." }],
      });
    return described as unknown as Record<string, unknown>;
  }

  async function take(runId: string, how: { into: string; new_branch?: boolean; check?: string }) {
    merging++;
    seen.mergesAtOnce = Math.max(seen.mergesAtOnce, merging);
    const { body } = await ask(`${ROUTER}/run/${runId}/status`);
    await new Promise((resolve) => setImmediate(resolve));
    merging--;
    const branch = branchOf(String(body.session_id));
    const there = contents.get(how.into);
    const answer = { into: how.into, conflicts: [], message: "" };
    const refusal = seen.refuses.get(branch) ?? seen.refuses.get(String(body.session_name));
    if (refusal) return { ...answer, taken: false, ...refusal };
    if (!there && !how.new_branch) return { ...answer, taken: false, message: "There is no such branch." };
    if (there?.has(branch)) return { ...answer, taken: false, had_all: true, commit: commitOf(how.into) };
    contents.set(how.into, new Set([...(there ?? []), branch]));
    seen.merged.push(`${branch} into ${how.into}`);
    return { ...answer, taken: true, commit: commitOf(how.into) };
  }

  async function answer(method: string, path: string, text: string, key: string | undefined) {
    if (path.endsWith("/openapi.json")) {
      const found = await ask(path);
      return { ...found, body: describe(found.body) };
    }
    const [, runId, verb] = /\/run\/([^/?]+)(?:\/(\w+))?/.exec(path) ?? [];
    if (method === "POST" && verb === "take")
      return { status: 200, body: await take(String(runId), JSON.parse(text)) };
    if (method === "POST" && verb === "kill") seen.kills.push(String(runId));
    if (method === "POST" && verb === undefined) {
      seen.posts++;
      const former = options.keepsKeys && key !== undefined ? known.get(key) : undefined;
      if (former) return { status: 200, body: former as Record<string, unknown> };
      const { start_from: from, ...start } = JSON.parse(text);
      const found = await ask(path, { method, body: JSON.stringify(start) });
      if (found.status !== 200) return found;
      if (key !== undefined) known.set(key, found.body);
      if (from) bases.set(branchOf(String(found.body.session_id)), from);
      const { message, session_name: session, session_id: continues } = start;
      seen.runs.push({ workflow: String(runId), message, session, continues, from, key });
      return found;
    }
    const found = await ask(path, { method, ...(text ? { body: text } : {}) });
    if (verb === "status" && found.body.completed_at) {
      const branch = branchOf(String(found.body.session_id));
      found.body.work = {
        branch,
        base_branch: bases.get(branch) ?? "main",
        head_commit: `${branch.slice(-8)}${runId?.slice(0, 4)}`,
        commit_count: 1,
        delivered_to: "repository",
      };
    }
    return found;
  }

  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (seen.away) {
      response.writeHead(503, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ detail: "Down for maintenance", started: false }));
      return;
    }
    const key = request.headers["idempotency-key"];
    const { method = "GET", url = "/" } = request;
    const isStart = method === "POST" && /\/run\/[^/?]+(\?|$)/.test(url);
    const lost = isStart && isLost;
    const { status, body } = await answer(method, url, text, typeof key === "string" ? key : undefined);
    if (isStart || url.includes("/take")) await seen.onActed();
    if (lost) {
      isLost = false;
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const seen: BranchingApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    runs: [],
    posts: 0,
    merged: [],
    mergesAtOnce: 0,
    kills: [],
    onActed: () => {},
    loseNextStart: () => {
      isLost = true;
    },
    away: false,
    refuses: new Map(),
    world: api.world,
  };
  return seen;
}
