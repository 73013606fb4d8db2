import { asSentence, cleanLine, cleanText } from "../../shared/text.js";
import type { IssueProgress, ProgressPhase } from "../issue-progress.js";

const NAME_CHARS = 80;
const NOTE_CHARS = 200;
const SENTENCE_CHARS = 600;
const RESULT_CHARS = 4_000;
/** Of a plan with more steps those in the middle are left out. */
const PHASES = 40;

const STATUS: Record<IssueProgress["status"], string> = {
  waiting: "waits for a free slot",
  running: "at work",
  needs_you: "waits for a person",
  paused: "paused by a person",
  completed: "finished",
  failed: "failed",
  killed: "ended by a person",
};

const PHASE: Record<ProgressPhase["state"], string> = {
  done: "- [x]",
  now: "- [ ] \u25b6",
  waits: "- [ ] \u23f8",
  ahead: "- [ ]",
  failed: "- [ ] \u2717",
  "left out": "- [ ] \u2013",
};

/**
 * The one comment at an issue, in Markdown, as the work stands now. Nothing that an agent or a repository has written is
 * read as Markdown: no link, no picture and no mention comes of it.
 */
export function renderComment(progress: IssueProgress): string {
  const { what, name, status, phases, needs, branch, effort, pulls, error, result } = progress;
  const head = `**${what === "plan" ? "Plan" : "Run"} ${plain(cleanLine(name, NAME_CHARS))}: ${STATUS[status]}**`;
  const facts = [
    ...(branch ? [`Branch ${code(branch)}.`] : []),
    ...pulls.map(
      ({ url, title }) => `Pull request: [${plain(cleanLine(title, NAME_CHARS))}](${plainUrl(url)}).`,
    ),
    ...(effort ? [asSentence(effort)] : []),
  ];
  return [
    head,
    ...(phases.length > 0 ? [tellPhases(phases).join("\n")] : []),
    ...(needs ? [`It waits for: ${plain(cleanLine(needs, SENTENCE_CHARS))}`] : []),
    ...(error ? [`Why it has failed: ${plain(cleanLine(error, SENTENCE_CHARS))}`] : []),
    ...(facts.length > 0 ? [facts.join(" ")] : []),
    ...(result ? [`What the agent says:\n\n${fence(cleanText(result, RESULT_CHARS).trim())}`] : []),
    `_By automagik-workflows, kept up to date. ${what === "plan" ? "Plan" : "Run"} ${code(progress.id)}_`,
  ].join("\n\n");
}

function tellPhases(phases: readonly ProgressPhase[]): string[] {
  const lines = phases.map(({ name, state, note }) => {
    const more = note ? `: ${plain(cleanLine(note, NOTE_CHARS))}` : "";
    return `${PHASE[state]} ${plain(cleanLine(name, NAME_CHARS))}${more}`;
  });
  if (lines.length <= PHASES) return lines;
  const half = PHASES / 2;
  return [...lines.slice(0, half), `- and ${lines.length - PHASES} more`, ...lines.slice(-half)];
}

/** What Markdown would read as anything but text. A mention needs its sign at the beginning of a word. */
function plain(text: string): string {
  return text
    .replace(/[\\`*_{}[\]()<>#+!|~]/g, "\\$&")
    .replace(/@/g, "@\u2060")
    .replace(/:\/\//g, ":\u2060//");
}

function code(text: string): string {
  return `\`${cleanLine(text, NAME_CHARS).replaceAll("`", "'")}\``;
}

/** An address in a link; one that could end it is not one of a pull request. */
function plainUrl(url: string): string {
  return /^https?:\/\/[^\s"'<>()]{1,500}$/.test(url) ? url : "#";
}

/** Text as it is: in a fence that is longer than any in it. */
function fence(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const ticks = "`".repeat(longest + 1);
  return `${ticks}text\n${text}\n${ticks}`;
}
