import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { listEntries } from "../src/settings/entries.js";
import { readSettings } from "../src/settings/settings.js";
import { temporaryFolder } from "./support/bin.js";
import { packPackage, serveRegistry } from "./support/npm-registry.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));
const about = readJson("package.json");
const [listed] = readJson(".claude-plugin/marketplace.json").plugins;
const manifest = readJson(join(listed.source, ".claude-plugin/plugin.json"));

interface Field {
  default?: string;
  options?: string[];
  sensitive?: boolean;
  required?: boolean;
}

describe("the manifest of the Claude Code plugin", () => {
  const fields = Object.entries<Field>(manifest.userConfig);
  const { args, env } = manifest.mcpServers.mcp;

  it("has the package's version, licence and keywords, and the name by which the marketplace lists it", () => {
    const { name, version, license, keywords, repository } = manifest;
    expect({ version, license, keywords }).toEqual({
      version: about.version,
      license: about.license,
      keywords: about.keywords,
    });
    expect(about.repository.url).toBe(`git+${repository}.git`);
    expect(listed.name).toBe(name);
  });

  it("asks for settings that there are, requires none, and hands each to the server, secrets not as an argument", () => {
    for (const [name, field] of fields) {
      const entry = listEntries().find((one) => one.variable === name.toUpperCase());
      expect(field.sensitive ?? false, name).toBe(entry?.secret ?? false);
      expect(field.required).toBeUndefined();
      for (const option of field.options ?? [])
        expect(() => readSettings({}, { [entry?.flag ?? ""]: option })).not.toThrow();
      const reference = `\${user_config.${name}}`;
      const variable = `AUTOMAGIK_WORKFLOWS_${entry?.variable}`;
      if (field.sensitive) expect(env).toHaveProperty(variable, reference);
      else expect(args).toContain(`--${entry?.flag}=${reference}`);
      // Left empty it must not hide what is set where Claude Code was started.
      if (field.sensitive) expect(field.default).toBe(`\${${variable}:-}`);
    }
    expect(args).toHaveLength(1 + fields.filter(([, field]) => !field.sensitive).length);
    expect(Object.keys(env)).toHaveLength(fields.filter(([, field]) => field.sensitive).length);
  });

  it("leaves the tools' names below the 64 characters that APIs of models take", () => {
    const before = `mcp__plugin_${manifest.name}_mcp__`;
    expect(before.length + "orchestrate_workflow".length).toBeLessThanOrEqual(64);
  });
});

describe("the plugin's start", { timeout: 120_000 }, () => {
  let folder: string;
  let env: Record<string, string>;

  beforeEach(() => {
    folder = temporaryFolder();
    env = {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      CLAUDE_PLUGIN_DATA: join(folder, "data"),
      AUTOMAGIK_WORKFLOWS_STATE_DIR: join(folder, "state"),
    };
  });

  /** What Claude Code copies of a marketplace that is not on this machine: the plugin's folder alone. */
  function copyPlugin(): string {
    const copy = join(folder, "cache", manifest.version);
    cpSync(join(root, listed.source), copy, { recursive: true });
    return join(copy, "start.mjs");
  }

  /** Starts it as Claude Code does. @returns the names of the tools */
  async function listTools(script: string, cwd = folder): Promise<string[]> {
    const api = await serveSimulatedApi({ apiKey: "test-key" });
    onTestFinished(() => api.close());
    const client = new Client({ name: "test", version: "0.0.0" });
    onTestFinished(() => client.close());
    const args = [script, "--engine=off", `--base-url=${api.url}`, "--engine-allowed-folders="];
    const settings = { AUTOMAGIK_WORKFLOWS_API_KEY: "test-key" };
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args,
        cwd,
        stderr: "ignore",
        env: { ...env, ...settings },
      }),
    );
    expect(client.getServerVersion()).toMatchObject({ name: about.name, version: about.version });
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    await client.close();
    return names;
  }

  it("takes the package around it, and npm gets nothing", async () => {
    expect(await listTools(join(root, listed.source, "start.mjs"))).toEqual(["orchestrate_workflow"]);
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  it("installs its version once, whatever the session's folder says, and then needs no registry", async () => {
    const packed = await packPackage(folder);
    expect(packed.files).toEqual(
      expect.arrayContaining([
        ".claude-plugin/marketplace.json",
        "plugin/.claude-plugin/plugin.json",
        "plugin/start.mjs",
        "plugin/README.md",
        "dist/cli.js",
      ]),
    );
    const registry = await serveRegistry(packed);
    onTestFinished(() => registry.close());
    writeFileSync(join(folder, ".npmrc"), `registry=${registry.url}\n`);
    // A repository that would have npm ask elsewhere, and npx run something of its own.
    const hostile = join(folder, "hostile");
    mkdirSync(join(hostile, "node_modules", ".bin"), { recursive: true });
    writeFileSync(join(hostile, ".npmrc"), "registry=http://127.0.0.1:9\n");
    writeFileSync(join(hostile, "node_modules", ".bin", about.name), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    const script = copyPlugin();
    expect(await listTools(script, hostile)).toEqual(["orchestrate_workflow"]);
    await registry.close();
    expect(await listTools(script, hostile)).toEqual(["orchestrate_workflow"]);
    expect(readdirSync(join(folder, "data"))).toEqual([about.version]);
  });

  it("says what to do when npm cannot get it, on stderr only, and leaves nothing half", async () => {
    const packed = await packPackage(folder);
    const registry = await serveRegistry({ ...packed, name: "another-package" });
    onTestFinished(() => registry.close());
    writeFileSync(join(folder, ".npmrc"), `registry=${registry.url}\n`);
    const ended = await promisify(execFile)(process.execPath, [copyPlugin()], { env, cwd: folder }).catch(
      (error) => error,
    );
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toMatch(
      /npm could not install version .*, so nothing was started\. Restart Claude Code/,
    );
    expect(readdirSync(join(folder, "data"))).toEqual([]);
  });
});
