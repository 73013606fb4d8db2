import type { EngineWorkflow } from "../types.js";

/**
 * Rules that several workflows share, so that they are judged in one place. A workflow.json names them as "@commit"
 * and "@checks".
 *
 * What is not in here, and why:
 * - Nothing for reading. The agent may read its own folder anyway, and recognises reading commands by itself (ls,
 *   cat, rg, git status, diff, log, show …). A rule would only widen that: "Read" opens the whole disk, and
 *   "Bash(git diff:*)" lets `git diff --output=<any file>` through, which is asked otherwise.
 * - Nothing that installs, publishes, pushes or fetches: npm ci, npx, pip install, git push, curl … are asked.
 *
 * The agent matches each part of a compound command by itself, so `npm test && git push` is still asked.
 */
const TOOL_SETS: Readonly<Record<string, readonly string[]>> = {
  // Records work on the session's own branch. Neither reaches another machine.
  "@commit": ["Bash(git add:*)", "Bash(git commit:*)"],
  // Runs the project's own tests and checks, with the rights of whoever started the engine: a workflow that may edit
  // the project and run its tests can run anything there, and some of these fetch what the project depends on. It is
  // for work on code that the person trusts; a review of somebody else's does without.
  "@checks": [
    ...["npm", "pnpm", "yarn"].flatMap((manager) => [
      `Bash(${manager} test:*)`,
      // A star and not `:*`, which would not cover test:unit or lint:fix.
      ...["test", "lint", "typecheck"].map((script) => `Bash(${manager} run ${script}*)`),
      // Scripts that begin like these may also deploy (build-and-publish), so only these and their arguments.
      ...["build", "check", "format"].map((script) => `Bash(${manager} run ${script}:*)`),
    ]),
    "Bash(node --test:*)",
    "Bash(pytest:*)",
    "Bash(python -m pytest:*)",
    "Bash(python3 -m pytest:*)",
    "Bash(python -m unittest:*)",
    "Bash(python3 -m unittest:*)",
    "Bash(ruff check:*)",
    "Bash(mypy:*)",
    ...["test", "build", "check", "clippy", "fmt"].map((command) => `Bash(cargo ${command}:*)`),
    ...["test", "build", "vet", "fmt"].map((command) => `Bash(go ${command}:*)`),
    ...["test", "check", "lint", "build"].map((target) => `Bash(make ${target}:*)`),
    "Bash(mvn test:*)",
    "Bash(./gradlew test:*)",
    "Bash(dotnet test:*)",
    "Bash(dotnet build:*)",
    "Bash(bundle exec rspec:*)",
    "Bash(bundle exec rake test:*)",
    "Bash(mix test:*)",
    "Bash(swift test:*)",
  ],
};

/** Never right inside a run, whatever the workflow says. A deny rule wins over every allow rule. */
const NEVER: readonly string[] = [
  // These would take the agent out of the session's folder, or let it work on when the run has ended.
  "EnterWorktree",
  "ExitWorktree",
  "CronCreate",
  "ScheduleWakeup",
  "Bash(sudo:*)",
  "Bash(git push --force:*)",
  "Bash(git push -f:*)",
];

/** True for a rule that stands for a set ("@checks"). */
export function isToolSet(rule: string): boolean {
  return rule.startsWith("@");
}

/** The names of the sets, for messages. */
export function toolSetNames(): string[] {
  return Object.keys(TOOL_SETS);
}

/** Rules in the agent's own notation: sets are replaced by what they stand for, repeated rules are dropped. */
export function expandToolSets(rules: readonly string[]): string[] {
  return [...new Set(rules.flatMap((rule) => (isToolSet(rule) ? (TOOL_SETS[rule] ?? []) : [rule])))];
}

/**
 * What the agent of one run is told to allow and to refuse without asking: the workflow's own rules, the handover
 * notes (they lie outside the workspace, so without a rule each of them would be asked), and what is never right.
 * Everything else is asked. Each entry is one argument of `--allowedTools` or `--disallowedTools`; they may hold
 * commas and blanks, so they must not be joined.
 * @param facts absolute paths of the note to write, and of the note to read where there is one
 */
export function buildToolRules(
  workflow: Pick<EngineWorkflow, "allowedTools" | "disallowedTools">,
  facts: { handoverPath: string; previousHandover?: { path: string } | undefined },
): { allowedTools: string[]; disallowedTools: string[] } {
  const own = pathPattern(facts.handoverPath);
  const previous = facts.previousHandover ? [`Read(${pathPattern(facts.previousHandover.path)})`] : [];
  return {
    allowedTools: [...new Set([...workflow.allowedTools, `Read(${own})`, `Edit(${own})`, ...previous])],
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
