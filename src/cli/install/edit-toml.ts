import type { Edit } from "./edit-json.js";
import { changedFields, type Entry, isRecord } from "./entry.js";
import { InstallError } from "./names.js";
import { readTomlValue, scanInline, scanToml, TomlError, type TomlTable } from "./toml-scan.js";

/**
 * Sets one server in a TOML file, in a table `[part.name]` of its own; every byte outside of it, and every field of
 * it that does not change, stays. A field that holds variables becomes the table `[part.name.field]`, as
 * `codex mcp add` writes it.
 * @param source the file's text, undefined when there is none
 * @throws InstallError when the file cannot be understood, or has the server in a form that is not changed here
 */
export function editToml(source: string | undefined, edit: Edit): string {
  const eol = source?.includes("\r\n") ? "\r\n" : "\n";
  const text = !source || source.endsWith("\n") ? (source ?? "") : source + eol;
  const own = findTables(read(text), edit);
  const existing = own && readOwn(text, own);
  const entry = edit.merge(existing);
  const header = `${edit.part}.${bareKey(edit.name)}`;
  const changes: { at: number; until: number; text: string }[] = [];
  const changed = changedFields(existing, entry);
  if (changed.length === 0) return source ?? "";
  // Tables last: what came behind them would be theirs.
  const fields = [
    ...changed.filter((field) => !isRecord(entry[field])),
    ...changed.filter((field) => isRecord(entry[field])),
  ];

  if (!own) {
    const lines = [`[${header}]`];
    for (const field of fields) {
      const value = entry[field];
      if (!isRecord(value)) {
        lines.push(assign(field, value));
        continue;
      }
      lines.push("", `[${header}.${bareKey(field)}]`);
      for (const [name, inner] of Object.entries(value)) lines.push(assign(name, inner));
    }
    const gap = text === "" || /\n\r?\n$/.test(text) ? "" : eol;
    return text + gap + lines.join(eol) + eol;
  }

  const insert = (table: TomlTable, line: string) => {
    changes.push({ at: table.end, until: table.end, text: line + eol });
  };
  for (const field of fields) {
    const value = entry[field];
    const there = own.main.entries.find(({ path }) => path.length === 1 && path[0] === field);
    if (!isRecord(value)) {
      if (there) changes.push({ at: there.valueStart, until: there.valueEnd, text: render(value) });
      else insert(own.main, assign(field, value));
      continue;
    }
    const before = isRecord(existing?.[field]) ? (existing[field] as Entry) : {};
    const table = own.inner.find(({ path }) => path.length === 3 && path[2] === field);
    const names = changedFields(before, value);
    if (!table && !there) {
      const lines = ["", `[${header}.${bareKey(field)}]`, ...names.map((name) => assign(name, value[name]))];
      insert(own.main, lines.join(eol));
      continue;
    }
    const spots = table
      ? table.entries.map((spot) => ({ ...spot, name: spot.path.join(".") }))
      : scanInline(text, there?.valueStart ?? 0).map((spot) => ({ ...spot, name: spot.path.join(".") }));
    const added: string[] = [];
    for (const name of names) {
      const spot = spots.find((one) => one.name === name);
      if (spot) changes.push({ at: spot.valueStart, until: spot.valueEnd, text: render(value[name]) });
      else added.push(assign(name, value[name]));
    }
    if (added.length === 0) continue;
    if (table) for (const line of added) insert(table, line);
    else if (there) {
      const at = there.valueStart + 1;
      changes.push({ at, until: at, text: ` ${added.join(", ")}${spots.length > 0 ? "," : " "}` });
    }
  }
  const next = changes
    .map((change, order) => ({ ...change, order }))
    .sort((a, b) => b.at - a.at || b.order - a.order)
    .reduce((done, change) => done.slice(0, change.at) + change.text + done.slice(change.until), text);
  const after = findTables(read(next), edit);
  if (!after || changedFields(readOwn(next, after), entry).some((field) => isKnown(entry[field]))) {
    throw new InstallError("It cannot be changed without risk to the rest of it", { byHand: true });
  }
  return next;
}

interface OwnTables {
  main: TomlTable;
  inner: TomlTable[];
}

function read(text: string): TomlTable[] {
  try {
    return scanToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new InstallError(`It is not valid TOML (${error.message}). Fix that first`);
  }
}

function findTables(tables: readonly TomlTable[], { part, name }: Edit): OwnTables | undefined {
  const byHand = () =>
    new InstallError(`It has "${part}" in a form that this command does not change`, { byHand: true });
  for (const table of tables) {
    for (const { path } of table.entries) {
      const whole = [...table.path, ...path];
      const [first, second] = whole;
      if (first !== part) continue;
      // `mcp_servers = { … }` cannot be added to; `workflows.command = …` is the server in another form.
      if (whole.length === 1 || (second === name && table.path.length < 2)) throw byHand();
    }
  }
  const mine = tables.filter(({ path }) => path[0] === part && path[1] === name);
  const mains = mine.filter(({ path }) => path.length === 2);
  if (mains.length > 1 || mine.some(({ isArray }) => isArray) || (mine.length > 0 && mains.length === 0)) {
    throw byHand();
  }
  return mains[0] && { main: mains[0], inner: mine.filter(({ path }) => path.length > 2) };
}

function readOwn(text: string, { main, inner }: OwnTables): Entry {
  const entry: Entry = {};
  for (const { path, valueStart, valueEnd } of main.entries) {
    if (path.length > 1)
      throw new InstallError("It has the server in a form that this command does not change", {
        byHand: true,
      });
    entry[path[0] as string] = readTomlValue(text, valueStart) ?? { raw: text.slice(valueStart, valueEnd) };
  }
  for (const { path, entries } of inner) {
    if (path.length > 3) continue;
    entry[path[2] as string] = Object.fromEntries(
      entries.map((one) => [one.path.join("."), readTomlValue(text, one.valueStart)]),
    );
  }
  return entry;
}

function isKnown(value: unknown): boolean {
  return typeof value === "string" || Array.isArray(value) || isRecord(value);
}

function assign(name: string, value: unknown): string {
  return `${bareKey(name)} = ${render(value)}`;
}

function bareKey(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : renderString(name);
}

function render(value: unknown): string {
  if (typeof value === "string") return renderString(value);
  if (Array.isArray(value)) return `[${value.map(render).join(", ")}]`;
  if (isRecord(value)) {
    return `{ ${Object.entries(value)
      .map(([name, inner]) => assign(name, inner))
      .join(", ")} }`;
  }
  return String(value);
}

/** A basic string of TOML takes JSON's escapes, and DEL only escaped. */
function renderString(text: string): string {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}
