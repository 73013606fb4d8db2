import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type ScriptedAnthropic, serveScriptedAnthropic } from "../../mocks/scripted-anthropic.js";
import { type ServedApi, serveSimulatedApi } from "../../mocks/serve.js";
import { temporaryFolder } from "../support/bin.js";

// The plugin in the real Claude Code, from a marketplace that is the packed package in a folder of this machine. The
// model is scripted and the API simulated. CLAUDE_CLI names the program.
const CLAUDE = process.env.CLAUDE_CLI ?? "claude";
const PLUGIN = "automagik-workflows@automagik";
const TOOL = "mcp__plugin_automagik-workflows_mcp__orchestrate_workflow";
const KEY = "key-of-the-plugin";
const TASK = {
  workflow_name: "architect",
  message: "Design the login",
  session_name: "login",
  repository_url: "",
  git_branch: "",
};
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

let served: ServedApi;
let model: ScriptedAnthropic;
let home: string;
let marketplace: string;
let env: Record<string, string>;

beforeEach(async () => {
  served = await serveSimulatedApi({ apiKey: KEY, paceMs: 100 });
  onTestFinished(() => served.close());
  model = await serveScriptedAnthropic({ script: [[{ tools: [{ name: TOOL, input: TASK }] }]] });
  onTestFinished(() => model.close());
  home = temporaryFolder();
  marketplace = await unpackPackage(temporaryFolder());
  env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "sk-ant-test",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    // The model is asked only when the servers are there.
    MCP_CONNECTION_NONBLOCKING: "false",
  };
});

/** Packs the package and unpacks it again. @returns its folder */
async function unpackPackage(folder: string): Promise<string> {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const flags = ["--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await run(npm, ["pack", ...flags], { cwd: root });
  await run("tar", ["-xzf", JSON.parse(stdout)[0].filename], { cwd: folder });
  return join(folder, "package");
}

/** Runs Claude Code in the scratch home to its end. @returns what it has printed */
async function claude(...args: string[]): Promise<string> {
  const running = run(CLAUDE, args, { env, cwd: home });
  running.child.stdin?.end();
  return (await running).stdout;
}

/** Adds the marketplace and installs the plugin, with what a person would fill in. */
async function installPlugin(config: Record<string, string> = {}): Promise<void> {
  const given = Object.entries(config).flatMap(([name, value]) => ["--config", `${name}=${value}`]);
  await claude("plugin", "install", "automagik-workflows", "--marketplace", marketplace, ...given);
}

const elsewhere = (): Record<string, string> => ({ engine: "off", base_url: served.url, api_key: KEY });
const claudeFile = (name: string) => join(home, ".claude", name);

test("Claude Code's own check passes the marketplace and the plugin, and its directory would take it", async () => {
  expect(await claude("plugin", "validate", "--strict", marketplace)).toContain("Validation passed");
  const plugin = join(marketplace, "plugin");
  expect(await claude("plugin", "validate", "--strict", plugin)).toContain("Validation passed");
  expect(await claude("plugin", "validate", "--profile", "directory", plugin)).toContain("Validation passed");
});

test("the plugin offers the tool, and a run goes to the API with the address and the key that were filled in", async () => {
  await installPlugin(elsewhere());
  expect(await claude("-p", "--allowedTools", TOOL, "--", "Design the login for my app")).toContain(
    "Finished.",
  );
  expect(model.requests[0]?.tools).toContain(TOOL);
  expect(JSON.parse(model.requests.at(-1)?.toolResults[0]?.text ?? "{}")).toMatchObject({
    outcome: "completed",
    run: { session_name: "login" },
  });
  expect(served.api.world.runs()).toHaveLength(1);
});

test.skipIf(process.platform !== "linux")(
  "the key is kept apart from the settings, for its owner only, and goes with the plugin",
  async () => {
    await installPlugin(elsewhere());
    expect(readFileSync(claudeFile("settings.json"), "utf8")).toContain(served.url);
    expect(readFileSync(claudeFile("settings.json"), "utf8")).not.toContain(KEY);
    expect(readFileSync(claudeFile(".credentials.json"), "utf8")).toContain(KEY);
    expect(statSync(claudeFile(".credentials.json")).mode & 0o077).toBe(0);

    await claude("plugin", "uninstall", PLUGIN);
    await claude("plugin", "marketplace", "remove", "automagik");
    for (const name of [".credentials.json", "settings.json", "plugins/installed_plugins.json"])
      expect(readFileSync(claudeFile(name), "utf8")).not.toMatch(/automagik|key-of-the-plugin/);
    expect(existsSync(claudeFile("plugins/data/automagik-workflows-automagik"))).toBe(false);
    expect(await claude("mcp", "list")).not.toContain("automagik");
  },
);

test("what is left empty is taken from the environment in which Claude Code was started", async () => {
  await installPlugin({ engine: "off" });
  env.AUTOMAGIK_WORKFLOWS_BASE_URL = served.url;
  env.AUTOMAGIK_WORKFLOWS_API_KEY = KEY;
  await claude("-p", "--allowedTools", TOOL, "--", "Design the login for my app");
  expect(served.api.world.runs()).toHaveLength(1);
});

test("with nothing filled in the server starts, for runs on this machine", async () => {
  await installPlugin();
  expect(await claude("mcp", "list")).toMatch(
    /^plugin:automagik-workflows:mcp: .*--engine=local .*Connected$/m,
  );
});
