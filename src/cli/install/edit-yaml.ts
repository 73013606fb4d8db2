import { isDeepStrictEqual } from "node:util";
import {
  Document,
  isCollection,
  isMap,
  isPair,
  isScalar,
  type Pair,
  parseDocument,
  type YAMLMap,
} from "yaml";
import type { Edit } from "./edit-json.js";
import { changedFields, type Entry, isRecord } from "./entry.js";
import { InstallError } from "./names.js";

/** Long lines stay in one piece: who folds them changes what nobody asked to be changed. */
const STYLE = { lineWidth: 0 };

/**
 * Sets one server in a YAML file. What stands outside of its entry stays byte for byte, where the part is written
 * in the usual way, and as it is read everywhere.
 * @param source the file's text, undefined when there is none
 * @throws InstallError when the file cannot be understood, or what would come out is not what it should be
 */
export function editYaml(source: string | undefined, edit: Edit): string {
  const text = source ?? "";
  const document = parseDocument(text);
  if (document.errors[0]) {
    const line = document.errors[0].linePos?.[0].line;
    throw new InstallError(`It is not valid YAML${line ? ` (line ${line})` : ""}. Fix that first`);
  }
  // An empty file, nothing but comments, or the mark of a document with nothing behind it.
  if (isScalar(document.contents) && !document.contents.source) document.contents = null;
  const before: unknown = document.contents === null ? {} : document.toJS();
  if (!isRecord(before)) throw new InstallError("It does not hold a YAML mapping. Fix that first");
  const part = before[edit.part] ?? undefined;
  if (part !== undefined && !isRecord(part)) throw new InstallError(`"${edit.part}" in it is not a mapping`);
  const existing = isRecord(part?.[edit.name]) ? (part[edit.name] as Entry) : undefined;
  const entry = edit.merge(existing);
  if (existing && changedFields(existing, entry).length === 0) return text;

  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const next = splice(text, document, edit, entry, eol);
  const after: unknown = parseDocument(next).toJS();
  if (!isDeepStrictEqual(after, { ...before, [edit.part]: { ...part, [edit.name]: entry } })) {
    throw new InstallError("It cannot be changed without risk to the rest of it", { byHand: true });
  }
  return next;
}

function splice(text: string, document: Document.Parsed, edit: Edit, entry: Entry, eol: string): string {
  const root = document.contents;
  const whole = text === "" || text.endsWith("\n") ? text : text + eol;
  const lines = (map: Document, indent: number) =>
    map
      .toString(STYLE)
      .trimEnd()
      .split("\n")
      .map((line) => (line ? " ".repeat(indent) + line : line))
      .join(eol) + eol;

  // Nothing but comments, or no such part yet: at the end.
  if (root === null || (isMap(root) && !root.flow && root.items.length > 0 && !root.has(edit.part))) {
    return whole + lines(new Document({ [edit.part]: { [edit.name]: entry } }), 0);
  }
  const part: unknown = isMap(root) ? root.get(edit.part, true) : undefined;
  const last = isMap(part) && !part.flow ? part.items.at(-1) : undefined;
  const first = isMap(part) ? startOf(part.items[0]) : undefined;
  if (isMap(part) && last && first !== undefined) {
    const column = first - (text.lastIndexOf("\n", first - 1) + 1);
    const own = part.items.find(({ key }) => isScalar(key) && key.value === edit.name);
    if (!own) {
      const end = endOf(whole, last, column);
      if (end !== undefined)
        return whole.slice(0, end) + lines(new Document({ [edit.name]: entry }), column) + whole.slice(end);
    } else if (isMap(own.value)) {
      const [start, end] = [startOf(own), endOf(whole, own)];
      setFields(document, own.value, entry);
      leaveLastComment(own);
      if (start !== undefined && end !== undefined) {
        const alone = new Document({});
        (alone.contents as unknown as YAMLMap).items = [own as Pair];
        return whole.slice(0, start - column) + lines(alone, column) + whole.slice(end);
      }
    }
  }
  const pair = isMap(root)
    ? root.items.find(({ key }) => isScalar(key) && key.value === edit.part)
    : undefined;
  if (isScalar(part) && part.value === null && !part.source && isScalar(pair?.key)) {
    const end = whole.indexOf("\n", pair.key.range?.[1]) + 1;
    return whole.slice(0, end) + lines(new Document({ [edit.name]: entry }), 2) + whole.slice(end);
  }
  // Written in another way, such as `extensions: {}`: the library writes the file anew, comments included.
  if (isMap(part) && part.items.length > 0) part.set(edit.name, document.createNode(entry));
  else document.set(edit.part, document.createNode({ [edit.name]: entry }));
  return document.toString(STYLE).replaceAll("\n", eol);
}

/** Field by field, so that comments and the way in which the others are written stay. */
function setFields(document: Document, map: YAMLMap, entry: Entry): void {
  const old = map.toJS(document) as Entry;
  for (const field of changedFields(old, entry)) {
    const there = map.get(field, true);
    const value = entry[field];
    if (isScalar(there) && typeof value === "string") there.value = value;
    else map.set(field, document.createNode(value));
  }
}

function startOf(pair: Pair | undefined): number | undefined {
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}

/** A comment behind the last field is not part of what is replaced, and must not be written twice. */
function leaveLastComment(pair: Pair): void {
  for (let node = pair.value; isCollection(node) && !node.flow; node = lastIn(node)) node.comment = null;
}

function lastIn(node: { items: unknown[] }): unknown {
  const last = node.items.at(-1);
  return isPair(last) ? (last.value ?? last.key) : last;
}

/** Where the line after the pair begins; with `column` also behind comments that stand deeper than that. */
function endOf(text: string, pair: Pair, column?: number): number | undefined {
  // A mapping's own range goes on to the next thing that is no comment.
  let node = pair.value ?? pair.key;
  while (isCollection(node) && !node.flow && node.items.length > 0) node = lastIn(node);
  const end = (node as { range?: [number, number, number] | null } | null)?.range?.[1];
  if (end === undefined) return undefined;
  const line = end > 0 && text[end - 1] === "\n" ? end : text.indexOf("\n", end) + 1 || text.length;
  if (column === undefined) return line;
  const comments = new RegExp(`(?:[ \\t]{${column + 1},}#[^\\n]*\\n)*`, "y");
  comments.lastIndex = line;
  comments.exec(text);
  return comments.lastIndex;
}
