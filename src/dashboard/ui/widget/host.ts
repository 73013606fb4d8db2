import type {
  McpUiHostContext,
  McpUiInitializeRequest,
  McpUiInitializeResult,
  McpUiToolResultNotification,
} from "@modelcontextprotocol/ext-apps";

/**
 * The widget's side of MCP Apps: JSON-RPC by messages to the window that holds it. By hand, because the official class for it is
 * 108 KB compressed without what a browser needs not; its types hold this to the protocol, and the tests run it
 * against the official host.
 */
const PROTOCOL = "2026-01-26";

/** What a tool answered, as it came. */
export type ToolResult = McpUiToolResultNotification["params"];

export interface HostListener {
  /** The arguments of the call that the widget belongs to. */
  onInput(given: Record<string, unknown>): void;
  /** The answer of that call. */
  onResult(result: ToolResult): void;
  /** That call was given up. */
  onCancelled(): void;
  /** What is told of theme and language; parts that stay the same may be missing. */
  onContext(context: McpUiHostContext): void;
  /** The host takes the widget away. */
  onEnd(): void;
}

/** The client in whose chat the widget stands. */
export interface Host {
  /** Calls a tool of the widget's server. @throws Error when the host does not let it, or nothing comes back */
  callTool(name: string, given: Record<string, unknown>): Promise<ToolResult>;
  /** Tells the model what the person has done here, where the host takes such words. Never throws. */
  tellModel(text: string): void;
  /** Tells how much room the widget needs, in CSS pixels. */
  tellSize(width: number, height: number): void;
}

interface Message {
  jsonrpc?: unknown;
  id?: string | number;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { message?: unknown };
}

/** @throws Error when the window that holds the widget is no host */
export async function connectHost(listener: HostListener): Promise<Host> {
  const waiting = new Map<string | number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  const send = (message: object) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  const notify = (method: string, params: object = {}) => send({ method, params });
  const request = (method: string, params: object) =>
    new Promise<unknown>((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      send({ id: last, method, params });
    });

  function take({ id, method, params = {}, result, error }: Message): void {
    if (method === undefined) {
      const asked = id === undefined ? undefined : waiting.get(id);
      if (id !== undefined) waiting.delete(id);
      if (error) asked?.reject(new Error(String(error.message ?? "The client gave no reason.")));
      else asked?.resolve(result);
    } else if (id !== undefined) {
      if (method === "ui/resource-teardown") listener.onEnd();
      const isKnown = method === "ui/resource-teardown" || method === "ping";
      send(isKnown ? { id, result: {} } : { id, error: { code: -32601, message: `No method ${method}.` } });
    } else if (method === "ui/notifications/tool-input")
      listener.onInput((params.arguments as Record<string, unknown> | undefined) ?? {});
    else if (method === "ui/notifications/tool-result") listener.onResult(params as unknown as ToolResult);
    else if (method === "ui/notifications/tool-cancelled") listener.onCancelled();
    else if (method === "ui/notifications/host-context-changed") listener.onContext(params);
  }

  window.addEventListener("message", ({ source, data }) => {
    const message = data as Message | null;
    // Nobody but the host is listened to.
    if (source === window.parent && typeof message === "object" && message?.jsonrpc === "2.0") take(message);
  });

  const greeting: McpUiInitializeRequest["params"] = {
    appInfo: { name: "automagik-workflows-mcp widget", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline"] },
    protocolVersion: PROTOCOL,
  };
  const { hostCapabilities, hostContext } = (await request(
    "ui/initialize",
    greeting,
  )) as McpUiInitializeResult;
  listener.onContext(hostContext);
  notify("ui/notifications/initialized");

  return {
    callTool: async (name, given) => (await request("tools/call", { name, arguments: given })) as ToolResult,
    tellModel(text) {
      if (!hostCapabilities.updateModelContext) return;
      request("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
    },
    tellSize: (width, height) => notify("ui/notifications/size-changed", { width, height }),
  };
}
