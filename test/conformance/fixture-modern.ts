import {
  CLIENT_CAPABILITIES_META_KEY,
  createMcpHandler,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Services } from "../../src/actions/define-action.js";
import { createHeldCalls } from "../../src/server/modern/held-calls.js";
import type { ModernRequest } from "../../src/server/modern/modern-leg.js";
import { SERVER_OPTIONS } from "../../src/server/modern/modern-server.js";
import { createPollPace } from "../../src/server/modern/poll-pace.js";
import { serveTasks } from "../../src/server/modern/serve-tasks.js";
import { createToolHandlers } from "../../src/server/modern/serve-tools.js";
import { createTaskIds } from "../../src/server/modern/task-ids.js";
import { createTasks } from "../../src/server/modern/tasks.js";
import type { ToolDefinition } from "../../src/server/tools/registry.js";
import { systemClock } from "../../src/shared/clock.js";
import {
  type PlainPrompt,
  plainPrompts,
  plainResources,
  plainTemplate,
  schemaTool,
} from "./fixture-plain.js";
import { FORM, INPUTS, ROOTS, SAMPLING } from "./fixture-rounds.js";
import { contentTools } from "./fixture-tools.js";

interface RawTool {
  name: string;
  description: string;
  inputSchema: object;
  call(context: ServerContext): unknown;
}

const text = (words: string) => ({ content: [{ type: "text", text: words }] });
const ask = (inputRequests: object, requestState?: string) => ({
  resultType: "input_required",
  inputRequests,
  ...(requestState === undefined ? {} : { requestState }),
});
const raw = (name: string, call: RawTool["call"]): RawTool => ({
  name,
  description: `Fixture ${name} of the conformance suite`,
  inputSchema: { type: "object" },
  call,
});
/** Asks for what is named, and tells what came. */
const asking = (name: string, requests: Record<string, object>, requestState?: string) =>
  raw(name, ({ mcpReq }) => {
    const given = mcpReq.inputResponses ?? {};
    if (Object.keys(requests).some((key) => given[key] === undefined)) return ask(requests, requestState);
    return text(`Got ${JSON.stringify(given)}`);
  });

const capabilitiesOf = ({ mcpReq }: ServerContext) =>
  (mcpReq.envelope as Record<string, Record<string, unknown>> | undefined)?.[CLIENT_CAPABILITIES_META_KEY] ??
  {};

/** The suite's tools for what no call of ours asks for: sampling, roots, several things at once. */
function rawTools(tell: { toolsChanged(): void; promptsChanged(): void }): RawTool[] {
  return [
    asking("test_input_required_result_sampling", { capital_question: SAMPLING }),
    asking("test_input_required_result_list_roots", { client_roots: ROOTS }),
    asking("test_input_required_result_multiple_inputs", INPUTS, "all"),
    raw("test_input_required_result_capabilities", (context) => {
      const { sampling, elicitation } = capabilitiesOf(context);
      return ask(
        { ...(sampling ? { sampling: SAMPLING } : {}), ...(elicitation ? { form: FORM } : {}) },
        "some",
      );
    }),
    raw("test_missing_capability", (context) => {
      if (capabilitiesOf(context).sampling === undefined)
        throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
      return text("The client can sample.");
    }),
    raw("test_trigger_tool_change", () => {
      tell.toolsChanged();
      return text("Told");
    }),
    raw("test_trigger_prompt_change", () => {
      tell.promptsChanged();
      return text("Told");
    }),
    { ...schemaTool, call: () => text(schemaTool.answer) },
  ];
}

/** The key that the suite looks for, of the form that the one tool asks. */
const KEYS: Readonly<Record<string, string>> = { test_input_required_result_elicitation: "user_name" };
const FIRST_FORM = "form_1";

/**
 * The suite's fixtures on protocol 2026-07-28: calls that ask and go on, tasks, lists and errors are served by the
 * product's parts; what the product never asks for or publishes is added to them.
 */
export function createModernFixtures(options: {
  tools: readonly ToolDefinition[];
  services: Services;
  complete: (typed: string) => Promise<string[]>;
  formMs: number;
}) {
  const calls = createHeldCalls({ clock: systemClock, elicitationTimeoutMs: options.formMs });
  const tasks = createTasks({
    calls,
    work: {
      follow: () => Promise.reject(new Error("There are no runs here.")),
      end: () => Promise.reject(new Error("There are no runs here.")),
      nameOf: () => undefined,
    },
    ids: createTaskIds("conformance"),
    clock: systemClock,
    pollMs: createPollPace(600),
  });
  const tools = [
    ...options.tools,
    ...contentTools.map((tool) => ({ ...tool, answerSchema: z.looseObject({}) as never })),
  ];
  const published = {
    services: options.services,
    tools,
    calls,
    tasks,
    ready: Promise.resolve(),
    taskAfterMs: 0,
  };
  const handler = createMcpHandler(({ authInfo }) => create(authInfo?.clientId ?? ""), { legacy: "reject" });
  const added = rawTools(handler.notify);

  function create(caller: string): Server {
    const server = new Server({ name: "conformance-fixtures", version: "1.0.0" }, SERVER_OPTIONS);
    const ours = createToolHandlers(published, { caller });
    server.setRequestHandler("tools/list", async (_request, context) => {
      const list = await ours.list(context);
      return { tools: [...list.tools, ...added.map(({ call: _, ...tool }) => tool)] } as never;
    });
    server.setRequestHandler("tools/call", async ({ params }, context) => {
      const own = added.find(({ name }) => name === params.name);
      if (own) return own.call(context) as never;
      const key = KEYS[params.name];
      if (key === undefined) return ours.call(params, context) as never;
      return renameKey(await ours.call(params, withKey(context, key)), key) as never;
    });
    serveTasks(server, tasks, { caller });
    servePlain(server, options.complete);
    return server;
  }

  return {
    serveRequest: (request: Request, { owner, body }: ModernRequest) =>
      handler.fetch(request, {
        parsedBody: body,
        authInfo: { token: "", clientId: owner, scopes: [] },
      }),
    isHolding: () => calls.isHolding(),
    async close() {
      await calls.stop();
      await handler.close();
    },
  };
}

/** The request, with what it brings under the suite's key brought under ours. */
function withKey(context: ServerContext, key: string): ServerContext {
  const { [key]: reply, ...others } = context.mcpReq.inputResponses ?? {};
  const inputResponses = reply === undefined ? others : { ...others, [FIRST_FORM]: reply };
  return { ...context, mcpReq: { ...context.mcpReq, inputResponses } };
}

function renameKey(answer: unknown, key: string): unknown {
  const { inputRequests } = answer as { inputRequests?: Record<string, unknown> };
  return inputRequests
    ? { ...(answer as object), inputRequests: { [key]: inputRequests[FIRST_FORM] } }
    : answer;
}

/** The suite's resources, prompts and completions, as the library serves them. */
function servePlain(server: Server, complete: (typed: string) => Promise<string[]>): void {
  const [head = "", tail = ""] = plainTemplate.uriTemplate.split("{id}");
  server.setRequestHandler("resources/list", () => ({
    resources: plainResources.map(({ content: _, ...resource }) => resource),
  }));
  server.setRequestHandler("resources/templates/list", () => {
    const { read: _, ...template } = plainTemplate;
    return { resourceTemplates: [template] };
  });
  server.setRequestHandler("resources/read", ({ params: { uri } }) => {
    const found = plainResources.find((one) => one.uri === uri);
    const { mimeType } = found ?? plainTemplate;
    const isOfTemplate = uri.startsWith(head) && uri.endsWith(tail);
    if (!found && !isOfTemplate)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no resource ${uri}.`, { uri });
    const content = found?.content ?? plainTemplate.read(uri.slice(head.length, -tail.length));
    return { contents: [{ uri, mimeType, ...content }] };
  });
  const asking: PlainPrompt = {
    name: "test_input_required_result_prompt",
    description: "Fixture test_input_required_result_prompt",
    arguments: [],
    write: () => [],
  };
  server.setRequestHandler("prompts/list", () => ({
    prompts: [...plainPrompts, asking].map(({ write: _, arguments: names, ...prompt }) => ({
      ...prompt,
      arguments: names.map((name) => ({ name, description: name, required: true })),
    })),
  }));
  server.setRequestHandler("prompts/get", ({ params }, { mcpReq }) => {
    if (params.name === asking.name && mcpReq.inputResponses?.user_context === undefined)
      return ask({ user_context: FORM }) as never;
    const said = JSON.stringify(mcpReq.inputResponses?.user_context ?? {});
    const messages =
      params.name === asking.name
        ? [{ role: "user", content: { type: "text", text: said } }]
        : plainPrompts.find(({ name }) => name === params.name)?.write(params.arguments ?? {});
    if (!messages) throw new ProtocolError(ProtocolErrorCode.InvalidParams, "There is no such prompt.");
    return { messages } as never;
  });
  server.setRequestHandler("completion/complete", async ({ params }) => {
    const values = await complete(params.argument.value);
    return { completion: { values, total: values.length, hasMore: false } };
  });
}
