import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer of the pretended model. Without tool calls it ends the turn. */
export interface ModelStep {
  thinking?: string;
  text?: string;
  tools?: { name: string; input: unknown; id?: string }[];
  /** How long the model takes for it, in ms. */
  delayMs?: number;
  usage?: { input: number; output: number };
  /** The API fails instead. */
  failure?: { status: number; type: string; message: string };
}

/** One request to the model, and what it shows of the conversation. */
export interface ModelRequest {
  /** Counted from 0 over all requests of this server. */
  index: number;
  model: string;
  system: string;
  tools: string[];
  /** What was written by persons or for them, oldest first, without the client's own reminders. */
  userTexts: string[];
  /** The results of the tools that the last answer has called. */
  toolResults: { id: string; text: string; isError: boolean }[];
  /** Requests of persons so far, counted from 0. What they say while tools run belongs to the request before it. */
  userTurn: number;
  /** Answers of the model since that request, counted from 0. */
  step: number;
  /** The request as it came. */
  body: Record<string, unknown>;
}

export interface ScriptedAnthropic {
  /** What ANTHROPIC_BASE_URL is to be. */
  url: string;
  requests: ModelRequest[];
  close(): Promise<void>;
}

export interface ScriptedAnthropicOptions {
  /** The steps of each request of a person; what goes beyond them is answered by `FINISHED`. */
  script?: ModelStep[][];
  /** Decides each answer; without one, or when it gives nothing, the script does. */
  handler?: (request: ModelRequest) => ModelStep | undefined | Promise<ModelStep | undefined>;
  /** Default 0: any free port. */
  port?: number;
}

interface Block {
  type: string;
  text?: string;
  content?: unknown;
  tool_use_id?: string;
  is_error?: boolean;
}

interface Message {
  role: string;
  content: string | Block[];
}

/** How every script ends. */
export const FINISHED = "Finished.";

const DEFAULT_USAGE = { input: 1_000, output: 100 };
const REMINDER = "<system-reminder>";

/**
 * A pretended Messages API on loopback, so that the real Claude Code can be run without network, key or model. It
 * reads where a conversation stands from the request alone, so a conversation that is continued, or several at once,
 * need no state here.
 * @throws when the port cannot be had
 */
export async function serveScriptedAnthropic(
  options: ScriptedAnthropicOptions = {},
): Promise<ScriptedAnthropic> {
  const requests: ModelRequest[] = [];
  const server = createServer((incoming, response) => {
    respond(incoming, response).catch(() => incoming.socket.destroy());
  });

  async function respond(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(incoming);
    const path = new URL(incoming.url ?? "/", "http://localhost").pathname;
    if (path === "/v1/messages/count_tokens") return sendJson(response, 200, { input_tokens: 10 });
    if (path !== "/v1/messages" || incoming.method !== "POST") return sendJson(response, 404, {});
    const request = readRequest(body, requests.length);
    requests.push(request);
    const step = (await options.handler?.(request)) ??
      options.script?.[request.userTurn]?.[request.step] ?? { text: FINISHED };
    if (step.delayMs) await new Promise((resolve) => setTimeout(resolve, step.delayMs));
    if (step.failure) {
      const { status, type, message } = step.failure;
      return sendJson(response, status, { type: "error", error: { type, message } });
    }
    const answer = buildAnswer(step, request);
    if (body.stream === true) sendStream(response, answer);
    else sendJson(response, 200, answer);
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function readRequest(body: Record<string, unknown>, index: number): ModelRequest {
  const messages = Array.isArray(body.messages) ? (body.messages as Message[]) : [];
  const userTexts: string[] = [];
  let toolResults: ModelRequest["toolResults"] = [];
  let userTurn = -1;
  let step = 0;
  let mayBegin = true;
  for (const message of messages) {
    if (message.role === "assistant") {
      step++;
      // What is said between a tool's call and its result does not begin another request.
      mayBegin = !blocksOf(message).some((block) => block.type === "tool_use");
      continue;
    }
    if (message.role !== "user") continue;
    const blocks = blocksOf(message);
    const results = blocks.filter((block) => block.type === "tool_result");
    if (results.length > 0)
      toolResults = results.map((block) => ({
        id: block.tool_use_id ?? "",
        text: textOf(block.content),
        isError: block.is_error === true,
      }));
    const texts = blocks.flatMap((block) => (block.type === "text" && block.text ? [block.text] : []));
    const said = texts.filter((text) => !text.startsWith(REMINDER));
    userTexts.push(...said);
    if (said.length > 0 && mayBegin) {
      userTurn++;
      step = 0;
      toolResults = [];
      mayBegin = false;
    }
  }
  return {
    index,
    model: String(body.model),
    system: textOf(body.system),
    tools: Array.isArray(body.tools) ? body.tools.map((tool: { name?: string }) => String(tool.name)) : [],
    userTexts,
    toolResults,
    userTurn: Math.max(0, userTurn),
    step,
    body,
  };
}

function blocksOf(message: Message): Block[] {
  return typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((block: Block) => block.text ?? "").join("\n");
}

type AnswerBlock =
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "text"; text: string }
  | { type: "tool_use"; id: string; name: string; input: unknown };

interface Answer {
  id: string;
  type: "message";
  role: "assistant";
  model: string;
  content: AnswerBlock[];
  stop_reason: string | null;
  stop_sequence: null;
  usage: { input_tokens: number; output_tokens: number };
}

function buildAnswer(step: ModelStep, request: ModelRequest): Answer {
  const content: AnswerBlock[] = [];
  if (step.thinking) content.push({ type: "thinking", thinking: step.thinking, signature: "c2lnbmF0dXJl" });
  if (step.text) content.push({ type: "text", text: step.text });
  (step.tools ?? []).forEach(({ name, input, id }, position) => {
    content.push({ type: "tool_use", id: id ?? `toolu_${request.index}_${position}`, name, input });
  });
  const { input, output } = step.usage ?? DEFAULT_USAGE;
  return {
    id: `msg_${request.index}`,
    type: "message",
    role: "assistant",
    model: request.model,
    content,
    stop_reason: step.tools?.length ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: { input_tokens: input, output_tokens: output },
  };
}

function sendStream(response: ServerResponse, answer: Answer): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  const begun = { ...answer, content: [], stop_reason: null, usage: { ...answer.usage, output_tokens: 1 } };
  send("message_start", { message: begun });
  answer.content.forEach((block, index) => {
    const { empty, deltas } = splitBlock(block);
    send("content_block_start", { index, content_block: empty });
    for (const delta of deltas) send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  });
  const usage = { output_tokens: answer.usage.output_tokens };
  send("message_delta", { delta: { stop_reason: answer.stop_reason, stop_sequence: null }, usage });
  send("message_stop", {});
  response.end();
}

function splitBlock(block: AnswerBlock): { empty: object; deltas: object[] } {
  if (block.type === "text")
    return { empty: { ...block, text: "" }, deltas: [{ type: "text_delta", text: block.text }] };
  if (block.type === "tool_use") {
    const partial = { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
    return { empty: { ...block, input: {} }, deltas: [partial] };
  }
  const deltas = [
    { type: "thinking_delta", thinking: block.thinking },
    { type: "signature_delta", signature: block.signature },
  ];
  return { empty: { ...block, thinking: "", signature: "" }, deltas };
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
