import { setTimeout as pause } from "node:timers/promises";
import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { type CallScope, currentScope } from "../../src/server/fastmcp/session-hook.js";
import type { ToolDefinition } from "../../src/server/tools/registry.js";

/** A red picture of one pixel, and a sound of no length. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";
/** The suite looks at what happens in between, in ms. */
const PAUSE_MS = 50;
/** By then a client whose stream was cut has come back or not, in ms; either way it must get the answer. */
const AWAY_MS = 100;

const text = (words: string) => ({ type: "text", text: words });
const resource = (uri: string, mimeType: string, words: string) => ({
  type: "resource",
  resource: { uri, mimeType, text: words },
});

/** The call of the earlier protocols that goes on. */
function inCall(): CallScope {
  const scope = currentScope();
  if (!scope) throw new Error("There is no call.");
  return scope;
}

/** A tool whose result no action of ours could give; it is published and served like ours. */
function rawTool(
  name: string,
  run: (args: Record<string, unknown>) => object[] | Promise<object[]>,
  properties: Record<string, object> = {},
): ToolDefinition {
  return {
    name,
    title: "Fixture",
    description: `Fixture ${name} of the conformance suite`,
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    meta: {},
    inputSchema: () => ({ type: "object", properties }),
    isOffered: () => true,
    answerSchema: undefined as never,
    async call(raw) {
      return { content: await run((raw ?? {}) as Record<string, unknown>) } as never;
    },
  };
}

/** What travels with the call, and not on a stream that a client need not have. */
const withCall = ({ requestId }: CallScope) =>
  requestId === undefined ? {} : { relatedRequestId: requestId };

/** The suite's tools for what our answers never have: pictures, sounds, resources. */
export const contentTools: readonly ToolDefinition[] = [
  rawTool("test_image_content", () => [{ type: "image", data: PNG, mimeType: "image/png" }]),
  rawTool("test_audio_content", () => [{ type: "audio", data: WAV, mimeType: "audio/wav" }]),
  rawTool("test_embedded_resource", () => [
    resource("test://embedded-resource", "text/plain", "This is an embedded resource content."),
  ]),
  rawTool("test_multiple_content_types", () => [
    text("Multiple content types test:"),
    { type: "image", data: PNG, mimeType: "image/png" },
    resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ]),
];

/** The same, and those for what only the earlier protocols have: log messages and sampling in mid-call, cut streams. */
export const fixtureTools: readonly ToolDefinition[] = [
  ...contentTools,
  rawTool("test_tool_with_logging", async () => {
    const scope = inCall();
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      const params = { level: "info" as const, data };
      await scope.session.server.notification({ method: "notifications/message", params }, withCall(scope));
      await pause(PAUSE_MS);
    }
    return [text("Tool with logging executed successfully")];
  }),
  rawTool(
    "test_sampling",
    async ({ prompt }) => {
      const scope = inCall();
      const content = { type: "text" as const, text: String(prompt) };
      const answer = await scope.session.server.createMessage(
        { messages: [{ role: "user", content }], maxTokens: 100 },
        withCall(scope),
      );
      return [text(`LLM response: ${JSON.stringify(answer.content)}`)];
    },
    { prompt: { type: "string", description: "The prompt to send" } },
  ),
  rawTool("test_reconnection", async () => {
    const { session, requestId } = inCall();
    const { transport } = session.server;
    if (requestId !== undefined) (transport as StreamableHTTPServerTransport).closeSSEStream(requestId);
    await pause(AWAY_MS);
    return [text("Reconnection test completed")];
  }),
];
