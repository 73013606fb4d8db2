import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer of the pretended model. Without calls it ends the turn. */
export interface ResponsesStep {
  text?: string;
  /** Calls of functions: name and arguments. */
  calls?: { name: string; input: unknown }[];
  /** A patch by the tool `apply_patch`. */
  patch?: string;
  /** The API fails instead. */
  failure?: { status: number; message: string; type?: string };
}

/** One request to the model, and what it shows of the conversation. */
export interface ResponsesRequest {
  /** Counted from 0 over all requests of this server. */
  index: number;
  model: string;
  instructions: string;
  tools: string[];
  /** What was written by persons, oldest first, without what the client adds itself. */
  userTexts: string[];
  /** What the calls so far have given, oldest first. */
  outputs: string[];
  /** Answers of the model with calls since the last text of a person, counted from 0. */
  step: number;
  body: Record<string, unknown>;
}

export interface ScriptedResponses {
  /** What `base_url` of a provider is to be. */
  url: string;
  requests: ResponsesRequest[];
  close(): Promise<void>;
}

interface Item {
  type?: string;
  role?: string;
  content?: unknown;
  output?: unknown;
}

/** What Codex puts before the model in a person's name. */
const CLIENTS_OWN =
  /^\s*(?:<(?:environment_context|user_instructions|permissions|turn_aborted|INSTRUCTIONS|skills)|# AGENTS\.md)/;
/** How every script ends. */
export const FINISHED = "Finished.";
const USAGE = {
  input_tokens: 1_000,
  input_tokens_details: { cached_tokens: 400 },
  output_tokens: 50,
  output_tokens_details: { reasoning_tokens: 10 },
  total_tokens: 1_050,
};

/**
 * A pretended Responses API on loopback, so that the real Codex can be run without network, key or model. It reads where
 * a conversation stands from the request alone.
 * @param handler decides each answer; what it gives nothing for is answered by `FINISHED`
 * @throws when no port can be had
 */
export async function serveScriptedResponses(
  handler: (request: ResponsesRequest) => ResponsesStep | undefined | Promise<ResponsesStep | undefined>,
): Promise<ScriptedResponses> {
  const requests: ResponsesRequest[] = [];
  const server = createServer((incoming, response) => {
    respond(incoming, response).catch(() => incoming.socket.destroy());
  });

  async function respond(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(incoming);
    if (!incoming.url?.endsWith("/responses") || incoming.method !== "POST")
      return sendJson(response, 404, {});
    const request = readRequest(body, requests.length);
    requests.push(request);
    const step = (await handler(request)) ?? { text: FINISHED };
    if (!step.failure) return sendStream(response, itemsOf(step, request.index), request);
    const { status, message, type = "error" } = step.failure;
    sendJson(response, status, { error: { message, type } });
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function readRequest(body: Record<string, unknown>, index: number): ResponsesRequest {
  const items = Array.isArray(body.input) ? (body.input as Item[]) : [];
  const userTexts: string[] = [];
  const outputs: string[] = [];
  let step = 0;
  for (const item of items) {
    if (item.type?.endsWith("_output")) {
      outputs.push(textOf(item.output));
      step = outputs.length;
    }
    if (item.type !== "message" || item.role !== "user") continue;
    const text = textOf(item.content);
    if (CLIENTS_OWN.test(text)) continue;
    userTexts.push(text);
  }
  return {
    index,
    model: String(body.model),
    instructions: [
      String(body.instructions ?? ""),
      ...items.filter(({ role }) => role === "developer").map(({ content }) => textOf(content)),
    ].join("\n"),
    tools: Array.isArray(body.tools)
      ? body.tools.map((tool: { name?: string; type?: string }) => String(tool.name ?? tool.type))
      : [],
    userTexts,
    outputs,
    step,
    body,
  };
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part: { text?: string }) => part.text ?? "").join("\n");
  return JSON.stringify(content ?? "");
}

function itemsOf(step: ResponsesStep, index: number): object[] {
  const items: object[] = [];
  if (step.text !== undefined)
    items.push({
      type: "message",
      role: "assistant",
      id: `msg_${index}`,
      status: "completed",
      content: [{ type: "output_text", text: step.text, annotations: [] }],
    });
  (step.calls ?? []).forEach(({ name, input }, position) => {
    items.push({
      type: "function_call",
      id: `fc_${index}_${position}`,
      call_id: `call_${index}_${position}`,
      name,
      arguments: JSON.stringify(input),
      status: "completed",
    });
  });
  if (step.patch !== undefined)
    items.push({
      type: "custom_tool_call",
      id: `ctc_${index}`,
      call_id: `call_${index}_p`,
      name: "apply_patch",
      input: step.patch,
      status: "completed",
    });
  return items;
}

function sendStream(response: ServerResponse, items: object[], request: ResponsesRequest): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  const id = `resp_${request.index}`;
  send("response.created", { response: { id, status: "in_progress" } });
  items.forEach((item, output_index) => {
    send("response.output_item.added", { output_index, item: { ...item, content: [] } });
    send("response.output_item.done", { output_index, item });
  });
  send("response.completed", {
    response: { id, status: "completed", model: request.model, output: items, usage: USAGE },
  });
  response.end();
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function readJson(incoming: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
  } catch {
    return {};
  }
}
