import type { ServerResponse } from "node:http";

/** The protocol's code for an error of the server's own; -32001 is what its SDKs say for an unknown session. */
const SERVER_ERROR = -32_000;

/** A request that is not served. The message is fit to be shown to anybody. */
export class HttpRefusal extends Error {
  override name = "HttpRefusal";
  readonly code: number;
  readonly headers: Record<string, string>;
  /** Of the request that is refused, so that its sender can tell which one. */
  id: string | number | null;

  constructor(
    readonly status: number,
    message: string,
    options: { code?: number; headers?: Record<string, string>; id?: string | number | null } = {},
  ) {
    super(message);
    this.code = options.code ?? SERVER_ERROR;
    this.headers = options.headers ?? {};
    this.id = options.id ?? null;
  }
}

/**
 * Answers with a JSON-RPC error, as the protocol wants it, and closes the connection: it may be needed for others.
 */
export function sendRefusal(response: ServerResponse, refusal: HttpRefusal): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, code, message, headers, id } = refusal;
  response.writeHead(status, { "content-type": "application/json", connection: "close", ...headers });
  response.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id }));
}

/** The id of a single request, so that its sender can tell which one was refused. */
export function idOf(body: unknown): string | number | null {
  const { id } = (body ?? {}) as { id?: unknown };
  return typeof id === "string" || typeof id === "number" ? id : null;
}
