import { cleanLine } from "../../../shared/text.js";
import { TOOL_CHARACTERS } from "../bounds.js";
import { describeToolUse } from "../describe-tool.js";
import { asList, asRecord, asText, type JsonRecord } from "../json.js";

/** A tool call in the words that agents of all kinds are described with. */
export interface DescribedCall {
  /** "Bash", "Edit" …; what has no word of ours keeps its title. */
  toolName: string;
  input: JsonRecord;
  /** All files that it names, absolute. */
  paths: string[];
}

/** The words for the protocol's kinds of tools. */
const NAMES: Record<string, string> = {
  execute: "Bash",
  edit: "Edit",
  delete: "Edit",
  move: "Edit",
  read: "Read",
  search: "Search",
  fetch: "WebFetch",
  think: "Think",
};

/** What the agent has told of one call; later parts complete earlier ones. */
export function describeCall(call: JsonRecord): DescribedCall {
  const raw = asRecord(call.rawInput);
  const kind = asText(call.kind) ?? "";
  const title = cleanLine(asText(call.title) ?? "", TOOL_CHARACTERS);
  const name = cleanLine(asText(call.name) ?? "", TOOL_CHARACTERS);
  const toolName = (Object.hasOwn(NAMES, kind) ? NAMES[kind] : undefined) ?? (title || name || "a tool");
  const paths = findPaths(call);
  if (toolName === "Bash") return { toolName, input: { command: readCommand(raw) ?? title }, paths };
  if (toolName === "Edit") return { toolName, input: describeEdit(call, paths), paths };
  return { toolName, input: { ...(paths.length === 1 ? { path: paths[0] } : {}), ...raw }, paths };
}

/** On one line: "Bash: npm test", "Edit src/a.ts and 2 more". */
export function describeCallLine(call: JsonRecord, cwd: string): string {
  const { toolName, input, paths } = describeCall(call);
  if (toolName === "Edit") {
    const [first] = paths;
    if (first === undefined) return "Editing files";
    const more = paths.length > 1 ? ` and ${paths.length - 1} more` : "";
    return `${describeToolUse("Edit", { file_path: first }, cwd)}${more}`;
  }
  // A title says more of a search than its input does.
  const title = cleanLine(asText(call.title) ?? "", TOOL_CHARACTERS);
  return toolName !== "Bash" && title ? title : describeToolUse(toolName, input, cwd);
}

/** A command as it is run: some agents tell it as a list of words. */
function readCommand({ command }: JsonRecord): string | undefined {
  return typeof command === "string" && command !== "" ? command : undefined;
}

function findPaths(call: JsonRecord): string[] {
  const named = [...asList(call.locations), ...asList(call.content)].map(asRecord);
  return [...new Set(named.flatMap(({ path }) => asText(path) ?? []))];
}

/** The one file, as Claude Code names it; several with what becomes of each. */
function describeEdit(call: JsonRecord, paths: string[]): JsonRecord {
  const changes = asList(call.content)
    .map(asRecord)
    .filter((part) => part.type === "diff")
    .map(({ path, oldText, newText }) =>
      [`${String(path)}:`, ...asLines("-", oldText), ...asLines("+", newText)].join("\n"),
    );
  return {
    ...(paths.length === 1 ? { file_path: paths[0] } : paths.length > 1 ? { files: paths.join("\n") } : {}),
    ...(changes.length > 0 ? { change: changes.join("\n\n") } : {}),
  };
}

function asLines(sign: string, text: unknown): string[] {
  return typeof text === "string" && text !== ""
    ? text
        .replace(/\n$/, "")
        .split("\n")
        .map((line) => `${sign} ${line}`)
    : [];
}
