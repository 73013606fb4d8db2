import { parseArgs } from "node:util";
import { listSettingFlags } from "../settings/entries.js";
import { SettingsError } from "../settings/settings.js";
import { findNearest } from "../shared/nearest.js";

const COMMANDS = [
  "stdio",
  "serve",
  "demo",
  "doctor",
  "install",
  "allow",
  "engine",
  "engine status",
  "engine cost",
  "engine stop",
  "workflows",
  "workflows edit",
  "sessions",
  "sessions show",
  "sessions resume",
  "sessions clean",
  "sessions diff",
  "sessions take",
  "sessions discard",
] as const;

/** A command that does something, by its words. */
export type Command = (typeof COMMANDS)[number];

/** What the command line asks for. */
export interface CommandLine {
  command: Command | "help" | "version";
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
  /** `engine cost --days 7`. */
  days?: string;
  /** `doctor --json`, `engine status --json`, `engine cost --json`, `sessions --json`. */
  json?: true;
  /** `sessions clean --dry-run`: only shows. */
  "dry-run"?: true;
  /** `sessions clean --older-than 14d`: how long something was not used before it is suggested. */
  "older-than"?: string;
  /** `sessions show … --follow`: on until the run has ended. */
  follow?: true;
  /** `sessions diff … --stat`: only what changed in each file. */
  stat?: true;
  /** `sessions take … --into`: the branch, the base branch unless told. */
  into?: string;
  /** `sessions take … --squash`: as one commit. */
  squash?: true;
  /** `sessions take … --check`: a command that has to pass before anything is merged. */
  check?: string;
  /** What stands behind a command: of `sessions` a session's name or a run's id, then a message; of `workflows edit` a name. */
  operands?: string[];
  /** `install <client>`. */
  client?: string;
  /** `install … --allow`: the repository that one stands in is allowed, without asking. */
  allow?: true;
  /** `allow [FOLDER]`. */
  folder?: string;
  /** `allow --list`: only shows. */
  list?: true;
  /** `allow --remove [FOLDER]`: takes it back. */
  remove?: true;
  /** `install … --name`: what the server is called in the client. */
  name?: string;
  /** `serve --sse`: the protocol's earlier transport is there too. */
  sse?: true;
}

/** A command line and the absolute path of the script that runs, by which it can be started again. */
export type Invocation = CommandLine & { script: string };

/** Flags that are no settings, and the commands that each belongs to. A `boolean` one takes no value. */
const OWN_FLAGS = {
  host: { type: "string", commands: ["engine", "serve"] },
  port: { type: "string", commands: ["engine", "serve"] },
  name: { type: "string", commands: ["install"] },
  transport: { type: "string", commands: COMMANDS },
  days: { type: "string", commands: ["engine cost"] },
  force: { type: "boolean", commands: ["engine stop"] },
  background: { type: "boolean", commands: ["engine"] },
  sse: { type: "boolean", commands: ["serve"] },
  yes: {
    type: "boolean",
    commands: ["demo", "install", "sessions resume", "sessions clean", "sessions take", "sessions discard"],
  },
  "dry-run": { type: "boolean", commands: ["sessions clean"] },
  "older-than": { type: "string", commands: ["sessions clean"] },
  stat: { type: "boolean", commands: ["sessions diff"] },
  into: { type: "string", commands: ["sessions take"] },
  squash: { type: "boolean", commands: ["sessions take"] },
  check: { type: "string", commands: ["sessions take"] },
  follow: { type: "boolean", commands: ["sessions show"] },
  print: { type: "boolean", commands: ["install"] },
  project: { type: "boolean", commands: ["install"] },
  "with-key": { type: "boolean", commands: ["install"] },
  json: {
    type: "boolean",
    commands: ["doctor", "engine status", "engine cost", "workflows", "sessions", "sessions clean"],
  },
  allow: { type: "boolean", commands: ["install"] },
  list: { type: "boolean", commands: ["allow"] },
  remove: { type: "boolean", commands: ["allow"] },
} as const satisfies Record<string, { type: "string" | "boolean"; commands: readonly Command[] }>;

type OwnFlag = keyof typeof OWN_FLAGS;
type Switch = { [F in OwnFlag]: (typeof OWN_FLAGS)[F]["type"] extends "boolean" ? F : never }[OwnFlag];

/** What `--transport` takes, and the command that it stands for. */
const TRANSPORTS: Record<string, Command> = { stdio: "stdio", http: "serve" };

/** What was found on the command line, before it is known which command it is for. */
interface Words {
  /** What is no flag: the command, and the client of `install`. */
  words: string[];
  settings: Record<string, string>;
  own: Partial<Record<OwnFlag, string>>;
}

/**
 * Reads the command line.
 * @param args without the program and the script
 * @throws SettingsError for an unknown flag or command, naming the nearest. Values are never repeated: each may be a
 *   key, or the rest of one with a space in it
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const found = readWords(args);
  if (typeof found === "string") return { command: found, flags: {} };
  const { words, settings, own } = found;
  const taken = words[0] === "install" ? takeClient(words) : takeFolder(words);
  const operands = takeOperands(words);
  const command = chooseCommand(words, own.transport);
  const flags: CommandLine["flags"] = { ...settings };
  const switches: CommandLine = { command, flags, ...taken, ...operands };
  for (const [name, value] of Object.entries(own) as [OwnFlag, string][]) {
    requireOwner(name, command);
    if (name === "name" || name === "days" || name === "older-than" || name === "into" || name === "check")
      switches[name] = value;
    // Short for the command's own setting.
    else if (name === "host" || name === "port")
      flags[`${command === "serve" ? "http" : "engine"}-${name}`] = value;
    else if (isSwitch(name)) switches[name] = true;
  }
  return switches;
}

/** Sorts what is on the command line; `help` or `version` when it asks for that. @throws SettingsError */
function readWords(args: readonly string[]): Words | "help" | "version" {
  const settingFlags = listSettingFlags();
  const known = [...settingFlags, ...Object.keys(OWN_FLAGS)];
  const { tokens } = parseArgs({
    args: nameEngineOfDemo(args),
    options: {
      ...Object.fromEntries(settingFlags.map((name) => [name, { type: "string" as const }])),
      ...OWN_FLAGS,
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
    // Node's own errors would repeat values.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const found: Words = { words: [], settings: {}, own: {} };
  for (const token of tokens) {
    if (token.kind === "positional") found.words.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    if (name === "help" || name === "h") return "help";
    if (name === "version" || name === "v") return "version";
    if (!known.includes(name))
      throw unknown(
        `flag ${rawName}`,
        rawName,
        known.map((one) => `--${one}`),
      );
    if (isSwitch(name)) {
      if (value !== undefined) throw new SettingsError(`${rawName}: takes no value`);
      found.own[name] = "";
    } else {
      // A flag where a value should be is a value left out; one that really begins so is given after "=".
      if (value === undefined || (!token.inlineValue && value.startsWith("--")))
        throw new SettingsError(`${rawName}: a value is missing`);
      if (isOwn(name)) found.own[name] = value;
      else found.settings[name] = value;
    }
  }
  return found;
}

/** With the command `demo` there is only one engine to mean, so its name may be left out. */
function nameEngineOfDemo(args: readonly string[]): string[] {
  if (args[0] !== "demo") return [...args];
  return args.map((arg, index) => {
    const isBare = arg === "--engine" && (args[index + 1] ?? "--").startsWith("-");
    return isBare ? "--engine=local" : arg;
  });
}

function isOwn(name: string): name is OwnFlag {
  return Object.hasOwn(OWN_FLAGS, name);
}

function isSwitch(name: string): name is Switch {
  return isOwn(name) && OWN_FLAGS[name].type === "boolean";
}

/** Takes the client's name, which follows `install`, out of the words. */
function takeClient(words: string[]): { client: string } {
  const [client] = words.splice(1, 1);
  if (client === undefined) throw new SettingsError("install: the client is missing; see --help");
  return { client };
}

/** Takes the folder, which may follow `allow`, out of the words. */
function takeFolder(words: string[]): { folder?: string } {
  if (words[0] !== "allow") return {};
  const [folder] = words.splice(1, 1);
  return folder === undefined ? {} : { folder };
}

/** How many words may follow a command. */
const OPERANDS: Partial<Record<Command, { least: number; most: number; what: string }>> = {
  "sessions show": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions resume": { least: 1, most: 2, what: "a session's name, and a message in quotes," },
  "sessions diff": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions take": { least: 1, most: 1, what: "a session's name or a run's id" },
  "sessions discard": { least: 1, most: 1, what: "a session's name or a run's id" },
  "workflows edit": { least: 1, most: 1, what: "the name of a workflow" },
};

/** Takes what is no command out of the words behind one. @throws SettingsError */
function takeOperands(words: string[]): { operands?: string[] } {
  const pair = words.slice(0, 2).join(" ");
  const allowed = isCommand(pair) ? OPERANDS[pair as Command] : undefined;
  if (!allowed) return {};
  const operands = words.splice(2);
  if (operands.length < allowed.least || operands.length > allowed.most)
    throw new SettingsError(`${pair}: ${allowed.what} has to stand behind it; see --help`);
  return { operands };
}

function requireOwner(flag: OwnFlag, command: Command): void {
  const owners: readonly Command[] = OWN_FLAGS[flag].commands;
  if (owners.includes(command)) return;
  const which =
    owners.length > 1
      ? `commands ${owners.slice(0, -1).join(", ")} and ${owners.at(-1)}`
      : `command ${owners[0]}`;
  throw new SettingsError(`--${flag} belongs to the ${which}; see --help`);
}

/** `--transport` is another way to say which kind of server is wanted; it must not contradict the command. */
function chooseCommand(words: readonly string[], transport: string | undefined): Command {
  const command = findCommand(words);
  if (transport === undefined) return command;
  const meant = Object.hasOwn(TRANSPORTS, transport) ? TRANSPORTS[transport] : undefined;
  if (!meant) throw new SettingsError("--transport: the value is not allowed; allowed: stdio or http");
  if (words.length > 0 && command !== meant)
    throw new SettingsError(`--transport ${transport} contradicts the command ${command}; see --help`);
  return meant;
}

function findCommand(words: readonly string[]): Command {
  const pair = words.slice(0, 2).join(" ");
  const [first, ...rest] = isCommand(pair) ? [pair, ...words.slice(2)] : words;
  if (first === undefined) return "stdio";
  const strange = [first, ...rest].find((word) => !isCommand(word));
  if (strange !== undefined) {
    const ofFirst = COMMANDS.filter((one) => one.startsWith(`${first} `));
    if (ofFirst.length === 0) throw unknown("command", strange, COMMANDS);
    throw unknown("command", `${first} ${strange}`, ofFirst);
  }
  if (rest.length > 0) {
    throw new SettingsError(`one command only, not ${first} and ${rest[0]}; see --help`);
  }
  return first as Command;
}

function isCommand(text: string): boolean {
  return COMMANDS.some((one) => one === text);
}

function unknown(what: string, value: string, known: readonly string[]): SettingsError {
  const [nearest] = findNearest(value, known, 1);
  return new SettingsError(`unknown ${what}${nearest ? `; ${nearest} may be meant` : ""}; see --help`);
}
