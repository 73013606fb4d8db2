/** What a bundle of the server can do without of the framework and of the protocol's library. */
import type { Plugin } from "esbuild";

/**
 * Packages of the framework for what is not done with it: serving over HTTP, which is our own, completing a prompt's
 * argument from a fixed list, guessing the type of a file, reading tokens, and tools written in JSON Schema.
 */
const UNUSED = /^(mcp-proxy|hono|fuse\.js|file-type|jose|ajv|ajv-formats)$/;

/**
 * It waits a millisecond or two after each tool, lest a client misses the last progress, which comes in with the answer.
 * Our own reporter waits for that, and only where something was reported (src/server/tools/progress.ts).
 */
const PAUSE = /^ *await delay\(1\);\n/m;
let isPauseFound = false;

/** A part of the framework, without the pause. */
export function withoutPause(source: string): string {
  isPauseFound ||= PAUSE.test(source);
  return source.replace(PAUSE, "");
}

/** The framework without them. Each is made or called only for what it is there for; then it says that it is missing. */
export const slimFramework: Plugin = {
  name: "slim-framework",
  setup({ onResolve, onLoad, onEnd }) {
    onEnd(() => {
      if (!isPauseFound)
        throw new Error("fastmcp has changed: look at what has become of its pause after a tool.");
    });
    onResolve({ filter: UNUSED }, ({ path, importer, kind }) => {
      if (!/[\\/]fastmcp[\\/]/.test(importer)) return undefined;
      return kind === "dynamic-import" ? { path, external: true } : { path, namespace: "slim-framework" };
    });
    onLoad({ filter: /.*/, namespace: "slim-framework" }, ({ path }) => ({
      contents:
        `const refuse = () => { throw new Error("${path} is not part of this bundle."); };\n` +
        // Each server makes one, and asks nothing of it.
        "export class Hono { get fetch() { return refuse(); } }\n" +
        "export { refuse as default, refuse as startHTTPServer };\n",
    }));
  },
};

/** The validator of forms' answers takes a tenth of the start-up time, and nobody needs it before the first form. */
export const lazyValidator: Plugin = {
  name: "lazy-validator",
  setup({ onResolve, onLoad }) {
    // Beside the chunk that asks for it.
    onResolve({ filter: /^\.\/validator\.cjs$/ }, ({ path }) => ({ path, external: true }));
    onLoad({ filter: /[\\/]validation[\\/]ajv-provider\.js$/ }, () => ({
      contents: `export class AjvJsonSchemaValidator {
        constructor(ajv) { this.ajv = ajv; }
        getValidator(schema) {
          this.real ??= new (require("./validator.cjs").AjvJsonSchemaValidator)(this.ajv);
          return this.real.getValidator(schema);
        }
      }`,
    }));
  },
};

/** The newer protocol's library makes a validator for each server, and ours asks it nothing: forms are read by hand. */
export const noNewValidator: Plugin = {
  name: "no-new-validator",
  setup({ onLoad }) {
    onLoad({ filter: /@modelcontextprotocol[\\/]server[\\/]dist[\\/]shimsNode\.mjs$/ }, () => ({
      contents: `export { default as process } from "node:process";
        export class DefaultJsonSchemaValidator {
          getValidator() { throw new Error("The validator of schemas is not part of this bundle."); }
        }`,
    }));
  },
};
