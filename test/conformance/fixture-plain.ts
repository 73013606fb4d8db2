import type { FastMCP } from "fastmcp";
import { PNG } from "./fixture-tools.js";

type Completion = { values: string[]; total: number; hasMore: boolean };

/**
 * The suite's resources and prompts, and a tool with a schema of everything. What is published of ours has no
 * pictures in it and keeps to the keywords that every client takes, so these show only that sessions carry them.
 */
export function addPlainFixtures(server: FastMCP, complete: (typed: string) => Promise<Completion>): void {
  addResources(server);
  addPrompts(server, complete);
  server.addTool({
    name: "json_schema_2020_12_tool",
    description: "Tool with JSON Schema 2020-12 features",
    parameters: {
      "~standard": {
        version: 1,
        vendor: "conformance",
        jsonSchema: { input: () => SCHEMA, output: () => ({}) },
        validate: (value: unknown) => ({ value }),
      },
    } as never,
    execute: async () => "JSON Schema 2020-12 tool called",
  });
}

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

function addResources(server: FastMCP): void {
  const add = (name: string, mimeType: string, content: { text: string } | { blob: string }) =>
    server.addResource({
      uri: `test://${name}`,
      name,
      description: `Fixture ${name}`,
      mimeType,
      load: async () => content,
    });
  add("static-text", "text/plain", { text: "This is the content of the static text resource." });
  add("static-binary", "image/png", { blob: PNG });
  add("watched-resource", "text/plain", { text: "Watched resource content" });
  server.addResourceTemplate({
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "Fixture template",
    mimeType: "application/json",
    arguments: [{ name: "id", required: true }],
    load: async ({ id }: { id: string }) => ({
      text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
    }),
  });
}

function addPrompts(server: FastMCP, complete: (typed: string) => Promise<Completion>): void {
  const say = (content: object) => ({ role: "user", content });
  const text = (words: string) => say({ type: "text", text: words });
  const add = (
    name: string,
    names: readonly string[],
    write: (args: Record<string, string | undefined>) => object[],
  ) =>
    server.addPrompt({
      name,
      description: `Fixture ${name}`,
      arguments: names.map((one) => ({ name: one, description: one, required: true, complete })),
      load: async (args: Record<string, string | undefined> | undefined) =>
        ({ messages: write(args ?? {}) }) as never,
    });
  add("test_simple_prompt", [], () => [text("This is a simple prompt for testing.")]);
  add("test_prompt_with_arguments", ["arg1", "arg2"], ({ arg1, arg2 }) => [
    text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ]);
  add("test_prompt_with_embedded_resource", ["resourceUri"], ({ resourceUri }) => [
    say({
      type: "resource",
      resource: {
        uri: resourceUri,
        mimeType: "text/plain",
        text: "Embedded resource content for testing.",
      },
    }),
    text("Please process the embedded resource above."),
  ]);
  add("test_prompt_with_image", [], () => [
    say({ type: "image", data: PNG, mimeType: "image/png" }),
    text("Please analyze the image above."),
  ]);
}
