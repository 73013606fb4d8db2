import type { FastMCP } from "fastmcp";
import type { Services } from "../../actions/define-action.js";
import type { ApiCapabilities } from "../../api/capabilities.js";
import type { Catalogue } from "../../workflows/catalogue.js";
import { metaFor, showsWidgets } from "../tools/apps.js";
import { INPUT_DROPPED, OUTPUT_DROPPED, plainSchema } from "../tools/plain-schema.js";
import type { ToolDefinition } from "../tools/registry.js";
import type { InFlightCalls } from "./in-flight-calls.js";
import { markNow, refineTools, spendFirstRequestId, wasSetUpBefore } from "./session-hook.js";

type FrameworkTool = Parameters<FastMCP["addTool"]>[0];

/**
 * Publishes the tools and publishes them anew whenever the catalogue or what the API offers changes, so that their
 * list and the enums in their schemas follow it. Tools that the API has no endpoint for are not listed, and can be
 * called all the same: a client that still has them learns why they do nothing. Must be called before the first session.
 */
export function publishTools(
  server: FastMCP,
  tools: readonly ToolDefinition[],
  collaborators: {
    catalogue: Catalogue;
    capabilities: ApiCapabilities;
    inFlight: InFlightCalls;
    services: Services;
  },
): void {
  const { catalogue, capabilities, inFlight, services } = collaborators;
  const known = new Map(tools.map((tool) => [tool.name, tool]));
  let publishedAt = 0;
  let published: FrameworkTool[] = [];
  let offered = new Set<ToolDefinition>();
  /** What a client was shown of the arguments; they are made when they are first asked for, and once. */
  const shown = new Map<ToolDefinition, Record<string, unknown>>();
  function schemaOf(tool: ToolDefinition): Record<string, unknown> {
    const schema = shown.get(tool) ?? tool.inputSchema(catalogue.state());
    shown.set(tool, schema);
    return schema;
  }
  /** Much of what an API says of itself makes no difference to what a client sees of the tools. */
  const looksTheSame = () =>
    tools.every(
      (tool, index) =>
        tool.isOffered() === offered.has(tool) &&
        tool.description === published[index]?.description &&
        (!shown.has(tool) ||
          JSON.stringify(shown.get(tool)) === JSON.stringify(tool.inputSchema(catalogue.state()))),
    );

  const build = (tool: ToolDefinition): FrameworkTool => ({
    name: tool.name,
    description: tool.description,
    annotations: { title: tool.title, ...tool.annotations },
    // Lenient on purpose: with a validating schema the framework answers bad or missing arguments with a protocol
    // error before the tool is asked, and nobody could be asked for what is missing.
    parameters: lenientSchema(() => schemaOf(tool)) as NonNullable<FrameworkTool["parameters"]>,
    outputSchema: tool.answerSchema as unknown as NonNullable<FrameworkTool["outputSchema"]>,
    execute: (raw, context) => inFlight.serve(context, (call) => tool.call(raw, call, services)) as never,
  });

  function publish(): void {
    publishedAt = markNow();
    published = tools.map(build);
    shown.clear();
    offered = new Set(tools.filter((tool) => tool.isOffered()));
    // A tool of the same name is replaced. All at once: their order stays, and every session is notified once.
    server.addTools(published);
  }

  const informed = new WeakMap<object, number>();
  publish();
  const publishAnew = () => {
    publish();
    for (const session of server.sessions) informed.set(session, publishedAt);
  };
  catalogue.onChange(publishAnew);
  capabilities.onChange(() => {
    if (!looksTheSame()) publishAnew();
  });
  server.on("connect", ({ session }) => {
    spendFirstRequestId(session);
    refineTools(session, (tool) => {
      const definition = known.get(tool.name);
      if (!definition) return tool;
      const meta = metaFor(definition, showsWidgets(session.server.getClientCapabilities()));
      if (!meta || !definition.isOffered()) return undefined;
      return {
        ...tool,
        title: definition.title,
        _meta: meta,
        // The framework forbids further arguments in the schema, a keyword that Gemini's API refuses.
        ...("inputSchema" in tool ? { inputSchema: plainSchema(tool.inputSchema, INPUT_DROPPED) } : {}),
        ...("outputSchema" in tool ? { outputSchema: plainSchema(tool.outputSchema, OUTPUT_DROPPED) } : {}),
      };
    });
    // A change made while the session was being set up has passed it by.
    if (wasSetUpBefore(session, publishedAt) && informed.get(session) !== publishedAt) {
      session.toolsListChanged(published);
    }
  });
}

function lenientSchema(jsonSchema: () => Record<string, unknown>) {
  return {
    "~standard": {
      version: 1 as const,
      vendor: "automagik-workflows-mcp",
      jsonSchema: { input: jsonSchema, output: () => ({}) },
      validate: (value: unknown) => ({ value }),
    },
  };
}
