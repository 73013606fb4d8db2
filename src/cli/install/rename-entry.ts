import { findNodeAtLocation, getNodeValue, parseTree } from "jsonc-parser";
import { isMap, isScalar, parseDocument } from "yaml";
import type { ClientForm } from "./clients.js";
import { isOurs } from "./entry.js";
import { InstallError } from "./names.js";

/** What the server was called before: Claude Code has a feature of its own by that name. */
export const FORMER_NAME = "workflows";

/**
 * The file with this server's entry under another name, everything else as it was.
 * @throws InstallError when it is there in a form that is not changed here
 * @returns undefined when there is no entry of this server under the former name, or another one has the new name
 */
export function renameEntry(
  source: string,
  { format, part }: Pick<ClientForm, "format" | "part">,
  from: string,
  to: string,
): string | undefined {
  if (format === "toml") return renameTables(source, part, from, to);
  return format === "yaml" ? renameKey(source, part, from, to) : renameProperty(source, part, from, to);
}

function renameProperty(source: string, part: string, from: string, to: string): string | undefined {
  // A byte order mark is no JSON, and counts in the offsets.
  const bom = source.startsWith("\ufeff") ? 1 : 0;
  const root = parseTree(source.slice(bom), [], { allowTrailingComma: true });
  const entry = root && findNodeAtLocation(root, [part, from]);
  const key = entry?.parent?.children?.[0];
  if (!root || !key || !isOurs(getNodeValue(entry)) || findNodeAtLocation(root, [part, to])) return undefined;
  const at = bom + key.offset;
  return source.slice(0, at) + JSON.stringify(to) + source.slice(at + key.length);
}

function renameKey(source: string, part: string, from: string, to: string): string | undefined {
  const document = parseDocument(source);
  const servers =
    document.errors.length === 0 && isMap(document.contents) ? document.get(part, true) : undefined;
  if (!isMap(servers) || servers.has(to)) return undefined;
  const pair = servers.items.find(({ key }) => isScalar(key) && key.value === from);
  const range = isScalar(pair?.key) ? pair.key.range : undefined;
  const plain = (document.toJS() as Record<string, Record<string, unknown>>)[part]?.[from];
  if (!range || !isOurs(plain)) return undefined;
  return source.slice(0, range[0]) + to + source.slice(range[1]);
}

function renameTables(source: string, part: string, from: string, to: string): string | undefined {
  const header = (name: string) =>
    new RegExp(`^([ \\t]*\\[[ \\t]*${part}[ \\t]*\\.[ \\t]*)(["']?)${name}\\2(?=[ \\t]*[.\\]])`, "gm");
  if (header(to).test(source)) return undefined;
  const [first] = source.matchAll(header(from));
  if (!first) {
    const otherForm = new RegExp(
      `^[^#\\n]*\\b${from}["']?[ \\t]*(\\.[ \\t]*command[ \\t]*)?=.*automagik[-_]workflows`,
      "m",
    );
    if (!otherForm.test(source)) return undefined;
    throw new InstallError(`It has this server as "${from}" in a form that is not changed here`, {
      byHand: true,
    });
  }
  // What stands in the table itself says whose it is.
  const [body = ""] = source.slice(first.index + first[0].length).split(/^[ \t]*\[/m);
  if (!isOurs({ command: body })) return undefined;
  return source.replace(header(from), `$1${to}`);
}
