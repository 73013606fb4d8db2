/** What every bundle of the sources can do without. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Plugin } from "esbuild";

/**
 * The source of a dependency with parts replaced.
 * @throws an Error when one of them is no longer in it: it is to be looked at again
 */
export function replaceIn(
  path: string,
  replacements: readonly [from: string | RegExp, to: string | ((found: string) => string)][],
): string {
  return replacements.reduce(
    (source, [from, to]) => {
      const replaced = typeof to === "string" ? source.replace(from, to) : source.replace(from, to);
      if (replaced === source) throw new Error(`${path} has changed: look at what has become of ${from}.`);
      return replaced;
    },
    readFileSync(path, "utf8"),
  );
}

/** Beside what is used of it, the HTTP library's entry makes a client on the global fetch, and so loads that. */
export const noGlobalFetch: Plugin = {
  name: "no-global-fetch",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]ofetch[\\/]dist[\\/]node\.mjs$/ }, ({ path }) => {
      const [used] = /^import \{[^}]*createFetch[^}]*\} from .*$/m.exec(readFileSync(path, "utf8")) ?? [];
      if (!used) throw new Error(`${path} has changed: look at what has become of createFetch.`);
      return { contents: `${used}\nexport { createFetch };\n`, resolveDir: dirname(path) };
    });
  },
};

/** The schema library exports its messages in fifty languages, which no bundler can leave out by itself. */
export const englishOnly: Plugin = {
  name: "english-only",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

/** The figures' library can ask the system, by its programs too, which machine it is on. Nobody is told that here. */
export const noMachineId: Plugin = {
  name: "no-machine-id",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]machine-id[\\/]getMachineId\.js$/ }, () => ({
      contents: "export const getMachineId = async () => undefined;",
    }));
  },
};
