import { parseArgs } from "node:util";
import { findNearest } from "./services/nearest.js";
import { listSettingFlags, SettingsError } from "./settings.js";

/** What the command line asks for. */
export interface CommandLine {
  command: (typeof COMMANDS)[number] | "help" | "version";
  /** Settings given as flags, by their name without dashes. */
  flags: Record<string, string | undefined>;
  /** `engine stop --force`: without waiting for runs to end. */
  force?: true;
  /** `engine --background`: any free port, only on loopback, and an end when it is idle. */
  background?: true;
}

const COMMANDS = ["stdio", "demo", "engine", "engine status", "engine stop"] as const;

/** Short for settings' flags, with the command `engine`. */
const SHORT: Record<string, string> = { host: "engine-host", port: "engine-port" };

/** Flags without a value, and the one command that each belongs to. */
const SWITCHES = { force: "engine stop", background: "engine" } as const;

/**
 * Reads the command line.
 * @param args without the program and the script
 * @throws SettingsError for an unknown flag or command, naming the nearest
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const names = [...listSettingFlags(), ...Object.keys(SHORT)];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { tokens } = parseArgs({
    args: [...args],
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
  const only = new Map<string, CommandLine["command"]>();
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
      if (SHORT[token.name]) only.set(token.rawName, "engine");
      flags[SHORT[token.name] ?? token.name] = token.value;
    }
  }
  const command = findCommand(words);
  for (const [flag, owner] of only) {
    if (command !== owner) throw new SettingsError(`${flag} belongs to the command ${owner}; see --help`);
  }
  return { ...switches, command };
}

function isSwitch(name: string): name is keyof typeof SWITCHES {
  return Object.hasOwn(SWITCHES, name);
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
    "  automagik-workflows-mcp demo      show the main job against a simulated API",
    "  automagik-workflows-mcp engine    carry out runs on this machine, on --port and --host,",
    "                                    until it is stopped; with --background as --engine local",
    "                                    starts it: any free port, and an end when it is idle",
    "  automagik-workflows-mcp engine status",
    "                                    show whether an engine runs, and where",
    "  automagik-workflows-mcp engine stop",
    "                                    end it and its runs; with --force without waiting",
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
