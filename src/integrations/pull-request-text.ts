import { cleanLine, cleanText, cutText } from "../shared/text.js";
import { formatUsd } from "../shared/usd.js";
import { inert } from "./inert.js";
import { issueOf } from "./quote-task.js";

/** What a pull request tells of the work in it. Texts are untrusted: they come from agents and from who gave the task. */
export interface PullRequestFacts {
  /** What the session or the plan is called. */
  name: string;
  /** What was asked for; its beginning is told. */
  task?: string | undefined;
  /** What the agent says at the end. */
  result?: string | undefined;
  commits: readonly { id: string; title: string }[];
  commitCount: number;
  files: number;
  insertions: number;
  deletions: number;
  /** Commands that were run as checks, with what came of them. */
  checks: readonly { command: string; passed: boolean }[];
  /** Missing where it is not known. */
  costUsd?: number | undefined;
  /** It was more. */
  costAtLeast?: boolean | undefined;
  turns?: number | undefined;
  /** Of a plan: how many runs it took. */
  runs?: number | undefined;
}

const TITLE_CHARS = 100;
const TASK_CHARS = 1_500;
const RESULT_CHARS = 8_000;
const COMMITS = 20;

/** The first line of the only commit, else what the work is called; where it is squashed, it is a commit's message. */
export function titleOf({ name, commits, commitCount }: PullRequestFacts): string {
  const only = commitCount === 1 ? commits[0]?.title : undefined;
  return inert(cleanLine(only || name, TITLE_CHARS)) || "Work of an agent";
}

/** What was done, how it was checked, and what it has cost; in Markdown that calls nobody and closes nothing. */
export function bodyOf(facts: PullRequestFacts): string {
  const { task, result, commits, commitCount, files, insertions, deletions } = facts;
  const listed = commits
    .slice(0, COMMITS)
    .map(({ id, title }) => `- ${id.slice(0, 10)} ${inert(cleanLine(title, 200))}`);
  const more = commitCount > listed.length ? [`- … and ${commitCount - listed.length} more`] : [];
  const sections = [
    ...(task ? [`**Task**\n\n${tellTask(cut(task, TASK_CHARS))}`] : []),
    ...(result
      ? [`**What was done** (in the agent's own words)\n\n${quote(cut(result, RESULT_CHARS))}`]
      : []),
    `**Commits** (${count(commitCount, "commit")}, ${count(files, "file")}, +${insertions} −${deletions})\n\n${[...listed, ...more].join("\n")}`,
    `**Checks**\n\n${tellChecks(facts.checks)}`,
    `**Effort**: ${tellEffort(facts)}`,
    "An agent has written this; read it before you merge it.",
  ];
  return sections.join("\n\n");
}

/** The one comment, which tells how it stands now. @param at epoch ms */
export function commentOf(facts: PullRequestFacts, commit: string, at: number): string {
  const { result } = facts;
  return [
    `**State of this work**: at ${commit.slice(0, 10)}, ${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `${count(facts.commitCount, "commit")}, ${count(facts.files, "file")}, +${facts.insertions} −${facts.deletions}. ${tellEffort(facts)}`,
    `Checks: ${tellChecks(facts.checks)}`,
    ...(result ? [`The agent says:\n\n${quote(cut(result, RESULT_CHARS))}`] : []),
    "This comment is kept up to date.",
  ].join("\n\n");
}

function tellChecks(checks: PullRequestFacts["checks"]): string {
  if (checks.length === 0)
    return "None were run as a condition; what the agent has tested stands in its own words.";
  return checks
    .slice(0, 10)
    .map(
      ({ command, passed }) =>
        `- \`${cleanLine(command, 200).replaceAll("`", "'")}\` ${passed ? "passed" : "failed"}`,
    )
    .join("\n");
}

function tellEffort({ costUsd, costAtLeast, turns, runs }: PullRequestFacts): string {
  const parts = [
    ...(runs === undefined ? [] : [count(runs, "run")]),
    ...(turns === undefined ? [] : [count(turns, "turn")]),
    costUsd === undefined ? "cost unknown" : `${costAtLeast ? "more than " : ""}${formatUsd(costUsd)}`,
  ];
  return `${parts.join(", ")}.`;
}

/** The line that names the issue stays as it is, since its address is to be followed. */
function tellTask(task: string): string {
  if (issueOf(task) === undefined) return quote(task);
  const [line, ...rest] = task.split("\n");
  return [`> ${line}`, ...(rest.length > 0 ? [quote(rest.join("\n"))] : [])].join("\n");
}

/** Each line quoted, so that nothing of it is taken for what this product says, calls people or closes issues. */
function quote(text: string): string {
  return inert(text)
    .split("\n")
    .map((line) => `> ${line}`)
    .join("\n");
}

function cut(text: string, limit: number): string {
  const clean = cleanText(text).trim();
  return clean.length > limit
    ? `${cutText(clean, limit)}\n… (${clean.length - limit} more characters)`
    : clean;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
