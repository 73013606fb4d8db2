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

/** The simulated API with branches, which tells what was paid for, and of which answers can be lost. */
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
  /** The same for the requests that fit, by their paths, until it is back; or that things stand against it (409). */
  refuse(fits: (path: string) => boolean, status?: 503 | 409): { back(): void };
  /** What the agent of a session asks, by the session's name; empty for nothing any more. */
  asks: Map<string, string>;
  /** All that it was asked, in order. */
  requests: ReturnType<typeof createSimulatedApi>["requests"];
  /** Its runs. */
  world: ReturnType<typeof createSimulatedApi>["world"];
}

const IS_START = /\/run\/[^/?]+(\?|$)/;

/**
 * @param options.keepsKeys it promises that starts under one `Idempotency-Key` are one run
 * @param options.script how the runs go
 */
export async function serveBranchingApi(options: {
  keepsKeys?: boolean;
  script: (start: StartInfo) => Script | undefined;
}): Promise<BranchingApi> {
  const api = createSimulatedApi({
    describe: true,
    branches: true,
    paceMs: 0,
    ...(options.keepsKeys ? { keyPrefix: "db." } : {}),
    // One that was started under a known key is not started again, and asks for no script.
    script(start) {
      const { message, session_name: session, session_id: continues, start_from: from } = start.body;
      seen.runs.push({
        workflow: start.workflowName,
        message,
        session: session ?? undefined,
        continues: continues ?? undefined,
        from: from ?? undefined,
        key: newestKey,
      });
      return options.script(start);
    },
  });
  let isLost = false;
  let refused = (_path: string) => false;
  let refusal: 503 | 409 = 503;
  let merging = 0;
  let newestKey: string | undefined;

  async function take(run: string, request: Request) {
    merging++;
    seen.mergesAtOnce = Math.max(seen.mergesAtOnce, merging);
    await new Promise((resolve) => setImmediate(resolve));
    merging--;
    const response = await api.handle(request);
    const { taken, into } = (await response.clone().json()) as { taken?: boolean; into?: string };
    if (taken) seen.merged.push(`${api.world.get(run).work?.branch} into ${into}`);
    return response;
  }

  async function withQuestion(run: string, response: Response): Promise<Response> {
    const text = response.ok ? seen.asks.get(api.world.get(run).sessionName) : undefined;
    if (text === undefined) return response;
    const questions = text ? [{ question_id: "q", kind: "question", text }] : [];
    return Response.json({ ...((await response.json()) as object), questions });
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, run = "", verb] = /\/run\/([^/]+)(?:\/([\w-]+))?$/.exec(pathname) ?? [];
    if (verb === "status") return withQuestion(run, await api.handle(request));
    if (request.method !== "POST") return api.handle(request);
    if (verb === "take") return take(run, request);
    if (verb === "kill") seen.kills.push(run);
    if (verb === undefined) {
      seen.posts++;
      newestKey = request.headers.get("idempotency-key") ?? undefined;
    }
    return api.handle(request);
  }

  const server = createServer(async (incoming, response) => {
    let text = "";
    for await (const chunk of incoming) text += chunk;
    if (seen.away || refused(incoming.url?.split("?")[0] ?? "")) {
      const status = seen.away ? 503 : refusal;
      const detail = status === 503 ? "Down for maintenance" : "Another run goes on in this session";
      response.writeHead(status, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ detail, started: false }));
      return;
    }
    const { method = "GET", url = "/" } = incoming;
    const isStart = method === "POST" && IS_START.test(url);
    const lost = isStart && isLost;
    const request = new Request(new URL(url, "http://localhost"), {
      method,
      headers: Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      ...(text ? { body: text } : {}),
    });
    const answered = await answer(request);
    if (isStart || url.includes("/take")) await seen.onActed();
    if (lost) {
      isLost = false;
      incoming.socket.destroy();
      return;
    }
    response.writeHead(answered.status, { "content-type": "application/json", connection: "close" });
    response.end(await answered.text());
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
    refuse(fits, status = 503) {
      refused = fits;
      refusal = status;
      return { back: () => (refused = () => false) };
    },
    asks: new Map(),
    requests: api.requests,
    world: api.world,
  };
  return seen;
}
