/** What a bundle of the server can do without of the schema library and of the schemas that others make with it. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Plugin } from "esbuild";
import { replaceIn } from "./slim-bundle.js";
import { withoutPause } from "./slim-framework.js";

/** Loads at once what the first list of tools needs anyway, and which would come in three files one after the other. */
export const schemasAtOnce: Plugin = {
  name: "schemas-at-once",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]xsschema[\\/]dist[\\/]index-[^\\/]*\.js$/ }, ({ path }) => {
      const name = readdirSync(dirname(path)).find((file) => /^zod-.*\.js$/.test(file));
      return {
        contents: `import { getToJsonSchemaFn as zodSchemas } from "./${name}";\n${replaceIn(path, [
          [/import\('\.\/zod-[^']*'\)/, "Promise.resolve({ getToJsonSchemaFn: zodSchemas })"],
        ])}`,
        resolveDir: dirname(path),
      };
    });
    onLoad({ filter: /[\\/]xsschema[\\/]dist[\\/]zod-[^\\/]*\.js$/ }, ({ path }) => ({
      contents: `import { toJSONSchema as toSchema } from "zod/v4/core";\n${replaceIn(path, [
        [/await import\('zod\/v4\/core'\)/, "{ toJSONSchema: toSchema }"],
        [
          "const { zodToJsonSchema } = await import('zod-to-json-schema')",
          "const zodToJsonSchema = zodV3ToJSONSchema",
        ],
      ])}`,
      resolveDir: dirname(path),
    }));
  },
};

/** Libraries of the protocol also take schemas of the schema library's version 3, of which none is here. */
export const noOldSchemas: Plugin = {
  name: "no-old-schemas",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(zod\/v3|zod-to-json-schema)$/ }, ({ path, importer }) =>
      /[\\/](@modelcontextprotocol[\\/]sdk|xsschema)[\\/]/.test(importer)
        ? { path, namespace: "no-old-schemas" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "no-old-schemas" }, ({ path }) => ({
      contents:
        `const refuse = () => { throw new Error("${path} is not part of this bundle."); };\n` +
        "export { refuse as object, refuse as zodToJsonSchema };\n",
    }));
  },
};

/** How often a schema is read before code is made of it. A start reads each a few times, a watcher each some thousand. */
const READS_BEFORE_COMPILING = 100;

/** Compiling a schema costs more than interpreting it a few times: only one that is used often is worth it. */
export const compileLate: Plugin = {
  name: "compile-late",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]core[\\/]schemas\.js$/ }, ({ path }) => ({
      contents: replaceIn(path, [
        ["    let fastpass;\n", "    let fastpass, reads = 0;\n"],
        [
          "if (jit && fastEnabled && ctx?.async === false",
          `if (jit && fastEnabled && (fastpass || ++reads > ${READS_BEFORE_COMPILING}) && ctx?.async === false`,
        ],
      ]),
      resolveDir: dirname(path),
    }));
  },
};

/**
 * Lets the bundler leave out what nobody uses, which it can when the schema library is imported as a namespace, as in
 * our own sources, and when making a schema is known to have no effect but the schema.
 */
export const usedSchemasOnly: Plugin = {
  name: "used-schemas-only",
  setup({ onResolve, onLoad, resolve }) {
    onLoad({ filter: /[\\/]fastmcp[\\/]dist[\\/]chunk-[^\\/]*\.js$/ }, ({ path }) => ({
      contents: markSchemasPure(
        withoutPause(readFileSync(path, "utf8")).replace(
          /^import \{ z(?: as (\w+))? \} from "zod";$/gm,
          (_, name = "z") => `import * as ${name} from "zod";`,
        ),
      ),
      resolveDir: dirname(path),
    }));
    onLoad({ filter: /[\\/]@hono[\\/]zod-openapi[\\/]dist[\\/]index\.mjs$/ }, ({ path }) => ({
      contents: replaceIn(path, [
        ['import { z } from "zod";', 'import { ZodType } from "zod";'],
        ["extendZodWithOpenApi(z);", "extendZodWithOpenApi({ ZodType });"],
        [/, z \};/, " };"],
      ]),
      resolveDir: dirname(path),
    }));

    const types = /[\\/]@modelcontextprotocol[\\/]sdk[\\/]dist[\\/]esm[\\/]types\.js$/;
    onLoad({ filter: types }, ({ path }) => ({
      contents: markSchemasPure(readFileSync(path, "utf8")),
      resolveDir: dirname(path),
    }));
    // The library of the newer protocol makes all schemas of the protocol for a list by name, which nobody reads here.
    onLoad(
      { filter: /[\\/]@modelcontextprotocol[\\/]core[\\/]dist[\\/](schemas|auth)-[^\\/]*\.mjs$/ },
      ({ path }) => ({
        contents: markSchemasPure(readFileSync(path, "utf8")),
        resolveDir: dirname(path),
      }),
    );
    onLoad(
      { filter: /[\\/]@modelcontextprotocol[\\/]server[\\/]dist[\\/]src-[^\\/]*\.mjs$/ },
      ({ path }) => ({
        contents: replaceIn(path, [
          [/^function build\(\) \{\n(?:.*\n)*?\}$/m, shareFields],
          [/^for \(const key of SPEC_SCHEMA_KEYS\) register\(.*\);$/m, ""],
          [/^for \(const \[key, schema\] of Object\.entries\(authSchemas\)\) register\(.*\);$/m, ""],
          ["= Object.freeze(_specTypeSchemas)", "= /* @__PURE__ */ Object.freeze(_specTypeSchemas)"],
          ["= Object.freeze(_isSpecType)", "= /* @__PURE__ */ Object.freeze(_isSpecType)"],
        ]),
        resolveDir: dirname(path),
      }),
    );
    // A client uses other ones than a server: with a copy of its own those do not get into what a server loads.
    onResolve({ filter: /[\\/]types\.js$/ }, async ({ path, pluginData, ...options }) => {
      const byClient = /[\\/]sdk[\\/]dist[\\/]esm[\\/](client|experimental[\\/]tasks[\\/]client)\b/;
      if (pluginData === "seen" || !byClient.test(options.importer)) return undefined;
      const found = await resolve(path, { ...options, pluginData: "seen" });
      return types.test(found.path) ? { path: found.path, suffix: "?client" } : undefined;
    });
  },
};

/**
 * A function that makes all schemas of a protocol, which a server does at its first message: the commonest fields, some
 * three hundred, are made once and stand wherever they are named.
 */
function shareFields(source: string): string {
  const FIELDS: [name: string, made: string][] = [
    ["maybeText", "z.string().optional()"],
    ["text", "z.string()"],
    ["maybeFlag", "z.boolean().optional()"],
    ["flag", "z.boolean()"],
    ["maybeNumber", "z.number().optional()"],
    ["number", "z.number()"],
    ["anything", "z.unknown()"],
  ];
  const names = FIELDS.map(([name, made]) => `${name}$shared = ${made}`).join(", ");
  const shared = FIELDS.reduce((text, [name, made]) => text.replaceAll(made, `${name}$shared`), source);
  return shared.replace("{\n", `{\n\tconst ${names};\n`);
}

/** Marks the values of a module that are made with the schema library as free of effects. */
function markSchemasPure(source: string): string {
  // A statement at the top goes on as long as its lines are indented or close a bracket.
  return source.replace(
    /^((?:export )?(?:const|var) [\w$]+ = )(?!class|function|async)((?:.*\n(?=[ \t}\])]))*.*);$/gm,
    (all, head: string, value: string) =>
      /\bz\d?\.|Schema/.test(value) ? `${head}/* @__PURE__ */ (() => (${value}))();` : all,
  );
}
