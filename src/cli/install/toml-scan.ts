/** A key and its value in a table. `end` is behind the line break. */
export interface TomlEntry {
  path: string[];
  start: number;
  valueStart: number;
  valueEnd: number;
  end: number;
}

/** A table as far as it goes in one piece. The first one of a file is the root, without a header. */
export interface TomlTable {
  path: string[];
  /** `[[…]]` */
  isArray: boolean;
  start: number;
  entries: TomlEntry[];
  /** Behind the header or the last entry: where another entry can stand. */
  end: number;
}

/** The text is no TOML, or is of a kind that this reader does not know. */
export class TomlError extends Error {
  override name = "TomlError";
}

/**
 * Finds where things stand in a TOML text (v1.0.0), without making anything of most values: enough to change some of
 * them and to leave the rest byte for byte.
 * @throws TomlError
 */
export function scanToml(text: string): TomlTable[] {
  let at = text.startsWith("\ufeff") ? 1 : 0;
  const root: TomlTable = { path: [], isArray: false, start: at, entries: [], end: at };
  const tables = [root];
  let table = root;
  for (;;) {
    at = skipBlank(text, at);
    if (at >= text.length) return tables;
    const start = at;
    if (text[at] === "[") {
      const isArray = text[at + 1] === "[";
      const key = readKey(text, at + (isArray ? 2 : 1));
      if (!text.startsWith(isArray ? "]]" : "]", key.end)) throw fault(text, key.end);
      at = endLine(text, key.end + (isArray ? 2 : 1));
      table = { path: key.path, isArray, start, entries: [], end: at };
      tables.push(table);
      continue;
    }
    const entry = readEntry(text, at);
    at = endLine(text, entry.valueEnd);
    table.entries.push({ ...entry, end: at });
    table.end = at;
  }
}

/** The entries of an inline table whose opening brace is at `at`. */
export function scanInline(text: string, at: number): Omit<TomlEntry, "end">[] {
  const entries: Omit<TomlEntry, "end">[] = [];
  skipGroup(text, at, (inner) => {
    const entry = readEntry(text, inner);
    entries.push(entry);
    return entry.valueEnd;
  });
  return entries;
}

/** A value as JSON knows it; undefined for what it does not (numbers and dates among them). */
export function readTomlValue(text: string, at: number): unknown {
  const first = text[at];
  if (text.startsWith('"""', at) || text.startsWith("'''", at)) return undefined;
  if (first === '"' || first === "'") return readQuoted(text, at).value;
  if (first === "[") {
    const items: unknown[] = [];
    skipGroup(text, at, (inner) => {
      items.push(readTomlValue(text, inner));
      return skipValue(text, inner);
    });
    return items;
  }
  if (first === "{") {
    return Object.fromEntries(
      scanInline(text, at).map(({ path, valueStart }) => [path.join("."), readTomlValue(text, valueStart)]),
    );
  }
  return undefined;
}

function readEntry(text: string, start: number): Omit<TomlEntry, "end"> {
  const key = readKey(text, start);
  if (text[key.end] !== "=") throw fault(text, key.end);
  const valueStart = skipSpace(text, key.end + 1);
  return { path: key.path, start, valueStart, valueEnd: skipValue(text, valueStart) };
}

function readKey(text: string, from: number): { path: string[]; end: number } {
  const path: string[] = [];
  let at = skipSpace(text, from);
  for (;;) {
    if (text[at] === '"' || text[at] === "'") {
      const quoted = readQuoted(text, at);
      path.push(quoted.value);
      at = quoted.end;
    } else {
      const bare = /[A-Za-z0-9_-]+/y;
      bare.lastIndex = at;
      const found = bare.exec(text)?.[0];
      if (!found) throw fault(text, at);
      path.push(found);
      at += found.length;
    }
    at = skipSpace(text, at);
    if (text[at] !== ".") return { path, end: at };
    at = skipSpace(text, at + 1);
  }
}

function readQuoted(text: string, at: number): { value: string; end: number } {
  const pattern = text[at] === '"' ? /"(?:[^"\\\r\n]|\\.)*"/y : /'[^'\r\n]*'/y;
  pattern.lastIndex = at;
  const found = pattern.exec(text)?.[0];
  if (!found) throw fault(text, at);
  const end = at + found.length;
  if (text[at] === "'") return { value: found.slice(1, -1), end };
  try {
    return { value: JSON.parse(found.replaceAll("\t", "\\t")) as string, end };
  } catch {
    // Escapes that JSON does not know: it is no name or path of ours.
    return { value: found, end };
  }
}

function skipValue(text: string, at: number): number {
  for (const quotes of ['"""', "'''"]) {
    if (!text.startsWith(quotes, at)) continue;
    const pattern = quotes === '"""' ? /"""(?:[^\\]|\\[\s\S])*?"""(?!")/y : /'''[\s\S]*?'''(?!')/y;
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) throw fault(text, at);
    return pattern.lastIndex;
  }
  if (text[at] === '"' || text[at] === "'") return readQuoted(text, at).end;
  if (text[at] === "[") return skipGroup(text, at, (inner) => skipValue(text, inner));
  if (text[at] === "{") return skipGroup(text, at, (inner) => readEntry(text, inner).valueEnd);
  const bare = /[A-Za-z0-9+_.:-]+(?: [0-9][0-9:.+Z-]*)?/y;
  bare.lastIndex = at;
  if (!bare.exec(text)) throw fault(text, at);
  return bare.lastIndex;
}

/** Goes through what stands in brackets or braces; `item` is given where each begins and tells where it ends. */
function skipGroup(text: string, open: number, item: (at: number) => number): number {
  const close = text[open] === "[" ? "]" : "}";
  let at = skipBlank(text, open + 1);
  while (text[at] !== close) {
    at = skipBlank(text, item(at));
    if (text[at] === ",") at = skipBlank(text, at + 1);
    else if (text[at] !== close) throw fault(text, at);
  }
  return at + 1;
}

function skipSpace(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}

/** White space, line breaks and comments. */
function skipBlank(text: string, at: number): number {
  const blank = /(?:[ \t\r\n]+|#[^\n]*)*/y;
  blank.lastIndex = at;
  blank.exec(text);
  return blank.lastIndex;
}

function endLine(text: string, at: number): number {
  const rest = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
  rest.lastIndex = at;
  if (!rest.exec(text)) throw fault(text, at);
  return rest.lastIndex;
}

function fault(text: string, at: number): TomlError {
  return new TomlError(`line ${text.slice(0, at).split("\n").length}`);
}
