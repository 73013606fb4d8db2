import { execFile } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { readSettings } from "../src/settings/settings.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const about = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const KIB = 1024;

/** An empty folder in which the packed tarball is installed, as somebody else would. */
let folder: string;
let installed: string;
let bin: string;
const measured = { packedBytes: 0, unpackedBytes: 0, files: 0, installMs: 0, installOutput: "" };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "automagik-package-"));
  writeFileSync(join(folder, "package.json"), '{"name":"somebody","private":true,"type":"module"}');
  const [packed, ...database] = await pack(root, ...findDatabasePackages());
  if (packed === undefined) throw new Error("Nothing was packed");
  const began = performance.now();
  const tarballs = [packed, ...database].map(({ filename }) => join(folder, filename));
  const installing = await npm(folder, ["install", "--offline", ...tarballs]);
  measured.installMs = performance.now() - began;
  measured.installOutput = installing.stdout + installing.stderr;
  measured.packedBytes = packed.size;
  measured.unpackedBytes = packed.unpackedSize;
  measured.files = packed.entryCount;
  installed = join(folder, "node_modules", about.name);
  bin = join(folder, "node_modules/.bin", about.name);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function npm(cwd: string, args: string[]) {
  const env = { PATH: process.env.PATH, HOME: folder, npm_config_audit: "false", npm_config_fund: "false" };
  return run(process.platform === "win32" ? "npm.cmd" : "npm", args, { cwd, env });
}

/** The packages of the database library that a package manager installs on this machine, by their folders. */
function findDatabasePackages(): string[] {
  const modules = join(root, "node_modules");
  const programs = readdirSync(join(modules, "@libsql")).map((name) => join(modules, "@libsql", name));
  // Of another version than somebody else's need, it lies within the library's own folder.
  const need = createRequire(join(modules, "libsql/index.js"));
  const needed = ["@neon-rs/load", "detect-libc"].map((name) =>
    dirname(need.resolve(`${name}/package.json`)),
  );
  return [join(modules, "libsql"), ...needed, ...programs];
}

interface Packed {
  /** In the test's folder. */
  filename: string;
  size: number;
  unpackedSize: number;
  entryCount: number;
}

/**
 * Makes the tarballs of packages by their folders, in one start of npm; those of installed ones stand in for the registry.
 * Without scripts, since building is not what is tested and other tests use the build.
 */
async function pack(...folders: string[]): Promise<Packed[]> {
  const options = ["--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await npm(root, ["pack", ...folders, ...options]);
  return JSON.parse(stdout);
}

/** Runs a module in the folder, with nothing but what is installed there. */
function runModule(code: string, flags: string[] = []) {
  const env = { PATH: process.env.PATH, HOME: folder };
  const args = [...flags, "--input-type=module", "-e", code];
  return run(process.execPath, args, { cwd: folder, env, timeout: 15_000 });
}

describe("the packed package", () => {
  it("installs without scripts, warnings or other packages than the database library", async ({
    annotate,
  }) => {
    await annotate(
      `${Math.round(measured.packedBytes / KIB)} KiB packed, ${Math.round(measured.unpackedBytes / KIB)} KiB unpacked, ` +
        `${measured.files} files, installed in ${Math.round(measured.installMs)} ms`,
    );
    expect(readdirSync(join(folder, "node_modules")).sort()).toEqual([
      ".bin",
      ".package-lock.json",
      "@libsql",
      "@neon-rs",
      about.name,
      "detect-libc",
      "libsql",
    ]);
    expect(measured.installOutput).not.toMatch(/warn/i);
    const shipped = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(shipped.dependencies ?? {}).toEqual({});
    // Where there is no program for the platform the package is installed without it.
    expect(Object.keys(shipped.optionalDependencies)).toEqual(["libsql"]);
    for (const name of ["preinstall", "install", "postinstall"])
      expect(shipped.scripts).not.toHaveProperty(name);
  });

  it("carries the licences of what is bundled, and nothing of this machine", () => {
    const licenses = readFileSync(join(installed, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of ["fastmcp", "zod", "@modelcontextprotocol/sdk", "hono", "ajv"]) {
      expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, "m"));
    }
    expect(existsSync(join(installed, "LICENSE"))).toBe(true);
    const files = readdirSync(installed, { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    );
    for (const { parentPath, name } of files) {
      expect(readFileSync(join(parentPath, name), "utf8").includes(root), name).toBe(false);
    }
  });

  it("greets a chat client and lists its tools with the API's workflows", async () => {
    const api = await serveSimulatedApi({ apiKey: "key-of-test" });
    onTestFinished(() => api.close());
    const client = new Client({ name: "test", version: "0.0.0" });
    onTestFinished(() => client.close());
    await client.connect(
      new StdioClientTransport({
        command: bin,
        cwd: folder,
        stderr: "ignore",
        env: {
          PATH: process.env.PATH ?? "",
          HOME: folder,
          AUTOMAGIK_WORKFLOWS_BASE_URL: api.url,
          AUTOMAGIK_WORKFLOWS_API_KEY: "key-of-test",
          AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
        },
      }),
    );
    expect(client.getServerVersion()).toMatchObject({ name: about.name, version: about.version });
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(["orchestrate_workflow"]);
    expect(JSON.stringify(tools)).toContain("architect");
    const answer = await client.callTool({
      name: "orchestrate_workflow",
      arguments: { action: "list_workflows" },
    });
    expect(JSON.stringify(answer)).toContain("architect");
  });

  it.each([true, false])("starts a run, with the database library: %s", async (hasLibrary) => {
    const [library, elsewhere] = [join(folder, "node_modules/libsql"), join(folder, "libsql-moved")];
    if (!hasLibrary) {
      renameSync(library, elsewhere);
      onTestFinished(() => renameSync(elsewhere, library));
    }
    const state = mkdtempSync(join(folder, "state-"));
    const api = await serveSimulatedApi({ apiKey: "key-of-test" });
    onTestFinished(() => api.close());
    const transport = new StdioClientTransport({
      command: bin,
      cwd: folder,
      stderr: "pipe",
      env: {
        PATH: process.env.PATH ?? "",
        HOME: folder,
        AUTOMAGIK_WORKFLOWS_BASE_URL: api.url,
        AUTOMAGIK_WORKFLOWS_API_KEY: "key-of-test",
        AUTOMAGIK_WORKFLOWS_STATE_DIR: state,
      },
    });
    let told = "";
    transport.stderr?.on("data", (chunk) => {
      told += chunk;
    });
    const client = new Client({ name: "test", version: "0.0.0" });
    onTestFinished(() => client.close());
    await client.connect(transport);
    const call = (args: Record<string, unknown>) =>
      client.callTool({ name: "orchestrate_workflow", arguments: args });
    const choices = { session_name: "here", repository_url: "", git_branch: "", wait_seconds: 0 };
    const started = await call({ action: "run", workflow_name: "architect", message: "Plan it", ...choices });
    expect(JSON.stringify(started)).toContain('"outcome":"started"');
    expect(JSON.stringify(await call({ action: "list_sessions" }))).toContain("here");
    expect(readdirSync(state).includes("automagik.db")).toBe(hasLibrary);
    if (hasLibrary) expect(told).not.toContain("[warn]");
    else {
      expect(told).toMatch(/database library.*libsql.*Sessions are remembered only until this server ends\./);
      expect(JSON.stringify(started)).toContain("could not be saved where sessions are kept");
    }
  });

  it("says what to install where servers are to share a database", async () => {
    const doctor = run(bin, ["doctor"], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        AUTOMAGIK_WORKFLOWS_DATABASE: "postgres://user:pass-4711@127.0.0.1:1/team",
      },
    });
    const { stdout } = await doctor.catch((error: { stdout: string }) => error);
    expect(stdout).toMatch(/^FAIL {2}state .*needs the npm package "pg".*npm install pg/m);
    expect(stdout).not.toContain("4711");
    for (const name of ["pg", "@dbos-inc/dbos-sdk"]) {
      expect(Object.keys(about.peerDependencies)).toContain(name);
      expect(about.peerDependenciesMeta[name]).toEqual({ optional: true });
    }
  });

  it("says what to install where plans are to be in a database that servers share", async () => {
    const settings = {
      AUTOMAGIK_WORKFLOWS_API_KEY: "key",
      AUTOMAGIK_WORKFLOWS_BASE_URL: "http://127.0.0.1:1",
      AUTOMAGIK_WORKFLOWS_DATABASE: "postgres://user:pass-4711@127.0.0.1:1/team",
    };
    const env = { PATH: process.env.PATH, HOME: folder, ...settings };
    const listed = run(bin, ["plan", "list"], { cwd: folder, env });
    const { stderr, code } = await listed.then(
      () => ({ stderr: "", code: 0 }),
      (error: { stderr: string; code: number }) => error,
    );
    expect(stderr).toMatch(/need the npm package "@dbos-inc\/dbos-sdk".*npm install @dbos-inc\/dbos-sdk/);
    expect(stderr).not.toContain("4711");
    expect(code).toBe(1);
  });

  it("answers --version and --help, and refuses what it does not know with exit code 2", async () => {
    expect((await run(bin, ["--version"])).stdout.trim()).toBe(about.version);
    expect((await run(bin, ["--help"])).stdout).toContain("automagik-workflows-mcp demo");
    await expect(run(bin, ["--colour"])).rejects.toMatchObject({ code: 2 });
  });

  it("finds the workflows and plans that come with it", async () => {
    expect(readdirSync(join(installed, "workflows"))).toContain("architect");
    expect(readdirSync(join(installed, "plans"))).toContain("ship-feature.yaml");
    // The module that looks for them is bundled somewhere below dist.
    const chunks = readdirSync(join(installed, "dist/chunks"));
    expect(chunks.length).toBeGreaterThan(0);
    expect(existsSync(join(installed, "dist/chunks/package.json"))).toBe(false);
  });

  it("shows the demo", async () => {
    const { stdout } = await run(bin, ["demo"], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder },
    });
    expect(stdout).toContain("The API was simulated");
  }, 60_000);
});

describe("the library", () => {
  it("serves a client over a transport that the caller brings", async () => {
    const { stdout } = await runModule(`
      import { createServer, readSettings } from "automagik-workflows-mcp";
      import { serveSimulatedApi } from "automagik-workflows-mcp/mocks";
      const api = await serveSimulatedApi({ apiKey: "key" });
      const settings = readSettings({ AUTOMAGIK_WORKFLOWS_BASE_URL: api.url, AUTOMAGIK_WORKFLOWS_API_KEY: "key" });
      const server = createServer({ settings });
      const answered = new Map();
      const transport = {
        async start() {},
        async send(message) { answered.get(message.id)?.(message.result); },
        async close() { this.onclose?.(); },
      };
      function ask(id, method, params) {
        return new Promise((resolve) => {
          answered.set(id, resolve);
          transport.onmessage({ jsonrpc: "2.0", id, method, params });
        });
      }
      const connecting = server.connect(transport);
      while (!transport.onmessage) await new Promise((resolve) => setImmediate(resolve));
      const clientInfo = { name: "somebody", version: "1" };
      const greeting = await ask("a", "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
      transport.onmessage({ jsonrpc: "2.0", method: "notifications/initialized" });
      await connecting;
      const { tools } = await ask("b", "tools/list", {});
      process.stdout.write(JSON.stringify([greeting.serverInfo.version, tools.map((tool) => tool.name)]));
      await server.close(0);
      await api.close();
    `);
    expect(JSON.parse(stdout)).toEqual([about.version, ["orchestrate_workflow"]]);
  });

  it("says which setting is at fault, and leaves the engine to the command", async () => {
    const { stdout } = await runModule(`
      import { createServer, readSettings } from "automagik-workflows-mcp";
      const failures = [];
      const attempts = [
        () => readSettings({ AUTOMAGIK_WORKFLOWS_TIMEOUT: "soon" }),
        () => createServer({ settings: readSettings({}, { engine: "local" }) }),
      ];
      for (const attempt of attempts) {
        try { attempt(); } catch (error) { failures.push(error.name + ": " + error.message); }
      }
      process.stdout.write(JSON.stringify(failures));
    `);
    expect(JSON.parse(stdout)).toEqual([
      expect.stringMatching(/^SettingsError: AUTOMAGIK_WORKFLOWS_TIMEOUT: .*60–14400 s/),
      expect.stringMatching(/^TypeError: .*ENGINE off/),
    ]);
  });

  it("gives stacks that name the sources, where Node is told to read the maps", async () => {
    const { stdout } = await runModule(
      `import { createServer } from "automagik-workflows-mcp";
       try { createServer(); } catch (error) { process.stdout.write(error.stack); }`,
      ["--enable-source-maps"],
    );
    expect(stdout).toMatch(/src\/library\.ts:\d+:\d+/);
  });

  it("has a simulated API without HTTP, too", async () => {
    const { stdout } = await runModule(`
      import { createSimulatedApi, createWorld } from "automagik-workflows-mcp/mocks";
      const api = createSimulatedApi({ apiKey: "key", world: createWorld() });
      const url = "http://localhost/api/v1/workflows/claude-code/manage";
      const answers = await Promise.all([{}, { "x-api-key": "key" }].map((headers) => api.handle(new Request(url, { headers }))));
      process.stdout.write(JSON.stringify(answers.map((answer) => answer.status)));
    `);
    expect(JSON.parse(stdout)).toEqual([401, 200]);
  });

  it.each([
    ["where Node's types are installed", { types: ["node"], lib: ["ES2023"] }],
    ["where only a browser's are", { types: [], lib: ["ES2023", "DOM"] }],
  ])(
    "declares types that stand alone %s, checked with the libraries' own declarations",
    async (_where, surroundings) => {
      writeFileSync(
        join(folder, "use.ts"),
        `import { createServer, readSettings, type Settings, type WorkflowsServer } from "automagik-workflows-mcp";
       import { createSimulatedApi, serveSimulatedApi, type ServedApi } from "automagik-workflows-mcp/mocks";
       const settings: Settings = readSettings({});
       const timeout: number = settings.timeoutS;
       // @ts-expect-error a number
       const text: string = settings.timeoutS;
       const server: WorkflowsServer = createServer({ settings, onLog: (line: string) => void line });
       const served: Promise<ServedApi> = serveSimulatedApi({ apiKey: "key" });
       export { createSimulatedApi, served, server, text, timeout };`,
      );
      const compilerOptions = {
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        module: "NodeNext",
        target: "ES2022",
        ...surroundings,
        typeRoots: [join(root, "node_modules/@types")],
      };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
      const compiler = join(
        dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
        "bin/tsc",
      );
      const failure = await run(process.execPath, [compiler, "-p", folder]).catch((error) => error.stdout);
      expect(failure).toMatchObject({ stdout: "" });
    },
  );
});

describe("what registries are told", () => {
  const told = JSON.parse(readFileSync(join(root, "server.json"), "utf8"));

  it("names this package and this version", () => {
    const { name, version, description, packages } = told;
    expect({ name, version }).toEqual({ name: about.mcpName, version: about.version });
    expect(description.length).toBeLessThanOrEqual(100);
    expect(packages).toHaveLength(1);
    expect(packages[0]).toMatchObject({
      registryType: "npm",
      identifier: about.name,
      version: about.version,
      transport: { type: "stdio" },
    });
  });

  it("asks for settings that there are, with their true defaults", () => {
    const variables: { name: string; default?: string; choices?: string[]; isSecret?: boolean }[] =
      told.packages[0].environmentVariables;
    expect(variables.find(({ isSecret }) => isSecret)?.name).toBe("AUTOMAGIK_WORKFLOWS_API_KEY");
    const unset = readSettings({});
    const table = readFileSync(join(root, "docs/settings.md"), "utf8");
    for (const { name, default: value, choices = [] } of variables) {
      expect(table).toContain(`| \`${name}\` |`);
      if (value !== undefined) expect(readSettings({ [name]: value })).toEqual(unset);
      for (const choice of choices) expect(() => readSettings({ [name]: choice })).not.toThrow();
    }
  });
});
