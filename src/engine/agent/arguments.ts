import { MARK_NAME } from "./process-tree.js";

/** Where the engine itself was started by an agent, these speak of that one. */
const OUTER_SESSION = new Set([
  "AI_AGENT",
  "CLAUDECODE",
  "CLAUDE_EFFORT",
  "CLAUDE_PID",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_SSE_PORT",
]);

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
  allowedTools: string[];
  disallowedTools: string[];
  permissionMode: string;
  /**
   * Takes the settings of the folder itself too (`.claude/settings.json`, its hooks, its MCP servers). Off unless asked
   * for: hooks are commands that run without anybody being asked, and in a cloned repository they are a stranger's.
   */
  folderSettings?: boolean;
  extraArgs?: string[];
}

/**
 * The agent's command line. Values stand behind an equals sign, so that none of them can be taken for an option.
 * @param systemPromptFile goes beside the agent's own instructions; a file, because an argument of a process holds
 * no more than 128 KiB on Linux
 */
export function buildArguments(options: ArgumentOptions, systemPromptFile: string | undefined): string[] {
  const args = ["-p", "--verbose", "--input-format=stream-json", "--output-format=stream-json"];
  args.push("--replay-user-messages", "--permission-prompt-tool=stdio");
  args.push(`--permission-mode=${options.permissionMode}`);
  args.push(options.resume ? `--resume=${options.sessionId}` : `--session-id=${options.sessionId}`);
  if (systemPromptFile) args.push(`--append-system-prompt-file=${systemPromptFile}`);
  if (options.maxTurns !== undefined) args.push(`--max-turns=${options.maxTurns}`);
  if (options.maxBudgetUsd !== undefined) args.push(`--max-budget-usd=${options.maxBudgetUsd}`);
  if (options.model) args.push(`--model=${options.model}`);
  // The folder is named once more so that its CLAUDE.md is read although its settings are not.
  if (!options.folderSettings) args.push("--setting-sources=user", `--add-dir=${options.cwd}`);
  // One option for each rule: a rule may hold commas and blanks.
  for (const rule of options.allowedTools) args.push(`--allowedTools=${rule}`);
  for (const rule of options.disallowedTools) args.push(`--disallowedTools=${rule}`);
  return [...args, ...(options.extraArgs ?? [])];
}

/**
 * The agent's environment: the given one without this product's own settings, since its key must not reach an agent
 * that reads strangers' text, and with what the engine counts on.
 * @param mark bears witness of everything that the agent starts, see `MARK_NAME`
 */
export function buildEnvironment(
  env: NodeJS.ProcessEnv,
  mark: string,
  options: Pick<ArgumentOptions, "folderSettings">,
): NodeJS.ProcessEnv {
  const own = Object.entries(env).filter(
    ([name]) => !/^AUTOMAGIK_/i.test(name) && !OUTER_SESSION.has(name.toUpperCase()),
  );
  return {
    // Its list of things to do is what the phases of a run are read from; newer models have it off.
    CLAUDE_CODE_ENABLE_TODO_TOOLS: "1",
    // An update in mid-run would change the program under the engine.
    DISABLE_AUTOUPDATER: "1",
    ...Object.fromEntries(own),
    ...(options.folderSettings ? {} : { CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD: "1" }),
    [MARK_NAME]: mark,
  };
}
