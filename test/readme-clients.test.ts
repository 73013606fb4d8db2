import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { CLIENT_NAMES, type ClientName } from "../src/cli/install/clients.js";
import { createConfigFiles } from "../src/cli/install/config-files.js";
import { runInstall } from "../src/cli/install/install.js";
import { temporaryFolder } from "./support/bin.js";

const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
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
