import { isAbsolute, relative } from "node:path";
import { cleanLine } from "../../shared/text.js";
import { showEnds, showUnseen } from "../../shared/visible-text.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";

/** The agent's own tool by which it gives what a schema asks for; calling it ends its turn. */
const OUTPUT_TOOL = "StructuredOutput";
/** Where a tool's input says what it is about, the most telling first. */
const SUBJECTS = [
  "command",
  "file_path",
  "notebook_path",
  "path",
  "pattern",
  "url",
  "query",
  "subject",
  "description",
  "skill",
  "prompt",
];
const PATHS = new Set(["file_path", "notebook_path", "path"]);
const SUBJECT_CHARS = 160;
/** Longer text is not read by a person, and not shown by every client. */
const DETAIL_CHARS = 8_000;

/**
 * What a tool call does, on one line: "Bash: npm test", "Edit src/auth.ts", "Read …".
 * @param cwd paths below it are shown from it
 */
export function describeToolUse(name: string, input: unknown, cwd: string): string {
  const tool = toolTitle(name);
  const found = findSubject(asRecord(input));
  if (name === "AskUserQuestion") {
    const question = asText(asRecord(asList(asRecord(input).questions)[0]).question);
    return question ? `Asking: ${cleanLine(question, SUBJECT_CHARS)}` : "Asking a question";
  }
  if (name === OUTPUT_TOOL) return "Giving its output";
  if (!found) return tool;
  if (PATHS.has(found.key)) return `${tool} ${cleanLine(shortPath(found.value, cwd), SUBJECT_CHARS)}`;
  return `${tool}: ${cleanLine(found.value, SUBJECT_CHARS)}`;
}

/**
 * What the agent says that it does, before what it does: its own description of a command, or else the entry of its
 * list that it is at. `detail` is the tool call where the text does not show it alone. No permission is asked by it.
 * @param todo the entry that is in progress
 */
export function describeStep(
  name: string,
  input: unknown,
  cwd: string,
  todo: string | undefined,
): { text: string; detail?: string } {
  const bare = describeToolUse(name, input, cwd);
  const said = name === "Bash" ? cleanLine(asText(asRecord(input).description) ?? "", SUBJECT_CHARS) : "";
  // A single word says less than the command.
  if (said.includes(" ")) return { text: said, detail: bare };
  return todo && name !== "AskUserQuestion" ? { text: `${todo}: ${bare}` } : { text: bare };
}

/** What the agent asks permission for, as the rest of a sentence: "wants to run `npm publish`". */
export function describeWish(name: string, input: unknown, cwd: string): string {
  const values = asRecord(input);
  const text = (key: string) => cleanLine(showUnseen(asText(values[key]) ?? ""), SUBJECT_CHARS);
  const path = () =>
    cleanLine(
      showUnseen(
        shortPath(asText(values.file_path) ?? asText(values.notebook_path) ?? asText(values.path) ?? "", cwd),
      ),
    );
  switch (name) {
    case "Bash":
      return `wants to run \`${text("command")}\`${values.dangerouslyDisableSandbox ? " outside of the sandbox" : ""}`;
    case "Write":
      return `wants to write the file ${path()}`;
    case "Edit":
    case "MultiEdit":
    case "NotebookEdit":
      return path() ? `wants to change the file ${path()}` : "wants to change several files";
    case "Read":
      return `wants to read ${path()}`;
    case "WebFetch":
      return `wants to open ${text("url")}`;
    case "WebSearch":
      return `wants to search the web for "${text("query")}"`;
    case "SandboxNetworkAccess":
      return `wants to let a command reach ${text("host")} over the network`;
    case "ExitPlanMode":
      return "has a plan and wants to begin with it";
    default: {
      const subject = findSubject(values);
      return `wants to use ${toolTitle(name)}${subject ? `: ${cleanLine(showUnseen(subject.value), SUBJECT_CHARS)}` : ""}`;
    }
  }
}

/**
 * Everything a person must see to decide, with what would not be seen made visible.
 * @returns `cut` when it is too long to be shown in full: then nobody can know what they would allow
 */
export function describeDetail(name: string, input: unknown): { text: string; cut: boolean } {
  const values = asRecord(input);
  const plan = name === "ExitPlanMode" ? asText(values.plan) : undefined;
  const { command, description: _description, ...others } = values;
  const isCommand = name === "Bash" && asText(command) !== undefined;
  // A flag beside the command (out of the sandbox, in the background) is a part of what is asked.
  const text =
    plan ??
    (isCommand ? [String(command), listValues(others)].filter(Boolean).join("\n\n") : listValues(values));
  return showEnds(showUnseen(text), DETAIL_CHARS);
}

/** One line a value; nested ones as JSON. */
function listValues(values: JsonRecord): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("\n");
}

/** Tools of MCP servers are called `mcp__server__tool`. */
export function toolTitle(name: string): string {
  const [, server, ...rest] = name.startsWith("mcp__") ? name.split("__") : [];
  return cleanLine(server && rest.length > 0 ? `${rest.join("__")} of ${server}` : name, SUBJECT_CHARS);
}

function findSubject(input: JsonRecord): { key: string; value: string } | undefined {
  for (const key of SUBJECTS) {
    const value = asText(input[key]);
    if (value) return { key, value };
  }
  return undefined;
}

function shortPath(path: string, cwd: string): string {
  if (!isAbsolute(path)) return path;
  const short = relative(cwd, path);
  return short === "" || short.startsWith("..") || isAbsolute(short) ? path : short;
}
