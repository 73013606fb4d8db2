/**
 * Makes `dist` from the sources: the bin and the library as bundles that need no other package but SQLite, their declarations,
 * the dashboard's files for a browser, the widget of the chat, and the licences of everything that is bundled.
 *
 * A file is replaced whole, entries after the chunks that they load, and what is out of date goes last: a process
 * that starts while this runs finds one build or the other.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type OutputFile, type Plugin } from "esbuild";
import { buildDashboard } from "./build-dashboard.js";
import { buildWidget } from "./build-widget.js";
import { collectLicenses } from "./licenses.js";
import { englishOnly, noGlobalFetch, noMachineId } from "./slim-bundle.js";
import { lazyValidator, noNewValidator, slimFramework } from "./slim-framework.js";
import { compileLate, noOldSchemas, schemasAtOnce, usedSchemasOnly } from "./slim-schemas.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const types = join(dist, "types");

const CLI = "src/cli/main.ts";

/** Files by their path in `dist`, without its suffix. */
const ENTRIES = { cli: CLI, index: "src/library.ts" };
/** For the tests of others, who need not load the server. */
const MOCK_ENTRIES = {
  "mocks/index": "mocks/index.ts",
  "mocks/msw": "mocks/handlers.ts",
  "mocks/serve-main": "mocks/serve-main.ts",
};

/**
 * `libsql` is a program for each platform, which no bundle can hold: it is installed beside the package. `pg` is there
 * for whose servers share a database, `msw` for who imports `mocks/msw`; the others are schema libraries that fastmcp can
 * work with and asks for only when a tool is written with them, which none is.
 */
const EXTERNAL = ["libsql", "pg", "msw", "effect", "sury", "@valibot/to-json-schema"];
/** What declarations may name; anything else would be missing where the package is installed. */
const TYPES_EXTERNAL = ["msw"];

const VALIDATOR = "@modelcontextprotocol/sdk/validation/ajv";

/** What a server on stdin loads in any case, whichever protocol its first message speaks. */
const LOADED_ANYWAY = [
  "actions/forms/form-client",
  "server/fastmcp/frames",
  "server/fastmcp/stdio-transport",
  "server/followed-plans",
  "server/http/refusal",
  "server/log-lines",
  "server/resource-updates",
  "server/resources",
  "server/tools/form-client",
  "server/tools/plain-schema",
  "server/tools/progress",
  "shared/error-code",
  "shared/secret-file",
].map((name) => `../${name}.js`);

/**
 * What a server on stdin loads to begin with lies in one file: each of the two dozen into which the bundler would cut
 * it, by who else may load which part, costs time. So whatever is loaded later, and whatever can be imported, names
 * all of it.
 */
const oneCore: Plugin = {
  name: "one-core",
  setup({ onResolve, onLoad, resolve }) {
    const source = readFileSync(join(root, CLI), "utf8");
    const imports = [...source.matchAll(/^import (?!type ).*from "(\.[^"]+)";$/gm)].map(([, path]) => path);
    // Beforehand, because one that is also imported at once may be read before it is asked for later.
    const later = new Set([join(root, ENTRIES.index), ...sourcesLoadedLater()]);
    onResolve({ filter: /^core:$/ }, () => ({ path: "core", namespace: "core" }));
    onLoad({ filter: /.*/, namespace: "core" }, () => ({
      contents: [...imports, ...LOADED_ANYWAY].map((path) => `import ${JSON.stringify(path)};\n`).join(""),
      resolveDir: join(root, dirname(CLI)),
    }));
    onResolve({ filter: /.*/ }, async ({ path, pluginData, ...options }) => {
      if (options.kind !== "dynamic-import" || pluginData === "seen" || EXTERNAL.includes(path))
        return undefined;
      const found = await resolve(path, { ...options, pluginData: "seen" });
      if (found.namespace === "file" && !found.external) later.add(found.path);
      return undefined;
    });
    onLoad({ filter: /\.(ts|m?js)$/ }, ({ path }) => {
      const contents = later.has(path) ? readFileSync(path, "utf8") : "";
      if (!/^(import|export) /m.test(contents)) return undefined;
      const loader = path.endsWith(".ts") ? "ts" : "js";
      return { contents: `${contents}\nimport "core:";\n`, loader, resolveDir: dirname(path) };
    });
  },
};

/** What our own sources import on demand, by path. */
function sourcesLoadedLater(): string[] {
  return filesBelow(join(root, "src"))
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) =>
      [...readFileSync(path, "utf8").matchAll(/\bimport\(\s*"(\.[^"]+)\.js"/g)].map(([, name]) =>
        join(dirname(path), `${name}.ts`),
      ),
    );
}

const options = {
  absWorkingDir: root,
  outdir: "dist",
  bundle: true,
  splitting: true,
  write: false,
  metafile: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: EXTERNAL,
  alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
  // Comments cost memory. Names stay: a stack of readable ones means something.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "eof",
  // With `node --enable-source-maps` a stack names the files and lines of the sources.
  sourcemap: "linked",
  sourcesContent: false,
  // Packages in the older form ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
} as const;

const builds = [
  // Without splitting and as CommonJS, so that it can be had at once when it is needed.
  await build({
    ...options,
    external: [...EXTERNAL],
    entryPoints: { "chunks/validator": VALIDATOR },
    outExtension: { ".js": ".cjs" },
    format: "cjs",
    splitting: false,
    banner: {},
  }),
  await build({
    ...options,
    external: [...EXTERNAL],
    entryPoints: ENTRIES,
    chunkNames: "chunks/[name]-[hash]",
    plugins: [
      slimFramework,
      lazyValidator,
      noNewValidator,
      noGlobalFetch,
      noMachineId,
      schemasAtOnce,
      noOldSchemas,
      compileLate,
      usedSchemasOnly,
      oneCore,
      englishOnly,
    ],
  }),
  await build({
    ...options,
    external: [...EXTERNAL],
    entryPoints: MOCK_ENTRIES,
    chunkNames: "mocks/chunks/[name]-[hash]",
    plugins: [englishOnly],
  }),
];
/** Files whose maps are left out. */
const unmapped = new Set<string>();
const outputFiles = builds.flatMap((built) => built.outputFiles).filter(keepMap);
/** Maps of our own sources are worth their bytes; those of what others have written are not. */
function keepMap({ path, text }: OutputFile): boolean {
  if (!path.endsWith(".map")) return true;
  const { sources } = JSON.parse(text) as { sources: string[] };
  const isOurs = sources.some((source) => /^(\.\.\/)+src\//.test(source));
  if (!isOurs) unmapped.add(path.slice(0, -".map".length));
  return isOurs;
}
for (const { path, text } of outputFiles.filter(({ path }) => isCore(path))) {
  const [letter] = /[^\0-\xff]/.exec(text) ?? [];
  if (letter) throw new Error(`${relative(root, path)} has "${letter}": one such letter doubles its memory.`);
}

const isEntry = (path: string) =>
  Object.keys({ ...ENTRIES, ...MOCK_ENTRIES }).some((name) => path === join(dist, `${name}.js`));
const written = new Set<string>();
for (const { path, contents, text } of outputFiles.sort(
  (a, b) => Number(isEntry(a.path)) - Number(isEntry(b.path)),
)) {
  replaceFile(path, unmapped.has(path) ? text.replace(/\/\/# sourceMappingURL=.*\n$/, "") : contents);
}
chmodSync(join(dist, "cli.js"), 0o755);
const dashboard = await buildDashboard(root);
for (const [name, contents] of dashboard.files) replaceFile(join(dist, "dashboard", name), contents);
const widget = await buildWidget(root);
replaceFile(join(dist, "widget", "widget.html"), widget.html);
const inputs = [
  ...builds.flatMap(({ metafile }) => Object.keys(metafile.inputs)),
  ...dashboard.sources,
  ...widget.sources,
];
const sources = [...new Set(inputs)].map((path) => path.replace(/\?.*$/, ""));
replaceFile(join(dist, "THIRD-PARTY-LICENSES.txt"), collectLicenses(root, sources));
emitDeclarations();
for (const path of filesBelow(dist)) if (!written.has(path)) rmSync(path, { force: true });

/** Whether a server on stdin loads this file at its start. */
function isCore(path: string): boolean {
  return builds.some(
    ({ metafile }) => "src/server/server.ts" in (metafile.outputs[relative(root, path)]?.inputs ?? {}),
  );
}

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
