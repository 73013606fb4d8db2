import { CLAUDE, type Frame } from "./modern-frames.js";

/** What one request was answered with. */
export interface Sent {
  status: number;
  headers: Headers;
  frames: Frame[];
  /** The answer to the request. */
  answer: Frame;
}

export interface SendOptions {
  /** In place of those that a client sends; undefined leaves one out. */
  headers?: Record<string, string | undefined>;
  meta?: object;
  signal?: AbortSignal;
  /** Told of all that has come so far, with each piece. */
  onText?: (text: string) => void;
}

let next = 0;

/** One request of protocol 2026-07-28 over HTTP, as the real Claude Code sends it. */
export async function sendModern(
  { url }: { url: string },
  method: string,
  params: object = {},
  how: SendOptions = {},
): Promise<Sent> {
  const id = next++;
  const { name, taskId, uri } = params as { name?: string; taskId?: string; uri?: string };
  const about = name ?? taskId ?? uri;
  const headers: Record<string, string | undefined> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    "mcp-name": about,
    ...how.headers,
  };
  const response = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: Object.entries(headers).filter((one): one is [string, string] => one[1] !== undefined),
    body: JSON.stringify({
      jsonrpc: "2.0",
      id,
      method,
      params: { ...params, _meta: { ...CLAUDE, ...how.meta } },
    }),
    ...(how.signal ? { signal: how.signal } : {}),
  });
  let text = "";
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString("utf8");
    how.onText?.(text);
  }
  const frames = text.startsWith("{")
    ? [JSON.parse(text)]
    : [...text.matchAll(/^data: (\{.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
  const answer = frames.find((frame) => frame.id === id) ?? frames[0];
  return { status: response.status, headers: response.headers, frames, answer };
}

/** Calls the one tool. */
export const callModern = (
  to: { url: string },
  args: object,
  more: object = {},
  how: SendOptions = {},
): Promise<Sent> =>
  sendModern(to, "tools/call", { name: "orchestrate_workflow", arguments: args, ...more }, how);

/** What the same call brings with it to answer the form of that result. */
export function bringTo({ result }: Frame, reply: object): object {
  const [key = ""] = Object.keys(result.inputRequests);
  return { inputResponses: { [key]: reply }, requestState: result.requestState };
}
