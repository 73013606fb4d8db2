import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { parse as parseJsonc } from "jsonc-parser";
import { beforeEach, describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { createAsk } from "../src/cli/install/ask.js";
import { findClaudeCli } from "../src/cli/install/claude-cli.js";
import { CLIENT_NAMES, type ClientName } from "../src/cli/install/clients.js";
import { type ConfigFiles, createConfigFiles } from "../src/cli/install/config-files.js";
import { runInstall } from "../src/cli/install/install.js";
import { chooseLaunch } from "../src/cli/install/launch.js";
import type { InstallOptions } from "../src/cli/install/task.js";
import { SettingsError } from "../src/settings/settings.js";
import { temporaryFolder } from "./support/bin.js";

const KEY = "sk-the-real-key-4711";
const LAUNCH = { command: "/opt/node/bin/node", args: ["/opt/aw/dist/src/cli.js"] };
const ADDRESS = { AUTOMAGIK_WORKFLOWS_BASE_URL: "http://api.test:28881" };
const NOW = Date.parse("2026-11-25T14:15:16.789Z");

/** Where each client's own file lies below a home on Linux. */
const FILES: Record<ClientName, string> = {
  "claude-code": ".claude.json",
  "claude-desktop": ".config/Claude/claude_desktop_config.json",
  cursor: ".cursor/mcp.json",
  vscode: ".config/Code/User/mcp.json",
  goose: ".config/goose/config.yaml",
  codex: ".codex/config.toml",
};

let home: string;
let printed: string;

beforeEach(() => {
  home = temporaryFolder();
  printed = "";
});

function install(client: string, more: Partial<InstallOptions> = {}): Promise<number> {
  return runInstall({
    client,
    yes: true,
    launch: LAUNCH,
    variables: ADDRESS,
    apiKey: KEY,
    env: {},
    home,
    platform: "linux",
    cwd: join(home, "project"),
    files: createConfigFiles(),
    now: () => NOW,
    out: (text) => {
      printed += text;
    },
    ...more,
  });
}

/** Puts a file below the home. */
function put(name: string, text: string): string {
  const path = join(home, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const get = (name: string) => readFileSync(join(home, name), "utf8");
const getJson = (name: string) => parseJsonc(get(name));
/** Every file below the home, with what is in it. */
function everything(folder = home): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [path.slice(home.length + 1), readFileSync(path, "utf8")];
      }),
  );
}

describe("what each client is given", () => {
  it("Claude Code: a server of the user that takes the key from the environment, empty when it is not there", async () => {
    expect(await install("claude-code")).toBe(0);
    expect(printed).toContain(`"AUTOMAGIK_WORKFLOWS_API_KEY": "\${AUTOMAGIK_WORKFLOWS_API_KEY:-}"`);
    expect(getJson(".claude.json")).toEqual({
      mcpServers: {
        automagik: {
          type: "stdio",
          ...LAUNCH,
          env: { AUTOMAGIK_WORKFLOWS_API_KEY: `\${AUTOMAGIK_WORKFLOWS_API_KEY:-}`, ...ADDRESS },
        },
      },
    });
  });

  it("Cursor: a reference in its own notation", async () => {
    await install("cursor");
    expect(getJson(".cursor/mcp.json").mcpServers.automagik.env.AUTOMAGIK_WORKFLOWS_API_KEY).toBe(
      `\${env:AUTOMAGIK_WORKFLOWS_API_KEY}`,
    );
  });

  it("VS Code: an input that it asks for, without showing what is typed", async () => {
    await install("vscode");
    const { servers, inputs } = getJson(".config/Code/User/mcp.json");
    expect(inputs).toEqual([
      {
        type: "promptString",
        id: "automagik-workflows-key",
        description: "Key of the workflows API",
        password: true,
      },
    ]);
    expect(servers.automagik.env.AUTOMAGIK_WORKFLOWS_API_KEY).toBe(`\${input:automagik-workflows-key}`);
    expect(printed).toContain('"password": true');
  });

  it("Goose: the name of the key for its keyring", async () => {
    await install("goose");
    expect(parseYaml(get(".config/goose/config.yaml"))).toEqual({
      extensions: {
        automagik: {
          type: "stdio",
          name: "automagik",
          cmd: LAUNCH.command,
          args: LAUNCH.args,
          description: "Runs remote coding workflows",
          enabled: true,
          timeout: 300,
          envs: ADDRESS,
          env_keys: ["AUTOMAGIK_WORKFLOWS_API_KEY"],
        },
      },
    });
  });

  it("Codex: the name of the key among the variables that it hands on, and time to start", async () => {
    await install("codex");
    expect(get(".codex/config.toml")).toBe(
      [
        "[mcp_servers.automagik]",
        'command = "/opt/node/bin/node"',
        'args = ["/opt/aw/dist/src/cli.js"]',
        "startup_timeout_sec = 30",
        'env_vars = ["AUTOMAGIK_WORKFLOWS_API_KEY"]',
        "",
        "[mcp_servers.automagik.env]",
        'AUTOMAGIK_WORKFLOWS_BASE_URL = "http://api.test:28881"',
        "",
      ].join("\n"),
    );
  });

  it.each(CLIENT_NAMES)(
    "%s: no key in any file and in nothing that is shown, unless it is asked for",
    async (client) => {
      expect(await install(client)).toBe(0);
      expect(Object.keys(everything())).toEqual([FILES[client]]);
      expect(JSON.stringify(everything())).not.toContain(KEY);
      expect(printed).not.toContain(KEY);
      expect(printed).toContain(join(home, FILES[client]));
    },
  );

  it.each(CLIENT_NAMES)(
    "%s: no key is referred to where the engine of this machine does the work",
    async (client) => {
      await install(client, { variables: { AUTOMAGIK_WORKFLOWS_ENGINE: "local" } });
      expect(get(FILES[client])).toContain("AUTOMAGIK_WORKFLOWS_ENGINE");
      expect(get(FILES[client])).not.toContain("API_KEY");
      expect(printed).not.toContain("API_KEY");
    },
  );

  it.each(CLIENT_NAMES)(
    "%s: a second time there is nothing to change, and nothing is written",
    async (client) => {
      await install(client);
      const before = everything();
      printed = "";
      expect(await install(client, { yes: false })).toBe(0);
      expect(printed).toContain("Nothing to change");
      expect(everything()).toEqual(before);
    },
  );

  it.each([
    ["claude-code", ".mcp.json"],
    ["cursor", ".cursor/mcp.json"],
    ["vscode", ".vscode/mcp.json"],
    ["codex", ".codex/config.toml"],
  ])("%s: the file of one project, where others can read it", async (client, file) => {
    expect(await install(client, { project: true })).toBe(0);
    expect(Object.keys(everything())).toEqual([`project/${file}`]);
    expect(statSync(join(home, "project", file)).mode & 0o777).toBe(0o644);
    expect(printed).toContain("folders of this machine");
  });

  it.each(["claude-desktop", "goose"])("%s: has no file of a project, and says so", async (client) => {
    expect(await install(client, { project: true })).toBe(1);
    expect(printed).toContain("Leave --project out");
    expect(everything()).toEqual({});
  });
});

describe("Claude Desktop, which can take the key from its file only", () => {
  const FILE = FILES["claude-desktop"];
  const env = () => getJson(FILE).mcpServers.automagik.env;

  it("asks whether to write the key, apart from the question whether to write", async () => {
    const asked: string[] = [];
    const ask = async (question: string) => asked.push(question) > 0;
    expect(await install("claude-desktop", { yes: false, ask })).toBe(0);
    expect(asked).toHaveLength(2);
    expect(asked[0]).toContain("Write the key");
    expect(env().AUTOMAGIK_WORKFLOWS_API_KEY).toBe(KEY);
    expect(printed).not.toContain(KEY);
    expect(statSync(join(home, FILE)).mode & 0o777).toBe(0o600);
  });

  it("writes the rest without the key when the person wants that", async () => {
    const ask = async (question: string) => !question.includes("Write the key");
    expect(await install("claude-desktop", { yes: false, ask })).toBe(0);
    expect(env()).toEqual(ADDRESS);
    expect(printed).toContain("--with-key");
  });

  it("does not take --yes for a yes to the key", async () => {
    expect(await install("claude-desktop")).toBe(0);
    expect(env()).toEqual(ADDRESS);
    expect(printed).toContain("has no key yet");
  });

  it("writes and replaces the key with --with-key, and never shows it", async () => {
    await install("claude-desktop", { withKey: true, apiKey: "old-key" });
    expect(await install("claude-desktop", { withKey: true })).toBe(0);
    expect(env().AUTOMAGIK_WORKFLOWS_API_KEY).toBe(KEY);
    expect(printed).not.toContain(KEY);
    expect(printed).not.toContain("old-key");
  });

  it("leaves a key that stands there alone, and does not ask", async () => {
    await install("claude-desktop", { withKey: true });
    expect(await install("claude-desktop", { yes: false })).toBe(0);
    expect(env().AUTOMAGIK_WORKFLOWS_API_KEY).toBe(KEY);
  });

  it("refuses --with-key for a client that needs none, and without a key", async () => {
    await expect(install("cursor", { withKey: true })).rejects.toThrow(/--with-key: Cursor needs no key/);
    const { apiKey: _none, ...rest } = { apiKey: undefined };
    await expect(
      runInstall({ ...(await options()), ...rest, client: "claude-desktop", withKey: true }),
    ).rejects.toThrow(SettingsError);
    expect(everything()).toEqual({});
  });

  async function options(): Promise<InstallOptions> {
    const { client, launch } = { client: "claude-desktop", launch: LAUNCH };
    return {
      client,
      launch,
      variables: {},
      env: {},
      home,
      platform: "linux",
      cwd: home,
      files: createConfigFiles(),
      now: () => NOW,
      out: () => {},
    };
  }
});

describe("what is there stays", () => {
  it("in VS Code's file: comments, order, other servers and inputs, indentation", async () => {
    const before = [
      "// mine",
      "{",
      "\t// of the company",
      '\t"inputs": [{ "id": "other", "type": "promptString" }],',
      '\t"servers": {',
      '\t\t"docs": { "url": "https://docs.test" }, // last',
      "\t},",
      "}",
      "",
    ];
    put(FILES.vscode, before.join("\n"));
    expect(await install("vscode")).toBe(0);
    const after = get(FILES.vscode);
    for (const comment of ["// mine", "// of the company", "// last"]) expect(after).toContain(comment);
    expect(after).toContain('\t\t"automagik": {\n\t\t\t"type": "stdio"');
    expect(getJson(FILES.vscode).inputs.map(({ id }: { id: string }) => id)).toEqual([
      "other",
      "automagik-workflows-key",
    ]);
    expect(getJson(FILES.vscode).servers.docs).toEqual({ url: "https://docs.test" });
  });

  it("in Codex's file: every byte outside of the server's own tables", async () => {
    const head = [
      'model = "o3" # mine',
      "[mcp_servers.docs]",
      'args = [ "a", # [mcp_servers.automagik]',
      "]",
      'text = """',
      "[mcp_servers.automagik]",
      '"""',
      "",
    ].join("\r\n");
    const own = [
      "[mcp_servers.automagik]",
      'command = "npx" # how',
      'args = ["-y", "automagik-workflows-mcp@0.1.0", "--toolset", "named"]',
      "tool_timeout_sec = 99 # mine",
      "[mcp_servers.automagik.env]",
      'AUTOMAGIK_WORKFLOWS_BASE_URL = "http://old"',
      'MINE = "1"',
      "",
    ].join("\r\n");
    const tail = ["[tui]", "notifications = true", "when = 1979-05-27 07:32:00"].join("\r\n");
    put(FILES.codex, head + own + tail);
    expect(await install("codex")).toBe(0);
    const after = get(FILES.codex);
    expect(after.startsWith(head)).toBe(true);
    expect(after.trimEnd().endsWith(tail)).toBe(true);
    expect(after.slice(head.length, -tail.length - 2)).toBe(
      [
        "[mcp_servers.automagik]",
        'command = "/opt/node/bin/node" # how',
        'args = ["/opt/aw/dist/src/cli.js", "--toolset", "named"]',
        "tool_timeout_sec = 99 # mine",
        "startup_timeout_sec = 30",
        'env_vars = ["AUTOMAGIK_WORKFLOWS_API_KEY"]',
        "[mcp_servers.automagik.env]",
        'AUTOMAGIK_WORKFLOWS_BASE_URL = "http://api.test:28881"',
        'MINE = "1"',
        "",
      ].join("\r\n"),
    );
  });

  it("in Codex's file: the table behind the server's own, which gets one for its variables", async () => {
    put(
      FILES.codex,
      '[mcp_servers."automagik"]\ncommand = "automagik-workflows-mcp"\n[mcp_servers.z]\na = 1\n',
    );
    expect(await install("codex")).toBe(0);
    expect(get(FILES.codex)).toMatch(
      /\n\[mcp_servers\.automagik\.env\]\nAUTOMAGIK_WORKFLOWS_BASE_URL = "[^"]+"\n\[mcp_servers\.z\]\na = 1\n$/,
    );
  });

  it("in Codex's inline tables: what they hold already", async () => {
    put(
      FILES.codex,
      [
        "[mcp_servers.automagik]",
        'command = "npx"',
        'args = ["automagik-workflows-mcp"]',
        'env = { "MINE" = "1" }',
        'env_vars = ["HOME", { name = "AUTOMAGIK_WORKFLOWS_API_KEY", source = "local" }]',
      ].join("\n"),
    );
    const variables = { ...ADDRESS, AUTOMAGIK_WORKFLOWS_TOOLSET: "named" };
    expect(await install("codex", { variables })).toBe(0);
    expect(get(FILES.codex)).toContain(
      'env = { AUTOMAGIK_WORKFLOWS_BASE_URL = "http://api.test:28881", AUTOMAGIK_WORKFLOWS_TOOLSET = "named", "MINE" = "1" }',
    );
    expect(get(FILES.codex)).toContain(
      'env_vars = ["HOME", { name = "AUTOMAGIK_WORKFLOWS_API_KEY", source = "local" }]',
    );
  });

  it("in Goose's file: comments and the way in which the rest is written", async () => {
    const before = [
      "# mine",
      "GOOSE_MODEL: 'x'   # of the company",
      "extensions:",
      "  # for code",
      "  developer:",
      "    args:",
      "    - a",
      "    # end of developer",
      "",
      "# what follows",
      "GOOSE_MODE: auto",
      "",
    ].join("\n");
    put(FILES.goose, before);
    expect(await install("goose")).toBe(0);
    const lines = get(FILES.goose).split("\n");
    const first = lines.indexOf("  automagik:");
    const last = lines.findIndex((line, index) => index > first && line === "");
    expect([...lines.slice(0, first), ...lines.slice(last)].join("\n")).toBe(before);
  });

  it("in Goose's entry of this server: what the person has chosen, with its comments", async () => {
    put(
      FILES.goose,
      [
        "extensions:",
        "  # about it",
        "  automagik:",
        "    cmd: npx # how",
        "    args: [-y, automagik-workflows-mcp]",
        "    timeout: 99 # short",
        "    enabled: false",
        "    # behind it",
        "  other: { type: builtin }",
        "",
      ].join("\n"),
    );
    await install("goose");
    const text = get(FILES.goose);
    expect(parseYaml(text).extensions.automagik).toMatchObject({
      cmd: LAUNCH.command,
      timeout: 99,
      enabled: false,
    });
    for (const comment of ["# about it", "# how", "# short", "# behind it"])
      expect(text.split(comment)).toHaveLength(2);
    expect(text).toContain("  other: { type: builtin }");
  });

  it.each([
    ["nothing", ""],
    ["comments only", "# mine\n"],
    ["no extensions", "GOOSE_MODEL: x\n# mine\n"],
    ["extensions without any", "extensions:\n# mine\nGOOSE_MODEL: x\n"],
    ["extensions in braces", "extensions: {}\n# mine\n"],
    ["a block of text as the last value", "extensions:\n  a:\n    b: |\n      text\n      # mine"],
  ])("in a Goose file with %s", async (_what, before) => {
    put(FILES.goose, before);
    expect(await install("goose")).toBe(0);
    expect(parseYaml(get(FILES.goose))).toEqual({
      ...parseYaml(before),
      extensions: { ...parseYaml(before)?.extensions, automagik: expect.objectContaining({ type: "stdio" }) },
    });
    expect(get(FILES.goose).includes("# mine")).toBe(before.includes("# mine"));
  });

  it("in an entry of this server: variables, flags, fields and a key that the person has put there", async () => {
    put(
      FILES.cursor,
      JSON.stringify({
        mcpServers: {
          automagik: {
            command: "node",
            args: ["/old/dist/src/cli.js", "--log-level", "debug"],
            env: { AUTOMAGIK_WORKFLOWS_API_KEY: "put-there-by-hand", MINE: "1" },
            disabled: true,
          },
        },
      }),
    );
    await install("cursor");
    expect(getJson(FILES.cursor).mcpServers.automagik).toEqual({
      command: LAUNCH.command,
      args: [...LAUNCH.args, "--log-level", "debug"],
      env: { AUTOMAGIK_WORKFLOWS_API_KEY: "put-there-by-hand", MINE: "1", ...ADDRESS },
      disabled: true,
      type: "stdio",
    });
    expect(printed).not.toContain("put-there-by-hand");
  });

  it("in a file that begins with a byte order mark, and in one that is empty", async () => {
    put(FILES.cursor, '\ufeff{"a":1}');
    put(FILES["claude-code"], "");
    await install("cursor");
    await install("claude-code");
    expect(get(FILES.cursor).startsWith("\ufeff{")).toBe(true);
    expect(getJson(FILES["claude-code"]).mcpServers.automagik).toBeDefined();
  });
});

describe("what cannot be changed safely is left alone", () => {
  async function refused(client: ClientName, text: string): Promise<string> {
    put(FILES[client], text);
    expect(await install(client)).toBe(1);
    expect(everything()).toEqual({ [FILES[client]]: text });
    expect(printed).toContain("Nothing was changed");
    return printed;
  }

  it("another server of the same name, beside which ours finds room under another", async () => {
    const text = '{"mcpServers":{"automagik":{"command":"others"}}}';
    expect(await refused("claude-code", text)).toContain("--name");
    expect(await install("claude-code", { name: "aw" })).toBe(0);
    expect(Object.keys(getJson(FILES["claude-code"]).mcpServers)).toEqual(["automagik", "aw"]);
  });

  it("a remote server of that name", () =>
    refused("cursor", '{"mcpServers":{"automagik":{"url":"http://automagik-workflows"}}}'));
  it("text that is no JSON", async () => {
    expect(await refused("cursor", '{\n"a": 1\n"b": 2}')).toContain("line 3");
  });
  it("comments in a file that its client reads as plain JSON", async () => {
    expect(await refused("claude-desktop", "{} // mine")).toContain("comments or trailing commas");
  });
  it("a list where an object should be", () => refused("cursor", '{"mcpServers":[]}'));
  it("a JSON file with something else in it", () => refused("cursor", "[]"));
  it.each([
    ["null", "null", "null"],
    ["a list", "[1]", "a list"],
    ["a text", '"x"', "a string"],
    ["a number", "7", "a number"],
  ])("a JSON file that holds %s and no object, with its path", async (_, text, named) => {
    for (const client of ["claude-code", "claude-desktop", "cursor", "vscode"] as const) {
      home = temporaryFolder();
      await refused(client, text);
      expect(printed).toContain(
        `${join(home, FILES[client])}: It holds ${named}, not a JSON object. Fix that first. Nothing was changed.`,
      );
    }
  });
  it.each(["null", "~", "# mine\nnull\n", "7", "text", "[a]"])(
    "a YAML file that holds %j and no mapping",
    (text) =>
      refused("goose", text).then(() =>
        expect(printed).toContain(`${join(home, FILES.goose)}: It does not hold a YAML mapping.`),
      ),
  );
  it.each(["null", "[]", '"x"', "7"])("a TOML file that holds %j", (text) =>
    refused("codex", text).then(() => expect(printed).toContain(`${join(home, FILES.codex)}: It`)),
  );
  it("inputs that are no list", () => refused("vscode", '{"inputs":{}}'));
  it("a part that stands twice, of which the client reads the last", async () => {
    expect(await refused("cursor", '{"mcpServers":{},"mcpServers":{"a":{}}}')).toContain("risk");
    expect(printed).toContain('"automagik": {');
  });
  it("text that is no YAML", () => refused("goose", "a: [1\nb: 2\n"));
  it("a YAML list", () => refused("goose", "- a\n"));
  it("extensions that are no mapping", () => refused("goose", "extensions: [a]\n"));
  it("text that is no TOML", async () => {
    expect(await refused("codex", "a = 1\nb = \n")).toContain("line 2");
  });
  it.each([
    ['mcp_servers = { docs = { command = "x" } }\n'],
    ['[mcp_servers]\nworkflows = { command = "automagik-workflows-mcp" }\n'],
    ['mcp_servers.automagik.command = "automagik-workflows-mcp"\n'],
    ['[[mcp_servers.automagik]]\ncommand = "automagik-workflows-mcp"\n'],
    ['[mcp_servers.automagik.env]\nA = "automagik-workflows"\n'],
    ['[mcp_servers.automagik]\ncommand = "automagik-workflows-mcp"\nenv.A = "1"\n'],
  ])("TOML in another form, with the lines to be written by hand: %j", async (text) => {
    expect(await refused("codex", text)).toContain("[mcp_servers.automagik]\ncommand = ");
  });

  it("a file that cannot be read", async () => {
    mkdirSync(join(home, FILES.codex), { recursive: true });
    expect(await install("codex")).toBe(1);
    expect(printed).toContain("EISDIR");
  });

  it("a file that changes while the person is asked", async () => {
    const path = put(FILES.cursor, "{}");
    const ask = async () => {
      writeFileSync(path, '{"new":1}');
      return true;
    };
    expect(await install("cursor", { yes: false, ask })).toBe(1);
    expect(get(FILES.cursor)).toBe('{"new":1}');
    expect(printed).toContain("try again");
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("showing, asking and writing", () => {
  it("shows the change and asks; a no changes nothing", async () => {
    put(FILES.cursor, "{}\n");
    expect(await install("cursor", { yes: false, ask: async () => false })).toBe(1);
    expect(printed).toContain('+   "mcpServers": {');
    expect(printed).toContain("Nothing was written");
    expect(everything()).toEqual({ [FILES.cursor]: "{}\n" });
  });

  it("writes nothing when nobody can be asked", async () => {
    expect(await install("cursor", { yes: false })).toBe(1);
    expect(printed).toContain("--yes");
    expect(everything()).toEqual({});
  });

  it("only shows with --print, and asks nothing", async () => {
    const ask = async () => {
      throw new Error("asked");
    };
    for (const client of CLIENT_NAMES) {
      expect(await install(client, { yes: false, print: true, ask })).toBe(0);
      expect(printed).toContain(join(home, FILES[client]));
    }
    expect(everything()).toEqual({});
  });

  it("leaves a copy with a time stamp, and keeps the mode of the file", async () => {
    const path = put(FILES.cursor, '{"a":1}');
    chmodSync(path, 0o640);
    await install("cursor");
    const backup = `${path}.backup-20261125T141516Z`;
    expect(readFileSync(backup, "utf8")).toBe('{"a":1}');
    expect([path, backup].map((one) => statSync(one).mode & 0o777)).toEqual([0o640, 0o640]);
    expect(printed).toContain(backup);
  });

  it("never writes over a copy that is there", async () => {
    const path = put(FILES.cursor, "{}");
    writeFileSync(`${path}.backup-20261125T141516Z`, "older");
    expect(await install("cursor")).toBe(1);
    expect(readFileSync(`${path}.backup-20261125T141516Z`, "utf8")).toBe("older");
    expect(get(FILES.cursor)).toBe("{}");
  });

  it("says which settings it has left out", async () => {
    await install("cursor", { omitted: ["AUTOMAGIK_WORKFLOWS_DATABASE"] });
    expect(printed).toContain(
      "Not written, because secrets are or may be in them: AUTOMAGIK_WORKFLOWS_DATABASE.",
    );
  });

  it.each(CLIENT_NAMES)(
    "does not put a file in the place of a link whose file is not there: %s",
    async (client) => {
      const path = join(home, FILES[client]);
      mkdirSync(dirname(path), { recursive: true });
      symlinkSync("/nowhere/dotfiles/file", path);
      let started = false;
      const runClaude = async () => {
        started = true;
        return true;
      };
      expect(await install(client, { runClaude })).toBe(1);
      expect(printed).toContain(
        `${path}: It is a link to /nowhere/dotfiles/file, which is not there. Make that file, or remove the link. Nothing was changed.`,
      );
      expect(lstatSync(path).isSymbolicLink()).toBe(true);
      expect(started).toBe(false);
    },
  );

  it.each(CLIENT_NAMES)("writes nowhere when the home is not known: %s", async (client) => {
    for (const [unusable, how] of [
      ["", "not set"],
      ["home/me", "not an absolute path"],
    ] as const) {
      printed = "";
      expect(await install(client, { home: unusable })).toBe(1);
      expect(printed).toMatch(new RegExp(`^The environment variable HOME is ${how}, .*Nothing was changed`));
    }
    expect(everything()).toEqual({});
  });

  it.each([
    ["claude-code", "CLAUDE_CONFIG_DIR"],
    ["codex", "CODEX_HOME"],
    ["goose", "GOOSE_PATH_ROOT"],
  ])(
    "writes to no relative place that a variable of %s names, and needs no home for an absolute one",
    async (client, variable) => {
      expect(await install(client, { home: "", env: { [variable]: "there" } })).toBe(1);
      expect(printed).toContain("Make the variable that names it an absolute path. Nothing was changed.");
      expect(await install(client, { home: "", env: { [variable]: join(home, "there") } })).toBe(0);
      expect(Object.keys(everything())).toHaveLength(1);
    },
  );

  it("needs no home for a project's file", async () => {
    expect(await install("cursor", { home: "", project: true })).toBe(0);
  });

  it("adds to a YAML file that has only the mark of a document", async () => {
    put(FILES.goose, "---\n");
    expect(await install("goose")).toBe(0);
    expect(parseYaml(get(FILES.goose))).toHaveProperty("extensions.automagik");
  });

  it("follows a link to the file's real place", async () => {
    const real = put("dotfiles/cursor.json", "{}");
    mkdirSync(join(home, ".cursor"));
    symlinkSync(real, join(home, FILES.cursor));
    await install("cursor");
    expect(lstatSync(join(home, FILES.cursor)).isSymbolicLink()).toBe(true);
    expect(getJson("dotfiles/cursor.json").mcpServers.automagik).toBeDefined();
  });

  it("shows of a file that is all on one line only what changes in it", async () => {
    const projects = { "/a": { hasTrustDialogAccepted: true }, "/b": { lastCost: 1 } };
    put(FILES.cursor, JSON.stringify({ theme: "dark", projects }));
    await install("cursor");
    expect(printed).toContain("(The file is on one line; here it is shown on several.)\n");
    expect(printed).not.toContain("theme");
    const changes = printed.split("\n").filter((line) => /^[-+]/.test(line));
    expect(changes.filter((line) => line.startsWith("-")).length).toBeLessThanOrEqual(1);
    expect(changes.join("\n")).toMatch(/^\+ +"mcpServers": \{$/m);
    expect(getJson(FILES.cursor)).toMatchObject({ theme: "dark", projects });
  });

  it.each([
    ["on lines of their own", 2],
    ["all on one line", 0],
  ])("shows no secret of others beside the change, %s", async (_how, indent) => {
    const env = { X: "abcdefghij0123456789xyz", MY_TOKEN: "hunter2", U: "https://me:pass123@host" };
    const args = ["--password=swordfish"];
    put(FILES.cursor, JSON.stringify({ mcpServers: { a: { args, env } } }, null, indent));
    put(FILES.codex, `[a]\nmy_secret = 'hunter2'`);
    await install("cursor");
    await install("codex");
    for (const secret of ["hunter2", "pass123", "swordfish", ...Object.values(env)]) {
      expect(printed).not.toContain(secret);
    }
    expect(printed).toContain(`\${env:AUTOMAGIK_WORKFLOWS_API_KEY}`);
    expect(get(FILES.cursor)).toContain("hunter2");
  });

  it("names the client that may be meant, and the names that may be given", async () => {
    await expect(install("claude-cod")).rejects.toThrow(/claude-code may be meant/);
    await expect(install("emacs")).rejects.toThrow(/there are claude-code, /);
    await expect(install("cursor", { name: "../x" })).rejects.toThrow(SettingsError);
  });

  it("takes only a yes for a yes, and the end of the input for a no", async () => {
    const answer = async (text: string | null) => {
      const input = Object.assign(new PassThrough(), { isTTY: true });
      const asked = createAsk(input, new PassThrough())?.("Well?");
      if (text === null) input.end();
      else input.write(text);
      return asked;
    };
    expect(await Promise.all(["y\n", "YES\n", "\n", "no\n", null].map(answer))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(createAsk(new PassThrough(), new PassThrough())).toBeUndefined();
  });
});

describe("Claude Code's own program", () => {
  const entry = () => ({
    type: "stdio",
    ...LAUNCH,
    env: { AUTOMAGIK_WORKFLOWS_API_KEY: `\${AUTOMAGIK_WORKFLOWS_API_KEY:-}`, ...ADDRESS },
  });

  it("is asked to add a server, and its file is looked at afterwards", async () => {
    const calls: (readonly string[])[] = [];
    const runClaude = async (args: readonly string[]) => {
      calls.push(args);
      put(
        FILES["claude-code"],
        JSON.stringify({ starts: 1, mcpServers: { automagik: JSON.parse(args.at(-1) ?? "") } }),
      );
      return true;
    };
    expect(await install("claude-code", { runClaude })).toBe(0);
    expect(calls).toEqual([["mcp", "add-json", "--scope", "user", "automagik", JSON.stringify(entry())]]);
    expect(getJson(FILES["claude-code"]).starts).toBe(1);
  });

  it("is done without when it fails, also when it has written its file meanwhile", async () => {
    put(FILES["claude-code"], '{"starts":1}');
    const runClaude = async () => {
      put(FILES["claude-code"], '{"starts":2}');
      return false;
    };
    expect(await install("claude-code", { runClaude })).toBe(0);
    expect(getJson(FILES["claude-code"])).toEqual({ starts: 2, mcpServers: { automagik: entry() } });
  });

  it("is not given an entry that may hold secrets, nor one of a project", async () => {
    const runClaude = async () => {
      throw new Error("called");
    };
    put(FILES["claude-code"], '{"mcpServers":{"automagik":{"command":"automagik-workflows-mcp"}}}');
    expect(await install("claude-code", { runClaude })).toBe(0);
    expect(await install("claude-code", { runClaude, project: true })).toBe(0);
  });

  it("is found on the PATH and told nothing by a shell", async () => {
    const bin = join(home, "bin");
    const seen = join(home, "seen");
    const program = put("bin/claude", `#!/bin/sh\nprintf '%s|' "$@" > '${seen}'\nexit 3\n`);
    chmodSync(program, 0o755);
    const run = findClaudeCli({
      env: { PATH: `relative:${bin}:${process.env.PATH}` },
      platform: "linux",
    });
    expect(await run?.(["mcp", '{"a":"$HOME; x"}'])).toBe(false);
    expect(readFileSync(seen, "utf8")).toBe('mcp|{"a":"$HOME; x"}|');
    expect(findClaudeCli({ env: { PATH: home }, platform: "linux" })).toBeUndefined();
    expect(findClaudeCli({ env: {}, platform: "win32" })).toBeUndefined();
  });
});

describe("where the files are on each system", () => {
  const HOMES = { linux: "/home/ada", darwin: "/Users/ada", win32: "C:\\Users\\ada" } as const;

  /** The file that is written on another system, whose paths this one does not have. */
  async function place(
    client: ClientName,
    platform: keyof typeof HOMES,
    env: Record<string, string> = {},
    folders: Record<string, string[]> = {},
  ): Promise<string> {
    const written: string[] = [];
    const files: ConfigFiles = {
      read: async () => undefined,
      list: async (folder) => folders[folder] ?? [],
      copy: async () => {},
      replace: async (path) => {
        written.push(path);
      },
    };
    expect(await install(client, { platform, home: HOMES[platform], env, files })).toBe(0);
    return written.join();
  }

  it.each<[ClientName, keyof typeof HOMES, string]>([
    ["claude-code", "win32", "C:\\Users\\ada\\.claude.json"],
    ["claude-desktop", "darwin", "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json"],
    ["claude-desktop", "win32", "C:\\Users\\ada\\AppData\\Roaming\\Claude\\claude_desktop_config.json"],
    ["cursor", "win32", "C:\\Users\\ada\\.cursor\\mcp.json"],
    ["vscode", "linux", "/home/ada/.config/Code/User/mcp.json"],
    ["vscode", "darwin", "/Users/ada/Library/Application Support/Code/User/mcp.json"],
    ["vscode", "win32", "C:\\Users\\ada\\AppData\\Roaming\\Code\\User\\mcp.json"],
    ["goose", "darwin", "/Users/ada/.config/goose/config.yaml"],
    ["goose", "win32", "C:\\Users\\ada\\AppData\\Roaming\\Block\\goose\\config\\config.yaml"],
    ["codex", "darwin", "/Users/ada/.codex/config.toml"],
    ["codex", "win32", "C:\\Users\\ada\\.codex\\config.toml"],
  ])("%s on %s: %s", async (client, platform, path) => {
    expect(await place(client, platform)).toBe(path);
  });

  it.each<[ClientName, keyof typeof HOMES, Record<string, string>, string]>([
    ["claude-code", "linux", { CLAUDE_CONFIG_DIR: "/c" }, "/c/.claude.json"],
    ["codex", "linux", { CODEX_HOME: "/c" }, "/c/config.toml"],
    ["goose", "linux", { GOOSE_PATH_ROOT: "/g" }, "/g/config/config.yaml"],
    ["goose", "linux", { XDG_CONFIG_HOME: "/x" }, "/x/goose/config.yaml"],
    ["goose", "linux", { XDG_CONFIG_HOME: "x" }, "/home/ada/.config/goose/config.yaml"],
    ["goose", "win32", { APPDATA: "D:\\R" }, "D:\\R\\Block\\goose\\config\\config.yaml"],
    ["vscode", "linux", { XDG_CONFIG_HOME: "/x" }, "/x/Code/User/mcp.json"],
    ["vscode", "win32", { APPDATA: "D:\\R" }, "D:\\R\\Code\\User\\mcp.json"],
  ])("%s on %s with %j: %s", async (client, platform, env, path) => {
    expect(await place(client, platform, env)).toBe(path);
  });

  it("Claude Desktop as a Windows package reads the folder of the package", async () => {
    const packages = "C:\\Users\\ada\\AppData\\Local\\Packages";
    const file = (name: string) =>
      `${packages}\\${name}\\LocalCache\\Roaming\\Claude\\claude_desktop_config.json`;
    const one = { [packages]: ["Microsoft.X", "Claude_abc"] };
    expect(await place("claude-desktop", "win32", {}, one)).toBe(file("Claude_abc"));
    const two = {
      [packages]: ["Claude_old", "Claude_new"],
      [`${packages}\\Claude_new\\LocalCache\\Roaming\\Claude`]: ["logs"],
    };
    expect(await place("claude-desktop", "win32", {}, two)).toBe(file("Claude_new"));
  });
});

describe("how the server is started", () => {
  const node = "/opt/node/bin/node";
  const checkout = "/src/aw/dist/src/cli.js";
  const installed = "/opt/lib/node_modules/automagik-workflows-mcp/dist/src/cli.js";
  const passing = "/home/ada/.npm/_npx/0123/node_modules/automagik-workflows-mcp/dist/src/cli.js";

  it.each([
    ["from a checkout", checkout, false, { command: node, args: [checkout] }],
    ["from a checkout, for a project too", checkout, true, { command: node, args: [checkout] }],
    ["from an installed package", installed, false, { command: node, args: [installed] }],
    ["for others", installed, true, { command: "npx", args: ["-y", "automagik-workflows-mcp"] }],
    [
      "from npx, whose folder goes",
      passing,
      false,
      { command: "npx", args: ["-y", "automagik-workflows-mcp"] },
    ],
  ])("%s", (_when, script, shared, launch) => {
    expect(chooseLaunch({ script, node, platform: "linux", shared })).toEqual(launch);
  });

  it("through cmd on Windows, where npx is a batch file", () => {
    const script = "C:\\n\\_npx\\1\\node_modules\\automagik-workflows-mcp\\dist\\src\\cli.js";
    expect(chooseLaunch({ script, node: "C:\\node.exe", platform: "win32", shared: false })).toEqual({
      command: "cmd",
      args: ["/c", "npx", "-y", "automagik-workflows-mcp"],
    });
  });
});

describe("an entry under the name that the server had before", () => {
  const FORMER = { name: "workflows" };

  it.each(CLIENT_NAMES)(
    "%s: is renamed, with everything that is in it, after the person said so",
    async (client) => {
      await install(client, FORMER);
      const before = get(FILES[client]);
      expect(before).toContain("workflows");
      const questions: string[] = [];
      const ask = (answer: boolean) => async (question: string) => {
        questions.push(question);
        return answer;
      };
      expect(await install(client, { yes: false, ask: ask(false) })).toBe(1);
      expect(get(FILES[client])).toBe(before);
      expect(await install(client, { print: true })).toBe(0);
      expect(get(FILES[client])).toBe(before);
      expect(await install(client, { yes: false, ask: ask(true) })).toBe(0);
      expect(printed).toContain('is renamed to "automagik"');
      expect(printed).toContain("/mcp__automagik__…");
      const renamed = get(FILES[client]);
      const after = everything();
      for (const file of Object.keys(after)) if (file !== FILES[client]) expect(file).toContain(".backup-");
      // As if it had been written under the new name at once.
      expect(await install(client)).toBe(0);
      expect(get(FILES[client])).toBe(renamed);
      expect(renamed.replaceAll("automagik-workflows", "")).not.toMatch(/(?<![-_\w])"?workflows"?(?=[\]:.])/);
      expect(questions.filter((question) => question.startsWith("Write this for"))).toHaveLength(2);
    },
  );

  it.each(CLIENT_NAMES)("%s: stays when the person names it so", async (client) => {
    await install(client, FORMER);
    const before = get(FILES[client]);
    expect(await install(client, FORMER)).toBe(0);
    expect(get(FILES[client])).toBe(before);
  });

  it("is left alone when it is somebody else's, and this server comes beside it", async () => {
    put(FILES.cursor, '{"mcpServers":{"workflows":{"command":"others"}}}');
    expect(await install("cursor")).toBe(0);
    expect(Object.keys(getJson(FILES.cursor).mcpServers)).toEqual(["workflows", "automagik"]);
  });

  it("keeps comments and what the person has added", async () => {
    put(
      FILES.cursor,
      '{"mcpServers":{\n  // mine\n  "workflows":{"command":"automagik-workflows-mcp","env":{"MINE":"1"}}}}',
    );
    await install("cursor");
    expect(get(FILES.cursor)).toContain("// mine");
    expect(parseJsonc(get(FILES.cursor)).mcpServers.automagik.env.MINE).toBe("1");
  });
});
