import { parseArgs } from "node:util";
import { listSettingFlags, SettingsError } from "../settings/settings.js";
import { findNearest } from "../shared/nearest.js";

/** What the command line asks for. */
export interface CommandLine {
  command: (typeof COMMANDS)[number] | "help" | "version";
  /** Settings given as flags, by their name without dashes. */
  flags: Record<string, string | undefined>;
  /** `engine stop --force`: without asking, and whatever the engine does. */
  force?: true;
  /** `engine --background`: any free port, only on loopback, and an end when it is idle. */
  background?: true;
  /** `demo --engine --yes`, `install … --yes`: without asking. */
  yes?: true;
  /** `install … --print`: only shows. */
  print?: true;
  /** `install … --project`: for this folder only, where the client can do that. */
  project?: true;
  /** `install … --with-key`: the key itself may be written, where the client cannot refer to it. */
  "with-key"?: true;
  /** `doctor --json`. */
  json?: true;
  /** `install <client>`. */
  client?: string;
  /** `install … --name`: what the server is called in the client. */
  name?: string;
  /** `serve --sse`: the protocol's earlier transport is there too. */
  sse?: true;
}

const COMMANDS = [
  "stdio",
  "serve",
  "demo",
  "doctor",
  "install",
  "engine",
  "engine status",
  "engine stop",
] as const;

/** Short for settings' flags, by the command that they belong to. */
const SHORT: Record<string, Partial<Record<string, string>>> = {
  host: { engine: "engine-host", serve: "http-host" },
  port: { engine: "engine-port", serve: "http-port" },
};

/** What `--transport` takes, and the command that it stands for. */
const TRANSPORTS: Record<string, (typeof COMMANDS)[number]> = { stdio: "stdio", http: "serve" };

/** Flags without a value, and the commands that each belongs to. */
const SWITCHES = {
  force: ["engine stop"],
  background: ["engine"],
  sse: ["serve"],
  yes: ["demo", "install"],
  print: ["install"],
  project: ["install"],
  "with-key": ["install"],
  json: ["doctor"],
} as const;

/**
 * Reads the command line.
 * @param args without the program and the script
 * @throws SettingsError for an unknown flag or command, naming the nearest
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const names = [...listSettingFlags(), ...Object.keys(SHORT), "transport", "name"];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { tokens } = parseArgs({
    args: fillInEngine(args),
    options: {
      ...options,
      ...Object.fromEntries(Object.keys(SWITCHES).map((name) => [name, { type: "boolean" as const }])),
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words: string[] = [];
  const flags: CommandLine["flags"] = {};
  const short = new Map<string, string>();
  let transport: string | undefined;
  const only = new Map<string, readonly string[]>();
  const switches: CommandLine = { command: "stdio", flags };
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    else if (token.kind === "option") {
      if (token.name === "help" || token.name === "h") return { command: "help", flags: {} };
      if (token.name === "version" || token.name === "v") return { command: "version", flags: {} };
      if (isSwitch(token.name)) {
        if (token.value !== undefined) throw new SettingsError(`${token.rawName}: takes no value`);
        switches[token.name] = true;
        only.set(token.rawName, SWITCHES[token.name]);
        continue;
      }
      if (!names.includes(token.name))
        throw unknown(
          `flag ${token.rawName}`,
          token.rawName,
          [...names, ...Object.keys(SWITCHES)].map((name) => `--${name}`),
        );
      // A flag where a value should be is a value left out; one that really begins so is given after "=".
      if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--")))
        throw new SettingsError(`${token.rawName}: a value is missing`);
      const commands = SHORT[token.name];
      if (commands) {
        only.set(token.rawName, Object.keys(commands));
        short.set(token.name, token.value);
      } else if (token.name === "name") {
        only.set(token.rawName, ["install"]);
        switches.name = token.value;
      } else if (token.name === "transport") transport = token.value;
      else flags[token.name] = token.value;
    }
  }
  if (words[0] === "install") {
    const [client] = words.splice(1, 1);
    if (client === undefined) throw new SettingsError("install: the client is missing; see --help");
    switches.client = client;
  }
  const command = chooseCommand(words, transport);
  for (const [flag, owners] of only) {
    if (!owners.includes(command)) {
      const which = owners.length > 1 ? `commands ${owners.join(" and ")}` : `command ${owners[0]}`;
      throw new SettingsError(`${flag} belongs to the ${which}; see --help`);
    }
  }
  for (const [name, value] of short) flags[SHORT[name]?.[command] ?? name] = value;
  return { ...switches, command };
}

/** With the command `demo` there is only one engine to mean, so its name may be left out. */
function fillInEngine(args: readonly string[]): string[] {
  if (args[0] !== "demo") return [...args];
  return args.map((arg, index) => {
    const isBare = arg === "--engine" && (args[index + 1] ?? "--").startsWith("-");
    return isBare ? "--engine=local" : arg;
  });
}

function isSwitch(name: string): name is keyof typeof SWITCHES {
  return Object.hasOwn(SWITCHES, name);
}

/** `--transport` is another way to say which kind of server is wanted; it must not contradict the command. */
function chooseCommand(words: readonly string[], transport: string | undefined): (typeof COMMANDS)[number] {
  const command = findCommand(words);
  if (transport === undefined) return command;
  const meant = Object.hasOwn(TRANSPORTS, transport) ? TRANSPORTS[transport] : undefined;
  if (!meant) throw new SettingsError("--transport: the value is not allowed; allowed: stdio or http");
  if (words.length > 0 && command !== meant)
    throw new SettingsError(`--transport ${transport} contradicts the command ${command}; see --help`);
  return meant;
}

function findCommand(words: readonly string[]): (typeof COMMANDS)[number] {
  const pair = words.slice(0, 2).join(" ");
  const [first, ...rest] = isCommand(pair) ? [pair, ...words.slice(2)] : words;
  if (first === undefined) return "stdio";
  // Such a word is not repeated: it may be a key, or the rest of one with a space in it.
  const strange = [first, ...rest].find((word) => !isCommand(word));
  if (strange !== undefined) {
    if (first !== "engine") throw unknown("command", strange, COMMANDS);
    const ofEngine = COMMANDS.filter((one) => one.startsWith("engine "));
    throw unknown("command", `engine ${strange}`, ofEngine);
  }
  if (rest.length > 0) {
    throw new SettingsError(`one command only, not ${first} and ${rest[0]}; see --help`);
  }
  return first as (typeof COMMANDS)[number];
}

function isCommand(text: string): boolean {
  return COMMANDS.some((one) => one === text);
}

function unknown(what: string, value: string, known: readonly string[]): SettingsError {
  const [nearest] = findNearest(value, known, 1);
  return new SettingsError(`unknown ${what}${nearest ? `; ${nearest} may be meant` : ""}; see --help`);
}

/** The text of `--help`. */
export function renderHelp(): string {
  return [
    "automagik-workflows-mcp: run remote coding workflows from a chat client",
    "",
    "  automagik-workflows-mcp           serve a chat client on stdin and stdout",
    "  automagik-workflows-mcp serve     serve chat clients over HTTP, on --port and --host, at /mcp;",
    "                                    with --sse also by the earlier transport, at /sse; the same",
    "                                    as --transport http",
    "  automagik-workflows-mcp demo      show the main job against a simulated API; with --engine by a real",
    "                                    run of Claude Code, which costs something and is asked for first,",
    "                                    with --yes not even that",
    "  automagik-workflows-mcp install <client>",
    "                                    set up claude-code, claude-desktop, cursor, vscode, goose or codex,",
    "                                    after showing the change and asking; --yes does not ask, --print only",
    "                                    shows, --project is for this folder only; --name, --with-key",
    "  automagik-workflows-mcp doctor    check everything that is needed, and say what to do; --json",
    "  automagik-workflows-mcp engine    carry out runs on this machine, on --port and --host,",
    "                                    until it is stopped; with --background as --engine local",
    "                                    starts it: any free port, and an end when it is idle; windows",
    "                                    share it with the settings of the first that started it",
    "  automagik-workflows-mcp engine status",
    "                                    show whether an engine runs, and where",
    "  automagik-workflows-mcp engine stop",
    "                                    end it and its runs; with --force without asking",
    "",
    "Every setting is an environment variable AUTOMAGIK_WORKFLOWS_… or a flag:",
    `  ${listSettingFlags()
      .map((flag) => `--${flag}`)
      .join(" ")}`,
    "",
    "The key belongs in AUTOMAGIK_WORKFLOWS_API_KEY: other users of a machine can read flags.",
    "",
  ].join("\n");
}
