import { cleanLine } from "../../shared/text.js";
import { asList, asRecord, asText, type JsonRecord } from "./json.js";

/** Tools that change the same file in other ways: who may write it may also edit it. */
const WRITING_TOOLS = new Set(["Write", "Edit", "MultiEdit"]);

/** What "allow for this run" would cover for one request. */
export interface RunPermission {
  /** For the person, because it may be more than the one call: "`domain:example.org`". */
  scope: string;
  /** Tells the agent itself, where it knows a rule for it. */
  updatedPermissions: JsonRecord[];
}

/**
 * What is offered for the rest of a run. The agent suggests rules, and most of them are patterns: `git log *` also
 * writes files (`--output`), `npm publish *` runs any program (`--script-shell`), a folder of files has keys in it. So
 * only the same call again is offered, and of the suggestions those that are no pattern: a web page's host. They hold
 * for this process alone: nothing is written to settings files.
 */
export function readRunPermission(toolName: string, input: unknown, suggestions: unknown): RunPermission {
  const updates: JsonRecord[] = [];
  const rules: string[] = [];
  for (const suggestion of asList(suggestions).map(asRecord)) {
    if (toolName !== "WebFetch" || suggestion.type !== "addRules" || suggestion.behavior !== "allow")
      continue;
    const own = asList(suggestion.rules)
      .map(asRecord)
      .filter(
        (rule) => rule.toolName === toolName && /^domain:[\w.-]+$/.test(asText(rule.ruleContent) ?? ""),
      );
    if (own.length === 0) continue;
    updates.push({ type: "addRules", rules: own, behavior: "allow", destination: "session" });
    rules.push(...own.map((rule) => cleanLine(String(rule.ruleContent), 120)));
  }
  if (rules.length > 0)
    return { scope: rules.map((rule) => `\`${rule}\``).join(", "), updatedPermissions: updates };
  return { scope: describeSame(toolName, asRecord(input)), updatedPermissions: [] };
}

function describeSame(toolName: string, input: JsonRecord): string {
  if (toolName === "Bash") return "this same command";
  if (toolName === "SandboxNetworkAccess") return "this host";
  // The key of several files has their changes in it.
  if (WRITING_TOOLS.has(toolName) && asText(input.file_path)) return "changes to this file";
  if (toolName === "NotebookEdit" && asText(input.notebook_path)) return "changes to this file";
  return Object.keys(input).length > 0 ? "exactly this call" : "this tool";
}

/**
 * Requests with the same key are the same to a person who has allowed one for the run: the same command, the same
 * file whatever is written, otherwise the same input.
 */
export function permissionKey(toolName: string, input: unknown): string {
  const values = asRecord(input);
  if (WRITING_TOOLS.has(toolName) && asText(values.file_path)) return `write\n${asText(values.file_path)}`;
  if (toolName === "NotebookEdit" && asText(values.notebook_path))
    return `notebook\n${asText(values.notebook_path)}`;
  // What the agent says about a command, and how long it waits for it, does not change the command.
  const { description: _description, timeout: _timeout, ...rest } = values;
  return `${toolName}\n${JSON.stringify(toolName === "Bash" ? sorted(rest) : sorted(values))}`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
