import { CHECKS_SET, COMMIT_SET, NEVER_TOOLS } from "../permissions/decide.js";
import type { EngineWorkflow } from "../types.js";

/** Never right inside a run, whatever the workflow says. A deny rule wins over every allow rule. */
const NEVER: readonly string[] = [
  ...NEVER_TOOLS,
  "Bash(sudo:*)",
  "Bash(git push --force:*)",
  "Bash(git push -f:*)",
  // The agent takes these for commands that only read below its folder; they read the file that is named, wherever.
  "Bash(wc *--files0*)",
  "Bash(du *--files0*)",
  "Bash(tree *--fromfile*)",
];

/** True for a rule that stands for a set ("@checks"). */
export function isToolSet(rule: string): boolean {
  return rule.startsWith("@");
}

/** The names of the sets, for messages: what they allow is decided by `decide`, with each request. */
export function toolSetNames(): string[] {
  return [COMMIT_SET, CHECKS_SET];
}

/**
 * What the agent of one run is told to allow and to refuse without asking us: the workflow's own rules, the handover
 * notes (they lie outside the workspace, so without a rule each of them would be asked), and what is never right.
 * Everything else it asks us, and `decide` says what becomes of it. The sets are no rules to the agent: its rules know
 * only how a command begins, and `npm test` goes on as `npm test --prefix /elsewhere`. Each entry is one argument of `--allowedTools` or `--disallowedTools`; they may hold
 * commas and blanks, so they must not be joined.
 * @param facts absolute paths of the note to write, and of the note to read where there is one
 */
export function buildToolRules(
  workflow: Pick<EngineWorkflow, "allowedTools" | "disallowedTools">,
  facts: { handoverPath: string; previousHandover?: { path?: string } | undefined },
): { allowedTools: string[]; disallowedTools: string[] } {
  const own = pathPattern(facts.handoverPath);
  const { path } = facts.previousHandover ?? {};
  const previous = path === undefined ? [] : [`Read(${pathPattern(path)})`];
  return {
    allowedTools: [
      ...new Set([
        ...workflow.allowedTools.filter((rule) => !isToolSet(rule)),
        `Read(${own})`,
        `Edit(${own})`,
        ...previous,
      ]),
    ],
    disallowedTools: [...new Set([...workflow.disallowedTools, ...NEVER])],
  };
}

/**
 * An absolute path in the agent's notation, where one leading slash would mean "below the workspace". What would be a
 * pattern is escaped, so that a rule never covers more than its file. A path with a question mark, or with a closing
 * bracket before a blank, is not understood by the agent (seen with 2.1.332), and is asked.
 */
function pathPattern(path: string): string {
  const windows = /^([A-Za-z]):(.*)$/s.exec(path);
  if (!windows) return `/${escapePattern(path)}`;
  const [, drive = "", rest = ""] = windows;
  return `//${drive.toLowerCase()}${escapePattern(rest.replaceAll("\\", "/"))}`;
}

function escapePattern(path: string): string {
  return path.replace(/[[\]*?\\]/g, "\\$&");
}
