import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { readRaw, type Texts } from "../../settings/entries.js";
import { isPlaceholder } from "../../settings/placeholder.js";
import { readSettings, type Settings, SettingsError } from "../../settings/settings.js";
import { tellUnknownVariables } from "../../settings/unknown-variables.js";
import { findOnPath } from "../../shared/program-path.js";
import type { FoundEntry, UnreadFile } from "../install/find-entries.js";
import { KEY_VARIABLE } from "../install/names.js";
import { failure, ok, type Result, warning } from "./finding.js";

/** Where the server of an entry gets its key from. */
type KeySource = "file" | "environment" | "client" | "nowhere";

/** What an entry of a client comes to. */
export interface JudgedEntry {
  entry: FoundEntry;
  /** As the server reads them there; undefined when it would refuse them. */
  settings: Settings | undefined;
  key: KeySource;
  /** What is wrong with it, or what it does. */
  result: Result;
}

/** What to do about a variable that is no setting. */
export const CORRECT_NAME = "Correct its name, or take it away; --help lists every setting.";

/** Where checks are made. */
interface Machine {
  /** The person's environment, where clients that are started from this shell look. */
  env: NodeJS.ProcessEnv;
  /** This product's own variables here. */
  variables: Texts;
  /** Writes a path with `~`. */
  shorten: (text: string) => string;
}

/** Looks at one entry: whether its program is there, its settings are allowed, and where the key comes from. */
export function judgeEntry(entry: FoundEntry, machine: Machine): JudgedEntry {
  const { variables, names, client } = entry;
  const filled = Object.fromEntries(Object.entries(variables).filter(([, value]) => !isPlaceholder(value)));
  // Claude Desktop hands nothing of its environment on.
  const inherited = client === "claude-desktop" ? {} : machine.variables;
  const key = findKey(variables, names, client);
  const what = describeEntry(entry, machine.shorten);
  const again = `Set it up again: automagik-workflows-mcp install ${client}`;
  try {
    const flags = readFlags(entry.args);
    const settings = readSettings({ ...inherited, ...filled }, flags);
    const missing = findMissing(entry, machine.env);
    const local = settings.engine === "local" ? " --engine local" : "";
    const unknown = tellUnknownVariables({
      ...variables,
      ...Object.fromEntries(names.map((name) => [name, name])),
    });
    const result = missing
      ? failure(
          `${what}: ${machine.shorten(missing)} is not there, so the client cannot start it`,
          `${again}${local}`,
        )
      : withUnknown(tell(what, settings, key, machine), unknown);
    return { entry, settings, key, result };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const todo = "Correct it in that file; the server ends with this message.";
    return { entry, settings: undefined, key, result: failure(`${what}: ${error.message}`, todo) };
  }
}

/** An entry as a person finds it: `"automagik" of Claude Code (~/.claude.json)`. */
export function describeEntry({ name, title, path }: FoundEntry, shorten: (text: string) => string): string {
  return `"${name}" of ${title} (${shorten(path)})`;
}

/** A file of a client that nobody could look into. */
export function judgeUnread({ title, path, problem }: UnreadFile, shorten: (text: string) => string): Result {
  return warning(
    `${shorten(path)} of ${title} cannot be looked into (${problem})`,
    `Correct it; ${title} may not be able to read it either.`,
  );
}

/** Whether something is said of where runs are carried out, in variables or flags. */
export function saysWhere(variables: Texts, flags: Texts): boolean {
  const { raw } = readRaw(variables, flags);
  return ["engine", "baseUrl", "apiKey"].some((property) => raw[property] !== undefined);
}

/** What else is wrong says more. */
function withUnknown(result: Result, unknown: string | undefined): Result {
  return unknown && result.status === "ok" ? warning(`${result.message}. ${unknown}`, CORRECT_NAME) : result;
}

function tell(what: string, settings: Settings, key: KeySource, { variables }: Machine): Result {
  if (settings.engine === "local") return ok(`${what}: runs are carried out on this machine`);
  const where = `${what}: runs are carried out by the API at ${settings.baseUrl}`;
  if (key === "nowhere")
    return failure(
      `${where}, without a key`,
      `Set ${KEY_VARIABLE} and run install again, or use \`--engine local\` for runs on this machine.`,
    );
  if (key === "environment" && !variables[KEY_VARIABLE])
    return warning(
      `${where}; its key is that of ${KEY_VARIABLE}, which is not set in this shell`,
      "Set it where the client is started.",
    );
  const from = {
    file: "stands in the file",
    environment: `is that of ${KEY_VARIABLE}`,
    client: "is kept by the client",
  };
  return ok(`${where}; its key ${from[key]}`);
}

function findKey(
  variables: FoundEntry["variables"],
  names: readonly string[],
  client: FoundEntry["client"],
): KeySource {
  const given = variables[KEY_VARIABLE];
  if (given && !isPlaceholder(given)) return "file";
  if (given?.includes("input:")) return "client";
  if (given) return "environment";
  // Goose looks into its keyring where the environment has none.
  if (names.includes(KEY_VARIABLE)) return client === "goose" ? "client" : "environment";
  return client === "claude-desktop" || client === "goose" || client === "codex" ? "nowhere" : "environment";
}

/** The program, or the script that it is to run, that is not there. */
function findMissing({ command, args }: FoundEntry, env: NodeJS.ProcessEnv): string | undefined {
  if (isPlaceholder(command)) return undefined;
  // On Windows a program's name may be without its ending.
  const isBare = !isAbsolute(command);
  const isThere = isBare ? process.platform === "win32" || findOnPath(command, env) : existsSync(command);
  if (!isThere) return isBare ? `the program ${command || "of the entry"}` : command;
  const script = args.find((arg) => isAbsolute(arg) && /\.[cm]?js$/.test(arg));
  return script !== undefined && !existsSync(script) ? script : undefined;
}

/** Settings given as flags, by their names; others are left to the server. */
function readFlags(args: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const [index, arg] of args.entries()) {
    const [, name = "", value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const text = value ?? args[index + 1];
    if (name && text !== undefined && !isPlaceholder(text)) flags[name] = text;
  }
  return flags;
}
