import { readFileSync } from "node:fs";
import { expect, vi } from "vitest";
import { createApiClient, type WorkflowsApi } from "../../src/api/client.js";
import { systemClock } from "../../src/shared/clock.js";

/** How a run of a test goes: one action for each turn. */
export interface RunScript {
  actions: string[];
  /** Milliseconds for each turn, about. */
  paceMs: number;
  result?: string;
  /** The agent ends with this error instead of a result. */
  fail?: string;
  /** It commits a file of this name with this in it; only where the start has a repository. */
  commit?: { file: string; text: string };
  /** Of a simulated API: how taking its work goes. Others find that out by themselves. */
  take?: { conflicts?: string[]; checkFails?: string };
}

/** A server under test, and what a test needs of it beside HTTP. */
export interface ContractServer {
  /** Its origin. */
  url: string;
  apiKey: string;
  /** A repository that sessions may work on, with a branch `main` and no other. */
  repository: string;
  /**
   * The message with which a run goes as scripted; it begins with `message`. So that no script comes to another run
   * than its own, however slowly that one begins. Without a script a run is over in a moment.
   */
  scripted(message: string, script: RunScript): string;
  /** A further server that cannot start anything, for want of the agent's program, say; the case closes it. */
  unable(): Promise<Pick<ContractServer, "url" | "apiKey" | "close">>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
export type Body = any;

export interface Reply {
  status: number;
  body: Body;
  headers: Headers;
}

export interface CallOptions {
  query?: Record<string, string>;
  /** Sent as it is when it is a text. */
  body?: unknown;
  headers?: Record<string, string>;
}

export const API = "/api/v1/workflows/claude-code";

/** Talks to a server as anybody could, and as the product does. */
export interface ContractClient {
  /** With the key, unless headers are given. Paths are below the API; those that begin with `root:` are not. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  get(path: string, query?: Record<string, string>): Promise<Reply>;
  post(path: string, body?: unknown, query?: Record<string, string>): Promise<Reply>;
  /** Starts a run that must be accepted; gives the answer. */
  start(
    fields?: Record<string, unknown> & { script?: RunScript },
    workflow?: string,
    query?: Record<string, string>,
  ): Promise<Body>;
  /** Waits until a status fits; gives it. */
  until(runId: string, fits: (status: Body) => boolean): Promise<Body>;
  /** Waits until a run has ended; gives its status. */
  ended(runId: string): Promise<Body>;
  product: WorkflowsApi;
}

export function createContractClient(
  server: Pick<ContractServer, "url" | "apiKey"> & Partial<Pick<ContractServer, "scripted">>,
): ContractClient {
  const { url, apiKey } = server;

  async function call(method: string, path: string, options: CallOptions = {}): Promise<Reply> {
    const address = new URL(path.startsWith("root:") ? path.slice(5) : API + path, url);
    for (const [name, value] of Object.entries(options.query ?? {})) address.searchParams.set(name, value);
    const { body } = options;
    const response = await fetch(address, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(options.headers ?? { "x-api-key": apiKey }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? undefined : JSON.parse(text),
      headers: response.headers,
    };
  }

  async function until(runId: string, fits: (status: Body) => boolean): Promise<Body> {
    return vi.waitFor(
      async () => {
        const { body } = await call("GET", `/run/${runId}/status`);
        if (!fits(body)) throw new Error(`The run does not fit: ${JSON.stringify(body)}`);
        return body;
      },
      { timeout: 15_000, interval: 15 },
    );
  }

  return {
    call,
    get: (path, query = {}) => call("GET", path, { query }),
    post: (path, body, query = {}) => call("POST", path, { query, ...(body === undefined ? {} : { body }) }),
    async start({ script, ...fields } = {}, workflow = "implement", query = {}) {
      const plain = "Add rate limiting";
      const message = script ? server.scripted?.(plain, script) : plain;
      const body = { message, input_format: "stream-json", ...fields };
      const answer = await call("POST", `/run/${workflow}`, { body, query });
      expect(answer).toMatchObject({ status: 200 });
      return answer.body;
    },
    until,
    ended: (runId) => until(runId, ({ status }) => ["completed", "failed", "killed"].includes(status)),
    product: createApiClient({
      baseUrl: url,
      apiKey,
      requestTimeoutMs: 15_000,
      maxRetries: 0,
      clock: systemClock,
      random: Math.random,
    }),
  };
}

/** What the public server answered to a request, word for word. */
export function recordedAnswer(name: string): Body {
  const file = new URL(`../fixtures/upstream/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).response.body;
}

/**
 * The kinds of the values under the keys that both have, as "path: kind"; what is null or empty on either side is of
 * no known kind and left out. Equal for two answers of one shape.
 */
export function sharedShape(ours: Body, theirs: Body, path = ""): { ours: string[]; theirs: string[] } {
  const kinds = [ours, theirs].map((value) => (Array.isArray(value) ? "array" : typeof value));
  if (ours === null || theirs === null) return { ours: [], theirs: [] };
  const shape = { ours: [`${path}: ${kinds[0]}`], theirs: [`${path}: ${kinds[1]}`] };
  if (kinds[0] !== kinds[1] || typeof ours !== "object") return shape;
  for (const key of Object.keys(theirs)) {
    if (!(key in ours)) continue;
    const inner = sharedShape(ours[key], theirs[key], `${path}/${key}`);
    shape.ours.push(...inner.ours);
    shape.theirs.push(...inner.theirs);
  }
  return shape;
}
