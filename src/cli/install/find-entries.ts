import { readFile, stat } from "node:fs/promises";
import { posix, win32 } from "node:path";
import { parse } from "jsonc-parser";
import { parseDocument } from "yaml";
import { CLIENT_FORMS, type ClientForm, type ClientName, type Place } from "./clients.js";
import { asRecord, type Entry, isOurs } from "./entry.js";
import { readTomlValue, scanToml } from "./toml-scan.js";

/** This server in a client's configuration. */
export interface FoundEntry {
  client: ClientName;
  /** The client's title. */
  title: string;
  /** The file, absolute. */
  path: string;
  /** The file is the project's, which may be anybody's: nothing of it is run or asked. */
  ofProject: boolean;
  /** What the server is called there. */
  name: string;
  command: string;
  args: string[];
  /** Variables that the client gives the server. What refers to something else stands as it is in the file. */
  variables: Record<string, string>;
  /** Names of variables that the client takes from its environment or a keychain. */
  names: string[];
}

/** A file of a client that could not be looked into. */
export interface UnreadFile {
  client: ClientName;
  title: string;
  path: string;
  problem: string;
}

/** Every entry of ours has it somewhere; a file without it need not be understood. */
const MARK = /automagik[-_]workflows/i;

/**
 * Finds this server in the files of all clients that `install` knows: those for all projects, and those of the project
 * in `place.cwd`. Changes nothing and never throws.
 */
export async function findEntries(place: Place): Promise<{ entries: FoundEntry[]; unread: UnreadFile[] }> {
  const entries: FoundEntry[] = [];
  const unread: UnreadFile[] = [];
  const { isAbsolute } = place.platform === "win32" ? win32 : posix;
  const looks = (Object.keys(CLIENT_FORMS) as ClientName[]).map(async (client) => {
    const form: ClientForm = CLIENT_FORMS[client];
    const { title } = form;
    const own = await form.userFile(place);
    // In the home folder the two are one.
    const paths = new Set([own, form.projectFile?.(place)]);
    for (const path of paths) {
      if (path === undefined || !isAbsolute(path)) continue;
      const ofProject = path !== own;
      try {
        const text = await readPlainFile(path);
        if (text === undefined || !MARK.test(text)) continue;
        for (const [name, entry] of readServers(text, form, place.cwd))
          entries.push({ client, title, path, ofProject, name, ...describeEntry(entry, form) });
      } catch (error) {
        unread.push({ client, title, path, problem: (error as Error).message });
      }
    }
  });
  await Promise.all(looks);
  // By client and not by which file was read first.
  const order = Object.keys(CLIENT_FORMS);
  const byClient = (a: { client: string }, b: { client: string }) =>
    order.indexOf(a.client) - order.indexOf(b.client);
  return { entries: entries.sort(byClient), unread: unread.sort(byClient) };
}

/** The text of a file; undefined where there is none. Throws what the file system throws otherwise. */
async function readPlainFile(path: string): Promise<string | undefined> {
  try {
    // A pipe in a stranger's project would keep us waiting.
    return (await stat(path)).isFile() ? await readFile(path, "utf8") : undefined;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Our servers in a client's file, by name. @throws Error when it cannot be understood */
function readServers(text: string, form: ClientForm, cwd: string): [string, Entry][] {
  const root = readRoot(text, form);
  const parts = [root[form.part]];
  // Claude Code's scope `local`: the servers of one project in the person's own file.
  if (form === CLIENT_FORMS["claude-code"]) parts.push(asRecord(asRecord(root.projects)[cwd])[form.part]);
  return parts
    .flatMap((part) => Object.entries(asRecord(part)))
    .filter((found): found is [string, Entry] => isOurs(found[1]));
}

function readRoot(text: string, { format, part }: ClientForm): Entry {
  const plain = text.replace(/^\ufeff/, "");
  if (format === "yaml") return asRecord(parseDocument(plain).toJS());
  if (format === "toml") return { [part]: readTables(text, part) };
  const errors: unknown[] = [];
  const value: unknown = parse(plain, errors as never, { allowTrailingComma: true });
  if (errors.length > 0) throw new Error("it is not valid JSON");
  return asRecord(value);
}

/** `[part.name]` with its inner tables. */
function readTables(text: string, part: string): Record<string, Entry> {
  const servers: Record<string, Entry> = {};
  for (const { path, entries } of scanToml(text)) {
    const [first, name, field, ...deeper] = path;
    if (first !== part || name === undefined || deeper.length > 0) continue;
    servers[name] ??= {};
    const values = Object.fromEntries(
      entries.map((entry) => [entry.path.join("."), readTomlValue(text, entry.valueStart)]),
    );
    if (field === undefined) Object.assign(servers[name], values);
    else servers[name][field] = values;
  }
  return servers;
}

function describeEntry(
  entry: Entry,
  { variablesField, namesField }: ClientForm,
): Pick<FoundEntry, "command" | "args" | "variables" | "names"> {
  const texts = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
  const named = namesField === undefined ? [] : entry[namesField];
  return {
    command: String(entry.command ?? entry.cmd ?? ""),
    args: texts(entry.args),
    variables: Object.fromEntries(
      Object.entries(asRecord(entry[variablesField])).map(([name, value]) => [name, String(value)]),
    ),
    names: Array.isArray(named) ? named.map((one) => String(asRecord(one).name ?? one)) : [],
  };
}
