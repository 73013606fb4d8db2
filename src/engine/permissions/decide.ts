import { posix } from "node:path";
import { asRecord, asText, type JsonRecord } from "../agent/json.js";
import type { CommandKind } from "./command-form.js";
import { isAllowedByRule } from "./command-rules.js";
import { kindOf } from "./known-commands.js";
import { readPlainCommands } from "./plain-command.js";

/** Sets of a workflow's rules that this file judges, as they are called in a workflow.json. */
export const COMMIT_SET = "@commit";
export const CHECKS_SET = "@checks";

/** What of a run a decision depends on. */
export interface PermissionFacts {
  /** The workflow's rules. */
  allowedTools: readonly string[];
  /** The agent does not keep them by itself: what they allow is judged here. */
  judgesRules?: boolean;
  /** Its sandbox lets it write to what git runs programs by: outside of it git is asked, whatever the command. */
  writesGit?: boolean;
  /** Absolute path of the folder that the agent works in. */
  workspace: string;
  /** Folders that no agent may look into, absolute. */
  privateFolders: readonly string[];
}

/** What a person has allowed before. */
export interface Remembered {
  /** This repository's own scripts may run. */
  scripts: boolean;
}

export type Decision =
  | { decision: "allow" }
  /** `scripts`: the person is asked for the repository's scripts as a whole. */
  | { decision: "ask"; about: "call" | "scripts" }
  | { decision: "deny"; reason: string };

const ALLOW: Decision = { decision: "allow" };
const ASK: Decision = { decision: "ask", about: "call" };

/** Never allowed in a run: they lead out of the session's folder, or go on when the run has ended. */
export const NEVER_TOOLS = ["EnterWorktree", "ExitWorktree", "CronCreate", "ScheduleWakeup"] as const;
/** Tools that name a file or a folder. */
const PATH_KEYS = ["file_path", "notebook_path", "path"];
/** What leads back to this machine. */
const THIS_MACHINE =
  /^(?:localhost|.*\.localhost|127\..*|0(?:\.0){0,3}|::1?|::ffff:(?:127\.|7f).*|0x7f.*|2130706433)\.?$/i;

/**
 * Decides on a request of an agent for permission: allow it, ask the person, or refuse it. Pure. Only exact forms that are
 * known to be safe are allowed; whatever is not plainly understood is asked.
 */
export function decide(
  toolName: string,
  toolInput: unknown,
  facts: PermissionFacts,
  remembered: Remembered,
): Decision {
  const input = asRecord(toolInput);
  if (NEVER_TOOLS.some((name) => name === toolName))
    return { decision: "deny", reason: "This leaves the session's folder or affects more than this run." };
  if (touchesPrivate(toolName, input, facts))
    return { decision: "deny", reason: "This is the engine's own folder, which no agent may look into." };
  if (toolName === "SandboxNetworkAccess") {
    const host = (asText(input.host) ?? "").replace(/^\[|\]$/g, "");
    return THIS_MACHINE.test(host)
      ? { decision: "deny", reason: "Commands may not reach services of this machine." }
      : ASK;
  }
  return toolName === "Bash" ? decideCommand(input, facts, remembered) : ASK;
}

function decideCommand(input: JsonRecord, facts: PermissionFacts, remembered: Remembered): Decision {
  const commands = readPlainCommands((asText(input.command) ?? "").trim());
  if (!commands) return ASK;
  const kinds = commands.map((command): CommandKind | undefined => {
    const { words } = command;
    if (words.length === 2 && words[0] === "cd" && words[1] === facts.workspace) return "look";
    const kind = kindOf(command);
    return kind !== "never" && facts.judgesRules && isAllowedByRule(facts.allowedTools, command)
      ? "look"
      : kind;
  });
  if (kinds.includes("never")) return { decision: "deny", reason: "This is never allowed in a run." };
  if (kinds.includes(undefined)) return ASK;
  if (facts.writesGit && commands.some(({ words }) => words[0] === "git")) return ASK;
  // Outside of the sandbox is another matter, whatever the command.
  if (input.dangerouslyDisableSandbox) return ASK;
  if (kinds.includes("commit") && !facts.allowedTools.includes(COMMIT_SET)) return ASK;
  // Only a workflow that may run checks may move files without a question.
  if (kinds.includes("move") && !facts.allowedTools.includes(CHECKS_SET)) return ASK;
  if (!kinds.includes("scripts")) return ALLOW;
  if (!facts.allowedTools.includes(CHECKS_SET)) return ASK;
  return remembered.scripts ? ALLOW : { decision: "ask", about: "scripts" };
}

/** Whether the input names one of the folders in any way: no task of an agent needs that. */
function touchesPrivate(toolName: string, input: JsonRecord, { privateFolders }: PermissionFacts): boolean {
  const isPrivate = (value: unknown) => {
    const path = posix.normalize(asText(value) ?? "");
    return privateFolders.some((folder) => path === folder || path.startsWith(`${folder}/`));
  };
  if (toolName === "Bash") {
    const command = asText(input.command) ?? "";
    return isPrivate(input.cwd) || privateFolders.some((folder) => command.includes(folder));
  }
  return PATH_KEYS.some((key) => isPrivate(input[key]));
}
