import { isDeepStrictEqual } from "node:util";
import { applyEdits, modify, type ParseError, parse } from "jsonc-parser";
import { asRecord, changedFields, type Entry, isRecord } from "./entry.js";
import { InstallError } from "./names.js";

/** What is to be done to a file that keeps servers by name in one of its parts. */
export interface Edit {
  /** The part's name, such as `mcpServers`. */
  part: string;
  name: string;
  /** Makes the new entry from the one that is there. Throws InstallError when it must not. */
  merge(existing: Entry | undefined): Entry;
}

export interface JsonEdit extends Edit {
  /** The client reads plain JSON: with comments or trailing commas it would read nothing. */
  strict: boolean;
  /** VS Code: how the person is asked for a value that the new entry refers to as `${input:id}`. */
  input?: { type: string; id: string; description: string; password: boolean };
}

const LENIENT = { allowTrailingComma: true, allowEmptyContent: true };

/**
 * Sets one server in a JSON file; comments, order, indentation and everything else stay as they are.
 * @param source the file's text, undefined when there is none
 * @throws InstallError when the file cannot be understood, or what would come out is not what it should be
 */
export function editJson(source: string | undefined, edit: JsonEdit): string {
  const bom = source?.startsWith("\ufeff") ? "\ufeff" : "";
  const text = source?.slice(bom.length) ?? "";
  const before = readObject(text, edit.strict);
  const part = before[edit.part];
  if (part !== undefined && !isRecord(part)) throw new InstallError(`"${edit.part}" in it is not an object`);
  const existing = part?.[edit.name];
  const entry = edit.merge(existing === undefined ? undefined : asRecord(existing));
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const formattingOptions = { ...findIndentation(text), eol };
  let next = text.trim() === "" ? "{}" : text;
  const set = (path: (string | number)[], value: unknown, isArrayInsertion = false) => {
    next = applyEdits(next, modify(next, path, value, { formattingOptions, isArrayInsertion }));
  };

  const at = [edit.part, edit.name];
  if (!isRecord(existing)) set(at, entry);
  else {
    for (const field of changedFields(existing, entry)) {
      const [old, value] = [existing[field], entry[field]];
      if (!isRecord(old) || !isRecord(value)) set([...at, field], value);
      // One by one, so that comments between them stay.
      else for (const inner of changedFields(old, value)) set([...at, field, inner], value[inner]);
    }
  }
  const expected = { ...before, [edit.part]: { ...part, [edit.name]: entry } } as Entry;
  if (edit.input && JSON.stringify(entry).includes(`\${input:${edit.input.id}}`)) {
    const inputs = before.inputs ?? [];
    if (!Array.isArray(inputs)) throw new InstallError('"inputs" in it is not a list');
    if (!inputs.some((one) => asRecord(one).id === edit.input?.id)) {
      if (before.inputs === undefined) set(["inputs"], [edit.input]);
      else set(["inputs", inputs.length], edit.input, true);
      expected.inputs = [...inputs, edit.input];
    }
  }
  // A name that stands twice in one object, for instance, is found at its first place and read at its last.
  if (!isDeepStrictEqual(readObject(next, edit.strict), expected)) {
    throw new InstallError("It cannot be changed without risk to the rest of it", { byHand: true });
  }
  return bom + (next === text || next.endsWith("\n") ? next : `${next}${eol}`);
}

function readObject(text: string, strict: boolean): Entry {
  const errors: ParseError[] = [];
  const parsed: unknown = parse(text, errors, LENIENT);
  // An empty file, or nothing but comments.
  const value = parsed === undefined ? {} : parsed;
  const first = errors[0];
  if (first) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw new InstallError(
      `It is not valid JSON (line ${line}), so the client cannot read it either. Fix that first`,
    );
  }
  if (!isRecord(value))
    throw new InstallError(`It holds ${kindOf(value)}, not a JSON object. Fix that first`);
  if (strict && text.trim() !== "" && !isPlain(text)) {
    throw new InstallError(
      "It has comments or trailing commas, with which the client cannot read it. Remove them first",
    );
  }
  return value;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function isPlain(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function findIndentation(text: string): { insertSpaces: boolean; tabSize: number } {
  const indent = /^([ \t]+)\S/m.exec(text)?.[1] ?? "  ";
  return indent.startsWith("\t")
    ? { insertSpaces: false, tabSize: 4 }
    : { insertSpaces: true, tabSize: indent.length };
}
