import { parseArgs } from "node:util";
import { findNearest } from "./services/nearest.js";
import { listSettingFlags, SettingsError } from "./settings.js";

/** What the command line asks for. */
export interface CommandLine {
  command: "stdio" | "demo" | "help" | "version";
  /** Settings given as flags, by their name without dashes. */
  flags: Record<string, string | undefined>;
}

const COMMANDS = ["stdio", "demo"] as const;

/**
 * Reads the command line.
 * @param args without the program and the script
 * @throws SettingsError for an unknown flag or command, naming the nearest
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const names = listSettingFlags();
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...options, help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  let command: CommandLine["command"] | undefined;
  const flags: CommandLine["flags"] = {};
  for (const token of tokens) {
    if (token.kind === "positional") {
      const known = COMMANDS.find((one) => one === token.value);
      // Such a word is not repeated: it may be a key, or the rest of one with a space in it.
      if (!known) throw unknown("command", token.value, COMMANDS);
      if (command) throw new SettingsError(`one command only, not ${command} and ${known}; see --help`);
      command = known;
    } else if (token.kind === "option") {
      if (token.name === "help" || token.name === "h") return { command: "help", flags: {} };
      if (token.name === "version" || token.name === "v") return { command: "version", flags: {} };
      if (!names.includes(token.name))
        throw unknown(
          `flag ${token.rawName}`,
          token.rawName,
          names.map((name) => `--${name}`),
        );
      // A flag where a value should be is a value left out; one that really begins so is given after "=".
      if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--")))
        throw new SettingsError(`${token.rawName}: a value is missing`);
      flags[token.name] = token.value;
    }
  }
  return { command: command ?? "stdio", flags };
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
