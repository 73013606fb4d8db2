import type { Tool } from "@modelcontextprotocol/sdk/types.js";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { connectInMemory } from "./support/harness.js";

const sim = useSimulatedApi({ paceMs: 20 });

type Schema = Record<string, unknown>;

/** The names under which clients may know the server: that of `install`, and that of the package. */
const SERVER_NAMES = ["automagik", "automagik-workflows-mcp"];
/** What the type Schema of Gemini's API has; any other keyword fails the whole request. */
const GEMINI_KEYWORDS = new Set(
  (
    "type format title description nullable enum maxItems minItems properties required minProperties " +
    "maxProperties minLength maxLength pattern example anyOf propertyOrdering default items minimum maximum"
  ).split(" "),
);
const GEMINI_TYPES = ["string", "number", "integer", "boolean", "array", "object"];

/** Most tokens of all tools together: what a model is shown, with answer schemas, and with 207 workflows. */
const SIZES: Record<string, { model: number; whole: number; many: number }> = {
  super: { model: 1_500, whole: 4_200, many: 3_000 },
  named: { model: 3_400, whole: 12_800, many: 4_700 },
};

/** What the list of workflows may be like; each shows in the schemas. */
const catalogues: Record<string, () => void> = {
  "some workflows": () => {},
  "no workflows": () => {
    const { workflows } = sim.api().world;
    for (const { name } of workflows.list()) workflows.remove(name);
  },
  "very many workflows": () => {
    for (let index = 0; index < 200; index++) {
      sim.api().world.workflows.add({ name: `workflow-${index}`, description: "does ".repeat(100) });
    }
  },
};
const cases = ["super", "named"].flatMap((toolset) => Object.keys(catalogues).map((one) => [toolset, one]));

async function listTools(toolset: string, catalogue = "some workflows") {
  catalogues[catalogue]?.();
  const { client } = await connectInMemory({ settings: { TOOLSET: toolset } });
  return (await client.listTools()).tools;
}

/** Every schema in a schema, by what it means and not by its keys: a property may have any name. */
function* schemasIn(schema: Schema, path: string): Generator<[Schema, string]> {
  yield [schema, path];
  for (const [name, property] of Object.entries((schema.properties ?? {}) as Record<string, Schema>)) {
    yield* schemasIn(property, `${path}.${name}`);
  }
  for (const word of ["items", "additionalProperties"]) {
    const inner = schema[word];
    if (typeof inner === "object" && inner !== null) yield* schemasIn(inner as Schema, `${path}.${word}`);
  }
}

describe.each(cases)("toolset %s with %s", (toolset, catalogue) => {
  it("has roots that Anthropic's and OpenAI's APIs take", async () => {
    for (const { name, description = "", inputSchema, outputSchema } of await listTools(toolset, catalogue)) {
      // One tool with a wrong root fails every request of the whole chat.
      for (const root of [inputSchema, outputSchema ?? {}]) {
        expect(root, name).toMatchObject({ type: "object" });
        for (const word of ["oneOf", "anyOf", "allOf", "not", "enum", "const", "$ref", "if"]) {
          expect(root, name).not.toHaveProperty(word);
        }
      }
      for (const property of Object.keys(inputSchema.properties ?? {})) {
        expect(property).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
      }
      expect(description.length, name).toBeLessThanOrEqual(1_024);
    }
  });

  it("has arguments in the subset that Gemini's API takes", async () => {
    for (const { name, inputSchema } of await listTools(toolset, catalogue)) {
      for (const [schema, path] of schemasIn(inputSchema as Schema, name)) {
        const strange = Object.keys(schema).filter((word) => !GEMINI_KEYWORDS.has(word));
        expect(strange, path).toEqual([]);
        expect(GEMINI_TYPES, path).toContain(schema.type);
        if (schema.type === "array") expect(schema, path).toHaveProperty("items");
        if (schema.type === "object") {
          const properties = Object.keys((schema.properties ?? {}) as Schema);
          expect(properties, path).toEqual(expect.arrayContaining((schema.required ?? []) as string[]));
        }
        if ("enum" in schema) {
          const values = schema.enum as unknown[];
          expect(schema.type, path).toBe("string");
          expect(values.length, path).toBeGreaterThan(0);
          expect(new Set(values).size, path).toBe(values.length);
          for (const value of values) expect(value, path).toMatch(/./);
        }
      }
    }
  });

  it("says of every value what it is, also in answers", async () => {
    for (const { name, inputSchema, outputSchema } of await listTools(toolset, catalogue)) {
      for (const root of [inputSchema, outputSchema]) {
        for (const [schema, path] of schemasIn(root as Schema, name)) {
          expect(typeof schema.type, path).toBe("string");
        }
      }
    }
  });
});

describe.each(["super", "named"])("toolset %s", (toolset) => {
  it("has names that fit with every client's prefix, and few of them", async () => {
    const tools = await listTools(toolset);
    for (const server of SERVER_NAMES) {
      for (const { name } of tools) {
        // Claude Code and the APIs behind it; Cursor counts the two names together.
        expect(`mcp__${server}__${name}`).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
        expect(server.length + name.length).toBeLessThanOrEqual(60);
      }
    }
    // Cursor has shown 40 tools of all servers together.
    expect(tools.length).toBeLessThanOrEqual(20);
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
  });

  it("keeps the size of all its tools together within bounds, whatever the number of workflows", async () => {
    const limits = SIZES[toolset] ?? { model: 0, whole: 0, many: 0 };
    // Models are shown names, descriptions and arguments.
    const count = (tools: readonly Tool[]) =>
      countTokens(
        JSON.stringify(
          tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
        ),
      );
    const tools = await listTools(toolset);
    expect(count(tools)).toBeLessThan(limits.model);
    expect(countTokens(JSON.stringify(tools))).toBeLessThan(limits.whole);
    const withMany = await listTools(toolset, "very many workflows");
    expect(JSON.stringify(withMany)).toContain("workflow-199");
    expect(count(withMany)).toBeLessThan(limits.many);
  });
});
