import { ProtocolError, ProtocolErrorCode, type Server } from "@modelcontextprotocol/server";
import type { Complete } from "../completions.js";
import { templates } from "../resources.js";
import type { Prompts, Standing } from "../template-prompts.js";
import type { ProjectStep } from "../tools/output.js";

/** The protocol hands out at most this many values. */
const MOST_VALUES = 100;

/** Publishes the prompts, and completes their arguments and those of resources. */
export function servePrompts(
  server: Server,
  { prompts, project, complete }: { prompts: Prompts; project: ProjectStep; complete: Complete },
): void {
  // On this protocol a client that names folders is asked for them by an answer, which costs a round.
  const standing: Standing = { localFolders: async () => [] };
  const listPrompts = () => prompts.list(standing);
  server.setRequestHandler("prompts/list", async () => ({
    prompts: (await listPrompts()).map(({ name, description, arguments: args }) => ({
      name,
      description,
      arguments: args.map((one) => ({
        name: one.name,
        description: one.description,
        required: one.required,
      })),
    })),
  }));
  server.setRequestHandler("prompts/get", async ({ params }) => {
    const prompt = (await listPrompts()).find(({ name }) => name === params.name);
    const missing = prompt?.arguments.filter(({ name, required }) => required && !params.arguments?.[name]);
    if (!prompt || missing?.length)
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        prompt
          ? `The prompt needs ${missing?.map(({ name }) => name).join(", ")}.`
          : `There is no prompt ${JSON.stringify(params.name)}.`,
      );
    const text = prompt.write(params.arguments ?? {}, project);
    return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
  });
  server.setRequestHandler("completion/complete", async ({ params: { ref, argument } }) => {
    const args =
      ref.type === "ref/prompt"
        ? (await listPrompts()).find(({ name }) => name === ref.name)?.arguments
        : templates.filter(({ uriTemplate }) => uriTemplate === ref.uri).map((one) => one.argument);
    if (!args?.length)
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        `There is nothing to complete for ${JSON.stringify(ref.type === "ref/prompt" ? ref.name : ref.uri)}.`,
      );
    const { completes } = args.find(({ name }) => name === argument.name) ?? {};
    const values = completes ? await complete(completes, argument.value) : [];
    return {
      completion: {
        values: values.slice(0, MOST_VALUES),
        total: values.length,
        hasMore: values.length > MOST_VALUES,
      },
    };
  });
}
