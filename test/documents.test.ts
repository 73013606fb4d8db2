import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { CLIENT_NAMES, type ClientName } from "../src/cli/install/clients.js";
import { createConfigFiles } from "../src/cli/install/config-files.js";
import { runInstall } from "../src/cli/install/install.js";
import { temporaryFolder } from "./support/bin.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = (path: string) => readFileSync(join(root, path), "utf8");
const DOCUMENTS = [
  ...readdirSync(root),
  ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`),
].filter((path) => path.endsWith(".md") && path !== "CHANGELOG.md");
const README = text("README.md");
const CLIENTS = text("docs/clients.md");
/** Each snippet stands under a mark that names the client. */
const SNIPPETS = [...CLIENTS.matchAll(/<!-- install ([\w-]+) -->\n```\w+\n([\s\S]*?)```/g)].map(
  ([, client = "", text = ""]) => ({ client, text }),
);

/** What `install <client> --print` says is to be written, on a machine where nothing is. */
async function print(client: string): Promise<string> {
  const home = temporaryFolder();
  let printed = "";
  await runInstall({
    client,
    print: true,
    launch: { command: "node", args: ["/path/to/automagik-workflows-mcp/dist/cli.js"] },
    variables: {},
    env: {},
    home,
    platform: "linux",
    cwd: home,
    files: createConfigFiles(),
    now: () => 0,
    out: (text) => {
      printed += text;
    },
  });
  const added = printed.split("\n").filter((line) => line.startsWith("+"));
  return added.map((line) => `${line.slice(2)}\n`).join("");
}

it.each(SNIPPETS)("docs/clients.md shows for $client what install writes", async ({ client, text }) => {
  expect(text).toBe(await print(client));
});

it("the documents have snippets, name every client that install knows, and copy no key into a configuration", () => {
  expect(SNIPPETS.length).toBeGreaterThanOrEqual(3);
  expect(CLIENT_NAMES.filter((name: ClientName) => !README.includes(`\`${name}\``))).toEqual([]);
  expect(README + CLIENTS).not.toMatch(/AUTOMAGIK_WORKFLOWS_API_KEY=["']?\$/);
});

it("the README is at most 200 lines", () => {
  expect(README.split("\n").length).toBeLessThanOrEqual(200);
});

/** The anchor by which GitHub reaches a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

it.each(DOCUMENTS)("%s links to what is there, and names files that are there", (path) => {
  const document = text(path);
  const missing: string[] = [];
  for (const [, target = ""] of document.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
    const [file = "", anchor] = target.split("#");
    const linked = file === "" ? path : join(dirname(path), file);
    const headings = () =>
      [...text(linked).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));
    if (!existsSync(join(root, linked)) || (anchor && !headings().includes(anchor))) missing.push(target);
  }
  // A path in code marks: a folder, or a file of ours; what has a pattern or an ellipsis in it names none.
  for (const [, named = ""] of document.matchAll(
    /`((?:src|test|docs|mocks|scripts|bench|examples|workflows)\/[\w./-]*)`/g,
  )) {
    if (!existsSync(join(root, named))) missing.push(named);
  }
  expect(missing).toEqual([]);
});

it("docs/library.md says of each dependency what it is for", () => {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text("package.json"));
  const said = text("docs/library.md");
  const names = Object.keys({ ...dependencies, ...devDependencies });
  expect(names.filter((name) => !said.includes(`\`${name}\``))).toEqual([]);
});

it("no entry of the changelog stands twice in one version", () => {
  for (const version of text("CHANGELOG.md").split(/^## /m)) {
    const begins = [...version.matchAll(/^- (.{20,60})/gm)].map(([, begin]) => begin);
    expect(begins.filter((begin, at) => begins.indexOf(begin) !== at)).toEqual([]);
  }
});
