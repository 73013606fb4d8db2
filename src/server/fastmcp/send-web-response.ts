import type { IncomingMessage, ServerResponse } from "node:http";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

/** What of a request's headers is the transport's business. */
const PASSED_ON = ["content-type", "last-event-id", "mcp-protocol-version", "mcp-session-id"];

/** The same for protocol 2026-07-28, which says in headers, too, what a request is about. */
const MODERN_PASSED_ON = ["accept", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"];

/** @param signal ends when the client has gone */
export function toModernRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value !== "string") continue;
    if (MODERN_PASSED_ON.includes(name) || name.startsWith("mcp-param-")) headers.set(name, value);
  }
  return new Request("http://localhost/mcp", { method: "POST", headers, signal });
}

/** The request as the transport takes it, without its body, and with what it wants to be told is accepted. */
export function toWebRequest(request: IncomingMessage): Request {
  const headers = new Headers({ accept: "application/json, text/event-stream" });
  for (const name of PASSED_ON) {
    const value = request.headers[name];
    if (typeof value === "string") headers.set(name, value);
  }
  return new Request("http://localhost/mcp", { method: request.method ?? "GET", headers });
}

/**
 * Sends what the transport answers. Its stream is read as fast as it comes, so that all that waits for the client
 * waits in one place.
 * @param onWritten called after each piece
 */
export async function sendWebResponse(
  answer: Response,
  response: ServerResponse,
  onWritten: () => void,
): Promise<void> {
  if (isOver(response)) return void answer.body?.cancel().catch(() => {});
  // How long a connection is kept is this server's to say.
  answer.headers.delete("connection");
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.flushHeaders();
  for await (const piece of readPieces(answer, response)) {
    // Between the reading and this the stopping server may have ended it.
    if (isOver(response)) break;
    response.write(piece);
    onWritten();
  }
  if (!isOver(response)) response.end();
}

/** The same for a client that reads no stream: what has been asked is answered in one piece, as JSON. */
export async function sendAsJson(
  answer: Response,
  response: ServerResponse,
  onWritten: () => void,
): Promise<void> {
  if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) {
    return sendWebResponse(answer, response, onWritten);
  }
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of readPieces(answer, response)) text += decoder.decode(piece, { stream: true });
  if (isOver(response)) return;
  const messages = [...text.matchAll(/^data: (\{.*)$/gm)].map(
    ([, data = ""]) => JSON.parse(data) as JSONRPCMessage,
  );
  const answers = messages.filter((message) => !("method" in message));
  const sessionId = answer.headers.get("mcp-session-id");
  response.writeHead(200, {
    "content-type": "application/json",
    ...(sessionId === null ? {} : { "mcp-session-id": sessionId }),
  });
  response.end(JSON.stringify(answers.length === 1 ? answers[0] : answers));
  onWritten();
}

/** Whether nothing can be written any more. */
const isOver = (response: ServerResponse) => response.destroyed || response.writableEnded;

/** The pieces of an answer's body, until it or the client has come to an end. */
async function* readPieces(answer: Response, response: ServerResponse): AsyncGenerator<Uint8Array> {
  const reader = answer.body?.getReader();
  if (!reader) return;
  const stop = () => void reader.cancel().catch(() => {});
  response.once("close", stop);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || isOver(response)) break;
    yield value;
  }
  response.off("close", stop);
  stop();
}
