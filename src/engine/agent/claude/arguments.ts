import { sep } from "node:path";
import type { JsonRecord } from "../json.js";
import { liesIn, type UserRules } from "./user-rules.js";

/** What of an agent's options becomes its command line. */
export interface ArgumentOptions {
  /** The conversation, a UUID: a new one is given this id, with `resume` it must exist. */
  sessionId: string;
  resume: boolean;
  cwd: string;
  maxTurns?: number;
  /** For this process alone, also when it continues a conversation. */
  maxBudgetUsd?: number;
  model?: string;
  /** What it has to give at its end, as a JSON Schema of an object. */
  outputSchema?: JsonRecord;
  allowedTools: string[];
  disallowedTools: string[];
  permissionMode: string;
  /** Runs the hooks of the person's own settings and plugins, too. Off unless asked for. */
  personHooks?: boolean;
  /** Absolute paths of files or folders of instructions (CLAUDE.md, rules) that the agent must not load. */
  excludedInstructions?: string[];
  /** The agent's settings for its sandbox; without them commands run as the engine does. */
  sandbox?: JsonRecord | undefined;
  /** Absolute paths that the agent's own tools neither read nor write, whatever a workflow allows. */
  privatePaths?: readonly string[];
  /** What the person's own settings allow, which does not apply to the agent. */
  userRules?: UserRules;
  extraArgs?: string[];
}

/** Older versions do not know it. */
export const SCHEMA_OPTION = "--json-schema";

/** Paths of files that the agent reads when it starts. */
export interface StartFiles {
  /**
   * Goes beside the agent's own instructions; a file, because an argument of a process holds no more than 128 KiB on
   * Linux.
   */
  systemPrompt?: string | undefined;
  /** The MCP servers; a file, because other users can read command lines, and a server may come with a password. */
  mcpConfig?: string | undefined;
}

/**
 * The agent's command line. Values stand behind an equals sign, so that none of them can be taken for an option.
 *
 * The person's own settings hold for the agent (login, model), those of the folder do not: hooks and MCP servers are
 * commands that run without anybody being asked, and in a cloned repository they are a stranger's. The person's own
 * MCP servers stay out as well, this product's among them, since they act with the person's word.
 */
export function buildArguments(options: ArgumentOptions, files: StartFiles): string[] {
  const args = ["-p", "--verbose", "--input-format=stream-json", "--output-format=stream-json"];
  args.push("--replay-user-messages", "--permission-prompt-tool=stdio");
  args.push(`--permission-mode=${options.permissionMode}`);
  args.push(options.resume ? `--resume=${options.sessionId}` : `--session-id=${options.sessionId}`);
  if (files.systemPrompt) args.push(`--append-system-prompt-file=${files.systemPrompt}`);
  if (options.maxTurns !== undefined) args.push(`--max-turns=${options.maxTurns}`);
  if (options.maxBudgetUsd !== undefined) args.push(`--max-budget-usd=${options.maxBudgetUsd}`);
  if (options.model) args.push(`--model=${options.model}`);
  if (options.outputSchema) args.push(`${SCHEMA_OPTION}=${JSON.stringify(options.outputSchema)}`);
  // The folder is named once more so that its CLAUDE.md is read although its settings are not.
  args.push("--setting-sources=user", `--add-dir=${options.cwd}`);
  args.push("--strict-mcp-config");
  if (files.mcpConfig) args.push(`--mcp-config=${files.mcpConfig}`);
  args.push(`--settings=${JSON.stringify(buildSettings(options))}`);
  // One option for each rule: a rule may hold commas and blanks.
  for (const rule of options.allowedTools) args.push(`--allowedTools=${rule}`);
  for (const rule of options.disallowedTools) args.push(`--disallowedTools=${rule}`);
  return [...args, ...(options.extraArgs ?? [])];
}

/** Settings of the agent's own that go before the person's. */
function buildSettings(options: ArgumentOptions): Record<string, unknown> {
  const excluded = (options.excludedInstructions ?? []).map(toPattern);
  const { cwd, allowedTools, privatePaths = [], userRules: person = { commands: [], folders: [] } } = options;
  // What a person lets Claude Code do while they look on does not apply to an agent: it asks us, and we decide.
  const ask = person.commands.filter((rule) => !allowedTools.includes(rule));
  // A folder that holds the workspace cannot be closed without it.
  const closed = person.folders.filter(
    (folder) => ![cwd, ...privatePaths].some((path) => liesIn(path, folder)) && !liesIn(folder, cwd),
  );
  const deny = [...privatePaths, ...closed].flatMap(denyPath);
  return {
    ...(options.sandbox ? { sandbox: options.sandbox } : {}),
    ...(ask.length + deny.length > 0
      ? { permissions: { ...(ask.length > 0 ? { ask } : {}), ...(deny.length > 0 ? { deny } : {}) } }
      : {}),
    ...(options.personHooks ? {} : { disableAllHooks: true }),
    ...(excluded.length > 0 ? { claudeMdExcludes: excluded.flatMap((path) => [path, `${path}/**`]) } : {}),
  };
}

/**
 * The agent takes each path for a pattern, and knows no escape in it: what could have a meaning there is replaced by
 * the sign for any one character.
 */
function toPattern(path: string): string {
  return path
    .split(sep)
    .map((part) => part.replace(/[!-,;-@[-^`{-~]/g, "?"))
    .join("/");
}

/** A path, and what is below it, in the notation of the agent's rules: those for reading hold for searching, too. */
function denyPath(path: string): string[] {
  const pattern = `//${path
    .split(sep)
    .join("/")
    .replace(/^\/+/, "")
    .replace(/[[\]*?]/g, "\\$&")}`;
  return ["Read", "Edit"].flatMap((tool) => [`${tool}(${pattern})`, `${tool}(${pattern}/**)`]);
}
