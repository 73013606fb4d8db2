import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { posixOnly } from "./support/posix-only.js";

const SRC = fileURLToPath(new URL("../src", import.meta.url));

/** What each folder of `src` may import beside itself. What composes all of it may import everything. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  settings: ["shared"],
  plans: ["shared"],
  store: ["shared"],
  integrations: ["shared", "settings", "store"],
  notices: ["shared", "settings", "store", "integrations"],
  history: ["shared", "store"],
  engine: ["shared", "settings", "store", "integrations", "notices"],
  api: ["shared"],
  workflows: ["shared", "history", "api"],
  runs: ["shared", "api", "integrations", "notices"],
  "plan-templates": ["shared", "plans"],
  "plan-driver": ["shared"],
  "plan-runner": [
    ...["shared", "store", "integrations", "notices", "history", "api", "runs", "workflows", "plans"],
  ],
  sessions: ["shared", "store", "history", "api", "runs"],
  actions: [
    ...["shared", "settings", "integrations", "history", "api", "runs", "sessions", "workflows"],
    ...["plans", "plan-runner", "plan-templates"],
  ],
  dashboard: [
    ...["shared", "integrations", "history", "api", "runs", "sessions"],
    ...["plans", "plan-runner", "actions"],
  ],
  answers: ["shared", "settings", "store", "integrations", "api", "actions", "dashboard"],
  monitoring: ["shared", "history", "sessions", "actions"],
  server: [
    ...["shared", "settings", "store", "integrations", "notices", "history", "api", "runs", "sessions"],
    ...["workflows", "plans", "plan-runner", "plan-templates", "actions", "dashboard", "monitoring"],
  ],
};

/** The modules of the engine that others may import. */
const ENTRY_POINTS = ["engine/index.ts", "engine/background/index.ts", "engine/requirements.ts"];

/**
 * What may use the process's own environment, arguments, streams, signals and end: commands, what starts them and what they
 * take from there, and the library, for a program of its user. An exporter takes variables away while the SDK
 * that reads them makes it.
 */
const PROCESS_USERS = /^(?:cli\/(?:commands\/.*|main|process)|library|dev|monitoring\/exporters)\.ts$/;

/** Where the MCP framework may be named. */
const FRAMEWORK_USERS = /^server\/fastmcp\//;

interface Import {
  /** Paths below `src`, with forward slashes. */
  from: string;
  to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => name.split(sep).join("/"))
  .sort();

/** All that a file imports or exports from elsewhere, types and imports on demand included. */
function importedBy(file: string): string[] {
  const source = readFileSync(join(SRC, file), "utf8");
  return [...source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].flatMap(([, name]) => name ?? []);
}

const imports: Import[] = files.flatMap((from) =>
  importedBy(from)
    .filter((name) => name.startsWith(".") && !name.endsWith(".css"))
    .map((name) => ({ from, to: sourceOf(join(dirname(from), name).split(sep).join("/")) })),
);

/** The source of what an import names; parts of the dashboard's page are written as .tsx. */
function sourceOf(path: string): string {
  const source = path.replace(/\.js$/, ".ts");
  return files.includes(`${source}x`) ? `${source}x` : source;
}

const show = ({ from, to }: Import) => `${from} imports ${to}`;
const folderOf = (file: string) => (file.includes("/") ? (file.split("/")[0] as string) : "");

test("every import within the sources is found", () => {
  expect(imports.length).toBeGreaterThan(500);
  expect(imports.filter(({ to }) => !to.startsWith("../") && !files.includes(to)).map(show)).toEqual([]);
});

test("each folder imports only from those below it", () => {
  const wrong = imports.filter(({ from, to }) => {
    const allowed = MAY_IMPORT[folderOf(from)];
    return allowed && folderOf(to) !== folderOf(from) && !allowed.includes(folderOf(to));
  });
  expect(wrong.map(show)).toEqual([]);
});

test("no folder is allowed to import from one that it does not need", () => {
  const used = new Set(imports.map(({ from, to }) => `${folderOf(from)} ${folderOf(to)}`));
  const spare = Object.entries(MAY_IMPORT).flatMap(([from, allowed]) =>
    allowed.filter((to) => !used.has(`${from} ${to}`)).map((to) => `${from} imports nothing from ${to}`),
  );
  expect(spare).toEqual([]);
});

test("only commands use the process that they run in", () => {
  const uses = /\bprocess\.(?:env|argv|std(?:in|out|err)|exit(?:Code)?|on(?:ce)?|off|emit|cwd|chdir)\b/;
  const users = files.filter((file) => uses.test(readFileSync(join(SRC, file), "utf8")));
  expect(users).toContain("cli/process.ts");
  expect(users.filter((file) => !PROCESS_USERS.test(file))).toEqual([]);
});

test("the engine is entered by its entry points only", () => {
  const wrong = imports.filter(
    ({ from, to }) => folderOf(to) === "engine" && folderOf(from) !== "engine" && !ENTRY_POINTS.includes(to),
  );
  expect(wrong.map(show)).toEqual([]);
});

test("the dashboard's page knows the rest only by the types of what it is told", () => {
  const inPage = ({ from }: Import) => from.startsWith("dashboard/ui/");
  const isOutside = ({ to }: Import) => !to.startsWith("dashboard/ui/");
  expect(imports.filter(inPage).length).toBeGreaterThan(20);
  const isView = (file: string) => file.startsWith("dashboard/views/");
  const wrong = imports.filter((one) => inPage(one) && isOutside(one) && !isView(one.to));
  expect(wrong.map(show)).toEqual([]);
  // Else the code of what they name would get into the page.
  const views = files.filter(isView);
  expect(views.length).toBeGreaterThan(5);
  const code = views.filter((file) =>
    /^(?:import|export) (?!type\b)(?:[{*][^;"]*from )?"/m.test(readFileSync(join(SRC, file), "utf8")),
  );
  expect(code).toEqual([]);
  expect(imports.filter((one) => !inPage(one) && !isOutside(one)).map(show)).toEqual([]);
});

test("the parts of the page, which are for other pages too, know neither its address nor its connection", () => {
  const frame = /^dashboard\/ui\/(route|live|requests|act|app|main|shortcuts|views\/.*)\.tsx?$/;
  const wrong = imports.filter(({ from, to }) => from.startsWith("dashboard/ui/parts/") && frame.test(to));
  expect(wrong.map(show)).toEqual([]);
});

test("the MCP framework is known in its own folder only", () => {
  const users = files.filter((file) => importedBy(file).some((name) => /^fastmcp(?:\/|$)/.test(name)));
  expect(users.length).toBeGreaterThan(0);
  expect(users.filter((file) => !FRAMEWORK_USERS.test(file))).toEqual([]);
});

test("the library of the newer protocol is known in its own folder only", () => {
  const users = files.filter((file) =>
    importedBy(file).some((name) => name.startsWith("@modelcontextprotocol/server")),
  );
  expect(users.length).toBeGreaterThan(0);
  expect(users.filter((file) => !file.startsWith("server/modern/"))).toEqual([]);
});

test("tests that work on POSIX only are known by what they do, and by what their helpers do", () => {
  const left = posixOnly();
  // By itself, by a helper, and by the helper of a helper.
  for (const name of ["git", "uncommitted-start", "six-windows", "watched-pull-requests"])
    expect(left).toContain(`test/${name}.test.ts`);
  for (const name of ["structure", "run", "engine-http", "faults", "plan-chat", "stdin-end"])
    expect(left).not.toContain(`test/${name}.test.ts`);
});
