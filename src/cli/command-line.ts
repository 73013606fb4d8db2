import { parseArgs } from "node:util";
import { listSettingFlags } from "../settings/entries.js";
import { hasAddress } from "../settings/notify.js";
import { redisIsGone, SettingsError } from "../settings/settings.js";
import { findNearest } from "../shared/nearest.js";
import { COMMANDS, type Command, OPERANDS, OWN_FLAGS } from "./command-table.js";

/** What the command line asks for. */
export interface CommandLine {
  command: Command | "help" | "version";
  /** Settings given as flags, by their name without dashes. */
  flags: Record<string, string | undefined>;
  /** `engine stop --force`: without asking, and whatever the engine does. */
  force?: true;
  /** `engine drain --interrupt-after 600`: s after which what still goes on is interrupted. */
  "interrupt-after"?: string;
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
  /** `sessions clean --dry-run`, `plan run … --dry-run`: only shows. */
  "dry-run"?: true;
  /** `sessions clean --older-than 14d`: how long something was not used before it is suggested. */
  "older-than"?: string;
  /** `sessions show … --follow`, `plan show … --follow`: on until the run or the plan has ended. */
  follow?: true;
  /** `sessions diff … --stat`: only what changed in each file. */
  stat?: true;
  /** `sessions take … --into`: the branch, the base branch unless told. */
  into?: string;
  /** `sessions take … --squash`: as one commit. */
  squash?: true;
  /** `sessions take … --check`: a command that has to pass before anything is merged. */
  check?: string;
  /** `plan run … --input name=value`, as often as there are inputs. */
  input?: string[];
  /** `history … --since`: a day, a moment, or an age. */
  since?: string;
  /** `history export --csv`. */
  csv?: true;
  /** `plan run … --repository`, `history … --repository`: an address or a folder. */
  repository?: string;
  /** `plan run … --branch`. */
  branch?: string;
  /** `plan run … --agree "npm test"`, `plan edit … --agree`: what the person agrees to beforehand, word for word. */
  agree?: string[];
  /** `plan limits … --cost 30`: USD. */
  cost?: string;
  /** `plan limits … --runs 40`. */
  runs?: string;
  /** `plan limits … --parallel 3`. */
  parallel?: string;
  /** `plan limits … --minutes 240`. */
  minutes?: string;
  /** `plan list --all`: plans that have ended, too. */
  all?: true;
  /** `plan save … --in-repository`: into the session's repository. */
  "in-repository"?: true;
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
  /** `install … --name`: what the server is called in the client. `plan run … --name`: what the plan is called. */
  name?: string;
  /** `dashboard --no-open`: the link is only printed. */
  "no-open"?: true;
  /** `serve --sse`: the protocol's earlier transport is there too. */
  sse?: true;
}

/** A command line and the absolute path of the script that runs, by which it can be started again. */
export type Invocation = CommandLine & { script: string };

type OwnFlag = keyof typeof OWN_FLAGS;
type OfType<Type extends string> = {
  [F in OwnFlag]: (typeof OWN_FLAGS)[F]["type"] extends Type ? F : never;
}[OwnFlag];

/** What `--transport` takes, and the command that it stands for. */
const TRANSPORTS: Record<string, Command> = { stdio: "stdio", http: "serve" };

/** What was found on the command line, before it is known which command it is for. */
interface Words {
  /** What is no flag: the command, and the client of `install`. */
  words: string[];
  settings: Record<string, string>;
  /** Values in the order in which they were given. */
  own: Partial<Record<OwnFlag, string[]>>;
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
  const command = chooseCommand(words, own.transport?.at(-1));
  const flags: CommandLine["flags"] = { ...settings };
  const switches: CommandLine = { command, flags, ...taken, ...operands };
  for (const [name, values] of Object.entries(own) as [OwnFlag, string[]][]) {
    requireOwner(name, command);
    const value = values.at(-1) ?? "";
    // Short for the command's own setting.
    if (name === "host" || name === "port")
      flags[`${command === "serve" ? "http" : "engine"}-${name}`] = value;
    else if (isSwitch(name)) switches[name] = true;
    else if (isList(name)) switches[name] = values;
    else if (name !== "transport") switches[name] = value;
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
      ...Object.fromEntries(
        Object.entries(OWN_FLAGS).map(([name, { type }]) => [
          name,
          { type: type === "list" ? "string" : type },
        ]),
      ),
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
    if (name === "state") throw redisIsGone(rawName);
    if (name === "notify" && hasAddress(value ?? ""))
      throw new SettingsError(
        `${rawName}: an address is a secret, which others on the machine could read here; set it in AUTOMAGIK_WORKFLOWS_NOTIFY`,
      );
    if (!known.includes(name))
      throw unknown(
        `flag ${rawName}`,
        rawName,
        known.map((one) => `--${one}`),
      );
    if (isSwitch(name)) {
      if (value !== undefined) throw new SettingsError(`${rawName}: takes no value`);
      found.own[name] = [];
    } else {
      // A flag where a value should be is a value left out; one that really begins so is given after "=".
      if (value === undefined || (!token.inlineValue && value.startsWith("--")))
        throw new SettingsError(`${rawName}: a value is missing`);
      if (isOwn(name)) found.own[name] = [...(found.own[name] ?? []), value];
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

function isSwitch(name: string): name is OfType<"boolean"> {
  return isOwn(name) && OWN_FLAGS[name].type === "boolean";
}

function isList(name: OwnFlag): name is OfType<"list"> {
  return OWN_FLAGS[name].type === "list";
}

/** Takes the client's name, which follows `install`, out of the words. */
function takeClient(words: string[]): { client: string } {
  const [client] = words.splice(1, 1);
  if (client === undefined)
    throw new SettingsError(
      "install: the client is missing: claude-code, claude-desktop, cursor, vscode, goose or codex; see --help",
    );
  return { client };
}

/** Takes the folder, which may follow `allow`, out of the words. */
function takeFolder(words: string[]): { folder?: string } {
  if (words[0] !== "allow") return {};
  const [folder] = words.splice(1, 1);
  return folder === undefined ? {} : { folder };
}

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
    const behind = ofFirst.map((one) => one.slice(first.length + 1));
    const [nearest] = findNearest(strange, behind, 1);
    const meant = nearest
      ? `${first} ${nearest} may be meant`
      : `behind ${first} there are ${behind.join(", ")}`;
    throw new SettingsError(`unknown command; ${meant}; see --help`);
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
