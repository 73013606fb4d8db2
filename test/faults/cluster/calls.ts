import { KEY } from "./program.js";
import type { ClusterWorker } from "./worker.js";

/** Calls take longer only of a worker that is frozen, or that waits for the database in several turns; in ms. */
const PATIENCE_MS = 25_000;
const API = "/api/v1/workflows/claude-code";

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
export type Body = any;

/** What a client knows after a call: it was done, it was refused with a reason, or no answer came. */
export type Outcome =
  | { kind: "done"; body: Body }
  | { kind: "refused"; status: number; detail: string; started: boolean | undefined }
  | { kind: "lost" };

/** A request on its way to a worker. */
export interface Request {
  worker: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

/** Stands between the client and the workers; for products that are broken on purpose. */
export type Tap = (
  request: Request,
  send: (changed?: Partial<Pick<Request, "headers">>) => Promise<Response>,
) => Promise<Response>;

/** Asks a worker, as any client does: once, without trying again. */
export type Call = (
  worker: ClusterWorker,
  method: string,
  path: string,
  options?: { body?: object; query?: Record<string, string>; key?: string | undefined; patienceMs?: number },
) => Promise<Outcome>;

/** @param tap stands between, where given */
export function createCall(tap: Tap = (_request, send) => send()): Call {
  return async (worker, method, path, { body, query = {}, key, patienceMs = PATIENCE_MS } = {}) => {
    const url = new URL(API + path, worker.url());
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const headers = {
      "x-api-key": KEY,
      ...(body ? { "content-type": "application/json" } : {}),
      ...(key ? { "idempotency-key": key } : {}),
    };
    const request = { worker: worker.index, method, path, headers };
    const send = (changed: object = {}) =>
      fetch(url, {
        ...{ method, headers, body: body ? JSON.stringify(body) : null, ...changed },
        signal: AbortSignal.timeout(patienceMs),
      });
    try {
      const response = await tap(request, send);
      const answer = JSON.parse(await response.text());
      if (response.ok) return { kind: "done", body: answer };
      const { detail, started } = answer;
      const words = typeof detail === "string" ? detail : JSON.stringify(detail);
      return { kind: "refused", status: response.status, detail: words, started };
    } catch {
      return { kind: "lost" };
    }
  };
}
