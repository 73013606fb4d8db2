import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, relative, resolve } from "node:path";
import { asList, asRecord, asText } from "../json.js";

/** What users allow Claude Code in their own settings. An agent must not inherit it. */
export interface UserRules {
  /** Rules for commands, the web and MCP tools. Those for files are left as they are. */
  commands: string[];
  /** Further folders to work in, absolute. */
  folders: string[];
}

/** Reads the rules from the user's Claude Code settings; none when those cannot be read. */
export function readUserRules(env: NodeJS.ProcessEnv): UserRules {
  const home = env.HOME || homedir();
  let permissions: Record<string, unknown> = {};
  try {
    const text = readFileSync(join(env.CLAUDE_CONFIG_DIR || join(home, ".claude"), "settings.json"), "utf8");
    permissions = asRecord(asRecord(JSON.parse(text)).permissions);
  } catch {
    // Then the agent cannot read them either.
  }
  const texts = (value: unknown) => asList(value).flatMap((one) => asText(one) ?? []);
  return {
    commands: texts(permissions.allow).filter((rule) => /^(?:Bash|PowerShell|Web\w+|mcp__)/.test(rule)),
    folders: texts(permissions.additionalDirectories)
      .map((path) => path.replace(/^~(?=\/|$)/, home))
      .filter(isAbsolute)
      .map((path) => resolve(path)),
  };
}

/** Whether a path is the folder or lies below it. */
export function liesIn(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith("../") && !isAbsolute(way);
}
