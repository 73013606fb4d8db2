/**
 * Writes the bundle that chat clients for people install with a click (MCPB): the built package as a zip archive with
 * a manifest, whose form asks for the settings that a person has to know of. The database library lies in it with its
 * programs for the systems that such clients run on, which npm fetches; elsewhere sessions are kept in memory.
 *
 *     npm run mcpb [path of the bundle]
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Zippable, zipSync } from "fflate";
import { installScratch } from "./scratch-packages.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const about = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** What a chat client never asks for: the library, its declarations, the simulated API as a library. */
const LEFT_OUT = /^dist\/(types|mocks|index\.js)/;
/** Where clients with a window run; each program has some 9 MB, a third of that when packed. */
const PLATFORMS = [
  { os: "darwin", cpu: "arm64" },
  { os: "darwin", cpu: "x64" },
  { os: "win32", cpu: "x64" },
  { os: "linux", cpu: "x64" },
];
/** For systems without the usual C library, which have no windows, and what only npm reads. */
const UNNEEDED = /^(@libsql\/linux-\w+-musl|\.)/;
/** The same sources make the same bundle; zip archives know no time before this. */
const MTIME = new Date(1980, 0, 1);

/** Every field has a default: clients are known to hand on the field's name where nothing was filled in. */
const FORM = {
  api_key: {
    type: "string",
    title: "API key",
    description: "Key of the workflows API. Not needed when runs are carried out on this machine.",
    sensitive: true,
    required: false,
    default: "",
  },
  base_url: {
    type: "string",
    title: "API address",
    description: "Address of the workflows API.",
    required: false,
    default: "http://localhost:28881",
  },
  engine: {
    type: "string",
    title: "Engine",
    description:
      "local: runs are carried out on this machine by Claude Code, which must be installed. Otherwise off.",
    required: false,
    default: "off",
  },
  engine_allowed_folders: {
    type: "string",
    title: "Folders of repositories",
    description: "Engine: folders from which local repositories may be taken, separated as in PATH.",
    required: false,
    default: "",
  },
  toolset: {
    type: "string",
    title: "Tools",
    description: "super: one tool with actions. named: one tool for each action.",
    required: false,
    default: "super",
  },
};

const manifest = {
  manifest_version: "0.3",
  name: about.name,
  display_name: "Automagik Workflows",
  version: about.version,
  description: about.description,
  author: { name: "Automagik" },
  license: about.license,
  keywords: about.keywords,
  server: {
    type: "node",
    entry_point: about.bin[about.name],
    mcp_config: {
      command: "node",
      args: [`\${__dirname}/${about.bin[about.name]}`],
      env: Object.fromEntries(
        Object.keys(FORM).map((name) => [
          `AUTOMAGIK_WORKFLOWS_${name.toUpperCase()}`,
          `\${user_config.${name}}`,
        ]),
      ),
    },
  },
  tools_generated: true,
  prompts_generated: true,
  compatibility: { platforms: ["darwin", "win32", "linux"], runtimes: { node: about.engines.node } },
  user_config: FORM,
};

const contents: Zippable = { "manifest.json": text(JSON.stringify(manifest, null, 2)) };
const SHIPPED = ["dist", "workflows", "plans"].flatMap(filesIn);
for (const path of ["package.json", "LICENSE", "CHANGELOG.md", ...SHIPPED]) {
  if (!LEFT_OUT.test(path)) contents[path] = readFileSync(join(root, path));
}
for (const platform of PLATFORMS) {
  const modules = dirname(installScratch("libsql", about.optionalDependencies.libsql, platform));
  for (const path of filesBelow(modules)) {
    if (!UNNEEDED.test(path)) contents[`node_modules/${path}`] = readFileSync(join(modules, path));
  }
}
const target = process.argv[2] ?? join(root, `${about.name}-${about.version}.mcpb`);
writeFileSync(target, zipSync(contents, { level: 9, mtime: MTIME }));
process.stdout.write(`${target}\n`);

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

function filesIn(folder: string): string[] {
  return filesBelow(join(root, folder)).map((path) => `${folder}/${path}`);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
}
