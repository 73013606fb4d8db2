import { posix, win32 } from "node:path";
import type { ConfigFiles } from "./config-files.js";
import type { EntryPlan } from "./entry.js";
import type { Launch } from "./launch.js";
import { ENGINE_VARIABLE, InstallError, KEY_VARIABLE } from "./names.js";

/** Where on which machine a configuration is looked for. */
export interface Place {
  platform: NodeJS.Platform;
  /** The person's home, absolute. Read only where it is needed: it may throw when it is not known. */
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The folder whose project is meant. */
  cwd: string;
  files: Pick<ConfigFiles, "list">;
}

/** How one client wants to be told of a server. */
export interface ClientForm {
  /** As it is called in messages. */
  title: string;
  format: "json" | "toml" | "yaml";
  /** It reads plain JSON, without comments. */
  strict?: true;
  /** The part of the file that holds servers by name. */
  part: string;
  /** The file for all of the person's projects. */
  userFile(place: Place): string | Promise<string>;
  /** The file of one project, which is shared with others; undefined where there is none. */
  projectFile?(place: Place): string;
  /** The field with variables and their values. */
  variablesField: string;
  /** What refers to the key as a variable's value, and is filled in by the client. */
  keyReference?: string;
  /** The field with names of variables that the client takes from its environment or a keychain. */
  namesField?: string;
  fixed(launch: Launch, name: string): Record<string, unknown>;
  defaults?: Record<string, unknown>;
  /** How the person is asked for the key. */
  input?: { type: string; id: string; description: string; password: boolean };
  /** What the person has to know about the key. */
  keyAdvice: string;
  /** How the change takes effect. */
  afterwards: string;
}

const INPUT_ID = "automagik-workflows-key";
const stdio = ({ command, args }: Launch) => ({ type: "stdio", command, args });
const DOCK = "Programs that were not started from a shell may not have it there.";

/** Every client that a configuration can be written for, by the name it is asked for with. */
export const CLIENT_FORMS = {
  // code.claude.com/docs/en/mcp: user scope in ~/.claude.json, project scope in .mcp.json, both with ${VAR} and
  // ${VAR:-default} in env. Seen with 2.1.332: without a default, a variable that is not set arrives as the text
  // "${VAR}"; CLAUDE_CONFIG_DIR moves ~/.claude.json into that folder; a trailing comma makes a file invalid.
  "claude-code": {
    title: "Claude Code",
    format: "json",
    strict: true,
    part: "mcpServers",
    userFile: (place) => join(place, place.env.CLAUDE_CONFIG_DIR || place.home, ".claude.json"),
    projectFile: (place) => join(place, place.cwd, ".mcp.json"),
    variablesField: "env",
    keyReference: `\${${KEY_VARIABLE}:-}`,
    fixed: stdio,
    keyAdvice: `The key is taken from ${KEY_VARIABLE} in the environment in which Claude Code is started.`,
    afterwards: "It is available from the next start of Claude Code; /mcp shows it.",
  },
  // modelcontextprotocol.io/quickstart/user: the file on macOS and Windows. Since 2026-02 the Windows app is an MSIX
  // package, which reads another folder: anthropics/claude-code#26073, #25579. Variables are handed on as they stand,
  // and nothing of the environment is: modelcontextprotocol/servers#1039, anthropics/claude-code#80197.
  "claude-desktop": {
    title: "Claude Desktop",
    format: "json",
    strict: true,
    part: "mcpServers",
    userFile: findDesktopFile,
    variablesField: "env",
    fixed: ({ command, args }) => ({ command, args }),
    keyAdvice:
      "Claude Desktop takes the key from this file only, so whoever can read the file can read the key. The MCPB " +
      "bundle keeps it in the system's keychain instead.",
    afterwards: "Quit Claude Desktop and start it again.",
  },
  // cursor.com/docs/mcp: ~/.cursor/mcp.json and .cursor/mcp.json, type "stdio", ${env:NAME} in env.
  cursor: {
    title: "Cursor",
    format: "json",
    part: "mcpServers",
    userFile: (place) => join(place, place.home, ".cursor", "mcp.json"),
    projectFile: (place) => join(place, place.cwd, ".cursor", "mcp.json"),
    variablesField: "env",
    keyReference: `\${env:${KEY_VARIABLE}}`,
    fixed: stdio,
    keyAdvice: `The key is taken from ${KEY_VARIABLE} in the environment of Cursor. ${DOCK}`,
    afterwards: "Switch the server on in Cursor's settings, under MCP.",
  },
  // microsoft/vscode-docs docs/copilot/reference/mcp-configuration.md: mcp.json in .vscode or in the profile's folder,
  // "servers", and "inputs" of which VS Code asks once and keeps the answer safe. Of several profiles, the default one.
  vscode: {
    title: "VS Code",
    format: "json",
    part: "servers",
    userFile: (place) => join(place, applicationFolder(place), "Code", "User", "mcp.json"),
    projectFile: (place) => join(place, place.cwd, ".vscode", "mcp.json"),
    variablesField: "env",
    keyReference: `\${input:${INPUT_ID}}`,
    input: { type: "promptString", id: INPUT_ID, description: "Key of the workflows API", password: true },
    fixed: stdio,
    keyAdvice: "VS Code asks for the key when it first starts the server, and keeps it safe.",
    afterwards: 'Start it with "MCP: List Servers".',
  },
  // block/goose documentation/docs/guides/config-files.md (the place, cmd, envs, env_keys, timeout in seconds) and
  // crates/goose/src/config/paths.rs (XDG, GOOSE_PATH_ROOT). A name in env_keys is looked for in the environment,
  // then in the keyring; without a value the extension is not started (extension_manager/helpers.rs).
  goose: {
    title: "Goose",
    format: "yaml",
    part: "extensions",
    userFile: findGooseFile,
    variablesField: "envs",
    namesField: "env_keys",
    fixed: ({ command, args }, name) => ({ type: "stdio", name, cmd: command, args }),
    defaults: {
      description: "Runs remote coding workflows",
      enabled: true,
      timeout: 300,
    },
    keyAdvice: `The key is taken from ${KEY_VARIABLE} in the environment of Goose, else from its keyring, which \`goose configure\` fills. Without one Goose does not start the server.`,
    afterwards: "It is available in the next session.",
  },
  // openai/codex docs/config.md ($CODEX_HOME/config.toml), codex-rs/rmcp-client/src/utils.rs (a server gets a short
  // list of variables and those named in env_vars). Seen with 0.169.0: `codex mcp list` reads what is written here.
  // A project's .codex/config.toml counts where the project is trusted. 30 s to start: ten were too few for others.
  codex: {
    title: "Codex",
    format: "toml",
    part: "mcp_servers",
    userFile: (place) =>
      join(place, place.env.CODEX_HOME || join(place, place.home, ".codex"), "config.toml"),
    projectFile: (place) => join(place, place.cwd, ".codex", "config.toml"),
    variablesField: "env",
    namesField: "env_vars",
    fixed: ({ command, args }) => ({ command, args }),
    defaults: { startup_timeout_sec: 30 },
    keyAdvice: `The key is taken from ${KEY_VARIABLE} in the environment in which Codex is started.`,
    afterwards: "It is available from the next start of Codex; /mcp shows it.",
  },
} as const satisfies Record<string, ClientForm>;

/** A client that a configuration can be written for. */
export type ClientName = keyof typeof CLIENT_FORMS;

/** The names of all clients, as the command line takes them. */
export const CLIENT_NAMES = Object.keys(CLIENT_FORMS) as ClientName[];

/**
 * The file to be written.
 * @throws InstallError when the client has none for a project
 */
export async function findFile(form: ClientForm, place: Place, project: boolean): Promise<string> {
  if (!project) return form.userFile(place);
  if (form.projectFile) return form.projectFile(place);
  throw new InstallError(`${form.title} cannot be configured for a single project. Leave --project out`);
}

/**
 * What the client's entry has to say.
 * @param given.variables settings by their whole names, without secrets
 * @param given.key the key itself, only where it is to be written
 */
export function planEntry(
  form: ClientForm,
  given: {
    launch: Launch;
    name: string;
    variables: Readonly<Record<string, string>>;
    key: string | undefined;
  },
): EntryPlan {
  const { launch, name, key } = given;
  const value = key ?? form.keyReference;
  const needsKey = given.variables[ENGINE_VARIABLE] !== "local";
  return {
    fixed: form.fixed(launch, name),
    defaults: form.defaults ?? {},
    variablesField: form.variablesField,
    variables: { ...(needsKey && value !== undefined ? { [KEY_VARIABLE]: value } : {}), ...given.variables },
    ...(form.namesField === undefined ? {} : { namesField: form.namesField }),
    names: needsKey && form.namesField !== undefined ? [KEY_VARIABLE] : [],
    replaceKey: key !== undefined,
  };
}

function join({ platform }: Place, ...parts: string[]): string {
  return (platform === "win32" ? win32 : posix).join(...parts);
}

/** Where desktop programs keep their own: Electron's `appData`. */
function applicationFolder(place: Place): string {
  const { platform, env } = place;
  if (platform === "darwin") return join(place, place.home, "Library", "Application Support");
  if (platform === "win32") return env.APPDATA || join(place, place.home, "AppData", "Roaming");
  return xdgConfig(place);
}

/** XDG Base Directory Specification: a relative value is to be ignored. */
function xdgConfig(place: Place): string {
  const { XDG_CONFIG_HOME: given } = place.env;
  return given && posix.isAbsolute(given) ? given : join(place, place.home, ".config");
}

async function findDesktopFile(place: Place): Promise<string> {
  const file = ["Claude", "claude_desktop_config.json"];
  if (place.platform === "win32") {
    const local = place.env.LOCALAPPDATA || join(place, place.home, "AppData", "Local");
    const packages = join(place, local, "Packages");
    const candidates = (await place.files.list(packages)).filter((one) => one.startsWith("Claude_"));
    for (const candidate of candidates) {
      const folder = join(place, packages, candidate, "LocalCache", "Roaming");
      const inside = await place.files.list(join(place, folder, "Claude"));
      if (inside.length > 0 || candidates.length === 1) return join(place, folder, ...file);
    }
  }
  return join(place, applicationFolder(place), ...file);
}

function findGooseFile(place: Place): string {
  const { platform, env } = place;
  if (env.GOOSE_PATH_ROOT) return join(place, env.GOOSE_PATH_ROOT, "config", "config.yaml");
  if (platform !== "win32") return join(place, xdgConfig(place), "goose", "config.yaml");
  const roaming = env.APPDATA || join(place, place.home, "AppData", "Roaming");
  return join(place, roaming, "Block", "goose", "config", "config.yaml");
}
