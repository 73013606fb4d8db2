/** MCP Apps (extension `io.modelcontextprotocol/ui`, revision 2026-01-26): pages of a server that a client shows in its chat. */

const APPS = "io.modelcontextprotocol/ui";
export const WIDGET_TYPE = "text/html;profile=mcp-app";
export const WIDGET_URI = "ui://automagik-workflows-mcp/widget.html";

/** What a tool says to clients that show widgets, and to no other. */
export interface ToolUi {
  /** The page that shows its answers. */
  resourceUri?: string;
  /** Only the widget calls it: it is not for the model. */
  visibility?: readonly ["app"];
}

/** Whether a client with these capabilities shows our widget. */
export function showsWidgets(
  capabilities: { extensions?: Record<string, unknown> | undefined } | null | undefined,
): boolean {
  const told = capabilities?.extensions?.[APPS] as { mimeTypes?: unknown } | null | undefined;
  return Array.isArray(told?.mimeTypes) && told.mimeTypes.includes(WIDGET_TYPE);
}

/** The `_meta` of a tool in a list; undefined where the tool is not for this client. */
export function metaFor(
  { meta, ui }: { meta: Readonly<Record<string, unknown>>; ui?: ToolUi },
  withWidgets: boolean,
): Record<string, unknown> | undefined {
  if (!ui) return meta;
  if (withWidgets) return { ...meta, ui };
  return ui.visibility ? undefined : meta;
}
