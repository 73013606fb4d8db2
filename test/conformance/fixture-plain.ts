import type { FastMCP } from "fastmcp";
import { PNG } from "./fixture-tools.js";

type Completion = { values: string[]; total: number; hasMore: boolean };

const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

/** What is read or written of the suite's fixtures, free of any framework. */
export interface PlainResource {
  uri: string;
  name: string;
  description: string;
  mimeType: string;
  content: { text: string } | { blob: string };
}

export interface PlainPrompt {
  name: string;
  description: string;
  arguments: readonly string[];
  write(args: Record<string, string | undefined>): object[];
}

const plainResource = (name: string, mimeType: string, content: PlainResource["content"]): PlainResource => ({
  uri: `test://${name}`,
  name,
  description: `Fixture ${name}`,
  mimeType,
  content,
});

export const plainResources: readonly PlainResource[] = [
  plainResource("static-text", "text/plain", { text: "This is the content of the static text resource." }),
  plainResource("static-binary", "image/png", { blob: PNG }),
  plainResource("watched-resource", "text/plain", { text: "Watched resource content" }),
];

export const plainTemplate = {
  uriTemplate: "test://template/{id}/data",
  name: "template",
  description: "Fixture template",
  mimeType: "application/json",
  read: (id: string) => ({ text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }),
};

const say = (content: object) => ({ role: "user", content });
const text = (words: string) => say({ type: "text", text: words });
const plainPrompt = (name: string, args: readonly string[], write: PlainPrompt["write"]): PlainPrompt => ({
  name,
  description: `Fixture ${name}`,
  arguments: args,
  write,
});

export const plainPrompts: readonly PlainPrompt[] = [
  plainPrompt("test_simple_prompt", [], () => [text("This is a simple prompt for testing.")]),
  plainPrompt("test_prompt_with_arguments", ["arg1", "arg2"], ({ arg1, arg2 }) => [
    text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ]),
  plainPrompt("test_prompt_with_embedded_resource", ["resourceUri"], ({ resourceUri }) => [
    say({
      type: "resource",
      resource: {
        uri: resourceUri,
        mimeType: "text/plain",
        text: "Embedded resource content for testing.",
      },
    }),
    text("Please process the embedded resource above."),
  ]),
  plainPrompt("test_prompt_with_image", [], () => [
    say({ type: "image", data: PNG, mimeType: "image/png" }),
    text("Please analyze the image above."),
  ]),
];

/** A tool with a schema of everything. */
export const schemaTool = {
  name: "json_schema_2020_12_tool",
  description: "Tool with JSON Schema 2020-12 features",
  inputSchema: SCHEMA,
  answer: "JSON Schema 2020-12 tool called",
};

/**
 * Publishes them on the earlier protocols. What is published of ours has no pictures in it and keeps to the keywords
 * that every client takes, so these show only that sessions carry them.
 */
export function addPlainFixtures(server: FastMCP, complete: (typed: string) => Promise<Completion>): void {
  for (const { content, ...resource } of plainResources)
    server.addResource({ ...resource, load: async () => content });
  const { read, ...template } = plainTemplate;
  server.addResourceTemplate({
    ...template,
    arguments: [{ name: "id", required: true }],
    load: async ({ id }: { id: string }) => read(id),
  });
  for (const { write, arguments: names, ...prompt } of plainPrompts)
    server.addPrompt({
      ...prompt,
      arguments: names.map((one) => ({ name: one, description: one, required: true, complete })),
      load: async (args: Record<string, string | undefined> | undefined) =>
        ({ messages: write(args ?? {}) }) as never,
    });
  server.addTool({
    name: schemaTool.name,
    description: schemaTool.description,
    parameters: {
      "~standard": {
        version: 1,
        vendor: "conformance",
        jsonSchema: { input: () => schemaTool.inputSchema, output: () => ({}) },
        validate: (value: unknown) => ({ value }),
      },
    } as never,
    execute: async () => schemaTool.answer,
  });
}
