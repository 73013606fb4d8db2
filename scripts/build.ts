/**
 * Makes `dist` from the sources: the bin and the library as bundles that need no other package, their declarations,
 * and the licences of everything that is bundled.
 *
 * A file is replaced whole, entries after the chunks that they load, and what is out of date goes last: a process
 * that starts while this runs finds one build or the other.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { collectLicenses } from "./licenses.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const types = join(dist, "types");

/** Files by their path in `dist`, without its suffix. */
const ENTRIES = {
  cli: "src/cli.ts",
  index: "src/library.ts",
  "mocks/index": "mocks/index.ts",
  "mocks/msw": "mocks/handlers.ts",
  "mocks/serve-main": "mocks/serve-main.ts",
};

/**
 * Optional: `msw` is there for who imports `mocks/msw`; the others are schema libraries that fastmcp can work with
 * and asks for only when a tool is written with them, which none is.
 */
const EXTERNAL = ["msw", "effect", "sury", "@valibot/to-json-schema"];
/** What declarations may name; anything else would be missing where the package is installed. */
const TYPES_EXTERNAL = ["msw"];

/** Serving over HTTP is half of the framework's code; a server on stdin never needs it. */
const lazyHttp: Plugin = {
  name: "lazy-http",
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^mcp-proxy$/ }, async ({ path, pluginData, ...options }) => {
      if (pluginData === "real") return undefined;
      // The package as the importing one sees it.
      const { path: real, errors } = await resolve(path, { ...options, pluginData: "real" });
      return errors.length > 0 ? { errors } : { path: relative(root, real), namespace: "lazy-http" };
    });
    onLoad({ filter: /.*/, namespace: "lazy-http" }, ({ path }) => ({
      contents:
        "export const startHTTPServer = async (options) =>\n" +
        `  (await import(${JSON.stringify(join(root, path))})).startHTTPServer(options);\n`,
      resolveDir: root,
    }));
  },
};

/** The schema library exports its messages in fifty languages, which no bundler can leave out by itself. */
const englishOnly: Plugin = {
  name: "english-only",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: ENTRIES,
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  write: false,
  metafile: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: EXTERNAL,
  plugins: [lazyHttp, englishOnly],
  // Every Node that is supported has fetch; the stand-in for older ones is only loaded to be thrown away.
  alias: { "node-fetch-native": "node-fetch-native/native", "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
  // Comments and white space cost nothing that can be measured, and a stack of readable code means something.
  minify: false,
  legalComments: "eof",
  // Packages in the older form ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});

const isEntry = (path: string) => Object.keys(ENTRIES).some((name) => path === join(dist, `${name}.js`));
const written = new Set<string>();
for (const { path, contents } of outputFiles.sort(
  (a, b) => Number(isEntry(a.path)) - Number(isEntry(b.path)),
)) {
  replaceFile(path, contents);
}
chmodSync(join(dist, "cli.js"), 0o755);
replaceFile(join(dist, "THIRD-PARTY-LICENSES.txt"), collectLicenses(root, Object.keys(metafile.inputs)));
emitDeclarations();
for (const path of filesBelow(dist)) if (!written.has(path)) rmSync(path, { force: true });

function replaceFile(path: string, contents: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const next = `${path}.${process.pid}`;
  writeFileSync(next, contents);
  renameSync(next, path);
  written.add(path);
}

/** Declarations of the library entries and of what they name, and nothing beyond. */
function emitDeclarations(): void {
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  execFileSync(process.execPath, [compiler, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
  const open = ["src/library.d.ts", "mocks/index.d.ts", "mocks/handlers.d.ts"].map((path) =>
    join(types, path),
  );
  for (let path = open.pop(); path; path = open.pop()) {
    if (written.has(path)) continue;
    written.add(path);
    for (const [, named = ""] of readFileSync(path, "utf8").matchAll(/(?:from |import\()"([^"]+)"/g)) {
      if (named.startsWith(".")) open.push(join(dirname(path), named.replace(/\.js$/, ".d.ts")));
      else if (!named.startsWith("node:") && !TYPES_EXTERNAL.includes(named)) {
        throw new Error(`${relative(root, path)} names ${named}, which no installed package has.`);
      }
    }
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
