import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import type { Finding } from "../src/cli/doctor/finding.js";
import { BIN, runBin, temporaryFolder, toVariables } from "./support/bin.js";
import { freePort } from "./support/free-port.js";

// `doctor` looks at what `install` has written into the chat clients' files: through the published bin.

/** A person's machine with nothing in its home. */
function createMachine() {
  const home = temporaryFolder();
  const run = (args: string[], settings: Record<string, string> = {}) =>
    // Without a Claude Code that this machine may have, which would write the file itself.
    runBin(args, { HOME: home, PATH: "/usr/bin:/bin", ...toVariables({ NOTIFY: "", ...settings }) });
  const install = async (client: string, args: string[] = [], settings: Record<string, string> = {}) => {
    expect(await run(["install", client, "--yes", ...args], settings)).toMatchObject({ code: 0 });
  };
  const doctor = async (settings: Record<string, string> = {}) => {
    const { code, stdout } = await run(["doctor", "--json"], settings);
    const list: Finding[] = JSON.parse(stdout);
    const clients = list.filter(({ check }) => check === "client");
    return { code, stdout, clients, found: Object.fromEntries(list.map((one) => [one.check, one])) };
  };
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), text);
  };
  return { home, run, install, doctor, write };
}

const stdio = (variables: Record<string, string>, command = process.execPath, args = [BIN]) => ({
  type: "stdio",
  command,
  args,
  env: toVariables(variables),
});
const servers = (entry: object) => JSON.stringify({ mcpServers: { automagik: entry } });

it("says how to begin where neither an engine nor an API is set up anywhere, and makes nothing", async () => {
  const { home, doctor } = createMachine();
  const { code, clients, found } = await doctor({ BASE_URL: "" });
  expect(code).toBe(1);
  expect(clients).toEqual([]);
  expect(found.address).toEqual({
    check: "address",
    status: "failure",
    message: "no chat client has this server, and no workflows API is set here",
    todo: expect.stringContaining("automagik-workflows-mcp install claude-code --engine local"),
  });
  expect(found.key).toBeUndefined();
  expect(readdirSync(home)).toEqual([]);
});

it.each([
  ["claude-code", "Claude Code", "~/.claude.json"],
  ["cursor", "Cursor", "~/.cursor/mcp.json"],
  ["goose", "Goose", "~/.config/goose/config.yaml"],
  ["codex", "Codex", "~/.codex/config.toml"],
])(
  "checks what install has written for %s, and not the shell, which has nothing",
  async (client, title, file) => {
    const { home, install, doctor } = createMachine();
    const state = join(home, "my-state");
    await install(client, ["--engine", "local", "--state-dir", state, "--engine-allowed-folders", "~/code"]);
    const { found, clients } = await doctor();
    const whose = `"automagik" of ${title} (${file})`;
    expect(clients).toEqual([
      { check: "client", status: "ok", message: `${whose}: runs are carried out on this machine` },
    ]);
    expect(found.settings?.message).toBe(`can be used; checked are those of ${whose}`);
    expect(found.address).toMatchObject({
      status: "ok",
      message: expect.stringContaining("engine of this machine"),
    });
    // Needed by that engine, as in a shell that says so.
    expect(found.claude?.status).toBe("failure");
    expect(found.engine).toMatchObject({
      status: "ok",
      message: expect.stringContaining("a chat window starts it"),
    });
    expect(found.state?.message).toContain("~/my-state");
    expect(found.repositories?.message).toBe("allowed: all in ~/code");
  },
);

it("tries the API that a client has, with the key in its file, which is not shown", async () => {
  const { write, doctor } = createMachine();
  const { url, api, close } = await serveSimulatedApi({ apiKey: "key-in-the-file-0815" });
  onTestFinished(close);
  write(".cursor/mcp.json", servers(stdio({ BASE_URL: url, API_KEY: "key-in-the-file-0815" })));
  const { found, clients, stdout } = await doctor();
  expect(clients).toMatchObject([
    {
      status: "ok",
      message: `"automagik" of Cursor (~/.cursor/mcp.json): runs are carried out by the API at ${url}; its key stands in the file`,
    },
  ]);
  expect(found).toMatchObject({ address: { status: "ok" }, key: { status: "ok" }, manage: { status: "ok" } });
  expect(stdout).not.toContain("0815");
  expect(api.requests.every(({ method }) => method === "GET")).toBe(true);
});

it("names the variable that a key comes from, and says where it is not set", async () => {
  const { write, doctor } = createMachine();
  const { url, close } = await serveSimulatedApi({ apiKey: "key-of-the-shell" });
  onTestFinished(close);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as the client's file has it
  write(".claude.json", servers(stdio({ BASE_URL: url, API_KEY: "${AUTOMAGIK_WORKFLOWS_API_KEY:-}" })));
  expect((await doctor()).clients).toMatchObject([
    {
      status: "warning",
      message: expect.stringContaining("AUTOMAGIK_WORKFLOWS_API_KEY, which is not set in this shell"),
      todo: "Set it where the client is started.",
    },
  ]);
  const { clients, stdout } = await doctor({ API_KEY: "key-of-the-shell" });
  expect(clients).toMatchObject([
    { status: "ok", message: expect.stringContaining("its key is that of AUTOMAGIK_WORKFLOWS_API_KEY") },
  ]);
  expect(stdout).not.toContain("key-of-the-shell");
});

it("says what is wrong with an entry, naming client and file", async () => {
  const { home, write, doctor } = createMachine();
  const gone = join(home, "gone", "cli.js");
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  write(".claude.json", servers(stdio({ ENGINE: "local" }, process.execPath, [gone])));
  write(".cursor/mcp.json", servers(stdio({ ENGINE: "local", ENGINE_PUSH: "maybe" })));
  write(".config/Code/User/mcp.json", '{ "servers": { "automagik-workflows": ');
  write(
    ".config/Claude/claude_desktop_config.json",
    JSON.stringify({ mcpServers: { mine: stdio({ BASE_URL: nowhere }), other: { command: "x" } } }),
  );
  write(
    ".codex/config.toml",
    `[mcp_servers.automagik]\ncommand = "no-such-program-${Date.now()}"\n[mcp_servers.automagik.env]\nAUTOMAGIK_WORKFLOWS_ENGINE = "local"\n`,
  );
  const { code, clients } = await doctor();
  expect(code).toBe(1);
  expect(clients.map(({ status, message, todo }) => `${status}: ${message} → ${todo}`)).toEqual([
    'failure: "automagik" of Claude Code (~/.claude.json): ~/gone/cli.js is not there, so the client cannot start it → Set it up again: automagik-workflows-mcp install claude-code --engine local',
    expect.stringMatching(/^failure: "mine" of Claude Desktop .*, without a key → /),
    expect.stringMatching(
      /^failure: "automagik" of Cursor \(~\/\.cursor\/mcp\.json\): AUTOMAGIK_WORKFLOWS_ENGINE_PUSH: .*allowed: `off` or `on`/,
    ),
    expect.stringMatching(/^failure: "automagik" of Codex .*: the program no-such-program-\d+ is not there/),
    expect.stringMatching(
      /^warning: ~\/\.config\/Code\/User\/mcp\.json of VS Code cannot be looked into \(it is not valid JSON\)/,
    ),
  ]);
});

it("says which variables of the shell and of an entry are no settings, which the server does, too", async () => {
  const { run, install, write, doctor } = createMachine();
  write(".cursor/mcp.json", servers(stdio({ ENGINE: "local", ENGINE_PSUH: "on" })));
  await install("claude-code", ["--engine", "local"]);
  const { clients, found } = await doctor({ ENGINE_COST_LIMT: "5" });
  expect(found.settings).toMatchObject({
    status: "warning",
    message: expect.stringMatching(
      /^can be used; checked are those of .*\. \S+_ENGINE_COST_LIMT \(\S+_ENGINE_COST_LIMIT may be meant\) is no setting/,
    ),
    todo: expect.stringContaining("Correct its name"),
  });
  expect(clients.map(({ status, message }) => `${status}: ${message}`)).toEqual([
    expect.stringMatching(/^ok: "automagik" of Claude Code/),
    expect.stringMatching(
      /^warning: .* of Cursor .*_ENGINE_PSUH \(\S+_ENGINE_PUSH may be meant\) is no setting/,
    ),
  ]);
  // Its stdin is at its end, so it ends at once.
  const server = await run([], { ENGINE: "local", ENGINE_COST_LIMT: "5" });
  expect(server.stderr).toMatch(
    /\[warn\] \S+_ENGINE_COST_LIMT \(\S+_ENGINE_COST_LIMIT may be meant\) is no setting/,
  );
});

it("tries the addresses of other entries, too, and the shell's own settings win where it has some", async () => {
  const { write, doctor } = createMachine();
  const { url, close } = await serveSimulatedApi({ apiKey: "test-key" });
  onTestFinished(close);
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  write(".cursor/mcp.json", servers(stdio({ BASE_URL: nowhere, API_KEY: "another-key" })));
  const { found, clients } = await doctor({ BASE_URL: url, API_KEY: "test-key" });
  expect(found.settings?.message).toBe("can be used");
  expect(found).toMatchObject({
    address: { status: "ok", message: `${url} answers` },
    key: { status: "ok" },
  });
  expect(clients).toMatchObject([
    {
      status: "failure",
      message: `"automagik" of Cursor (~/.cursor/mcp.json): nothing can be reached at ${nowhere} (ECONNREFUSED)`,
    },
  ]);
});

it("runs no program and asks no address that only the project's file names, which may be a stranger's", async () => {
  const { home } = createMachine();
  const { url, api, close } = await serveSimulatedApi({ apiKey: "key-of-the-shell" });
  onTestFinished(close);
  const project = temporaryFolder();
  const program = join(project, "claude");
  writeFileSync(program, `#!/bin/sh\ntouch '${join(project, "was-run")}'\n`, { mode: 0o755 });
  const entries = {
    local: stdio({ ENGINE: "local", CLAUDE_PATH: program, STATE_DIR: join(project, "state") }),
    elsewhere: stdio({ BASE_URL: url }),
  };
  writeFileSync(join(project, ".mcp.json"), JSON.stringify({ mcpServers: entries }));
  const inside = promisify(execFile);
  const addresses: unknown[] = [];
  for (const settings of [{}, { API_KEY: "key-of-the-shell", BASE_URL: "http://127.0.0.1:1" }]) {
    const env = { HOME: home, PATH: "/usr/bin:/bin", ...toVariables({ NOTIFY: "off", ...settings }) };
    const { stdout } = await inside(process.execPath, [BIN, "doctor", "--json"], { cwd: project, env }).catch(
      (error) => error,
    );
    const findings: Finding[] = JSON.parse(stdout);
    const clients = findings.filter(({ check }) => check === "client");
    addresses.push(findings.find(({ check }) => check === "address"));
    expect(clients.map(({ message }) => message)).toEqual([
      expect.stringContaining('"local" of Claude Code'),
      expect.stringContaining('"elsewhere" of Claude Code'),
    ]);
  }
  expect(addresses).toMatchObject([
    { status: "skipped", message: expect.stringContaining("only a file of this project") },
    { status: "failure", message: expect.stringContaining("http://127.0.0.1:1") },
  ]);
  expect(api.requests).toEqual([]);
  expect(readdirSync(project).sort()).toEqual([".mcp.json", "claude"]);
});

it("finds the servers of a project and of Claude Code's own scope for it, and the plugin", async () => {
  const { write, doctor, home } = createMachine();
  write(
    ".claude.json",
    JSON.stringify({ projects: { [process.cwd()]: { mcpServers: { here: stdio({ ENGINE: "local" }) } } } }),
  );
  write(
    ".claude/settings.json",
    JSON.stringify({ enabledPlugins: { "automagik-workflows@automagik": true } }),
  );
  const { clients } = await doctor();
  expect(clients.map(({ message }) => message)).toEqual([
    '"here" of Claude Code (~/.claude.json): runs are carried out on this machine',
    "the plugin automagik-workflows of Claude Code (~/.claude/settings.json): runs are carried out on this machine",
  ]);
  expect(existsSync(join(home, ".local"))).toBe(false);
  const { url, close } = await serveSimulatedApi();
  onTestFinished(close);
  const id = "automagik-workflows@automagik";
  // As Claude Code 2.1.332 writes it for `--config engine=off --config base_url=…`.
  const form = {
    enabledPlugins: { [id]: true },
    pluginConfigs: { [id]: { options: { engine: "off", base_url: url } } },
  };
  write(".claude.json", "{}");
  write(".claude/settings.json", JSON.stringify(form));
  expect((await doctor()).found).toMatchObject({
    client: { status: "ok", message: expect.stringContaining(`runs are carried out by the API at ${url}`) },
    address: { status: "ok" },
    key: { status: "skipped", message: "kept by the client, and not known here" },
  });
  write(".claude.json", JSON.stringify({ mcpServers: { here: stdio({ ENGINE: "local" }) } }));
  expect(readFileSync(join(home, ".claude.json"), "utf8")).toContain("here");
});
