import { isFinal, type Run, type Work } from "../api/types.js";
import { shellWord } from "../shared/shell-word.js";
import { asSentence, cleanLine } from "../shared/text.js";
import type { RunAnswer } from "./answer.js";

type WorkAnswer = NonNullable<RunAnswer["work"]>;

/** Commits that stand in an answer or a form; of more the number is told. */
const SHOWN_COMMITS = 10;
/** A subject has so many characters among others on one line, and on a line of its own. */
const BRIEF_SUBJECT = 32;
const LINE_SUBJECT = 100;

/** The work of a run that is over, with the commands by which a person looks at it, takes it and throws it away. */
export function describeWork(run: Run): WorkAnswer | undefined {
  const { work } = run;
  if (!work || !isFinal(run.status)) return undefined;
  const full: { [Key in keyof WorkAnswer]: WorkAnswer[Key] | undefined } = {
    branch: work.branch,
    base_branch: work.baseBranch,
    commits: work.commits.slice(0, SHOWN_COMMITS).map((commit) => nameCommit(commit, work)),
    commit_count: work.commitCount,
    files: work.files,
    insertions: work.insertions,
    deletions: work.deletions,
    delivered_to: work.deliveredTo,
    where: work.where,
    merged_into: work.mergedInto,
    problem: work.problem,
    uncommitted: work.uncommitted,
    yours: work.own && `${work.own.commit.slice(0, 10)}: ${tellSize(work.own)}`,
    ...commandsFor(run, work),
    resume: resumeCommand(run),
  };
  return Object.fromEntries(Object.entries(full).filter(([, value]) => value !== undefined)) as WorkAnswer;
}

/** The commands, for a shell in the person's own repository. */
function commandsFor(run: Run, work: Work): Pick<WorkAnswer, "look" | "take" | "discard"> {
  const { branch, baseBranch, baseCommit, deliveredTo, where, mergedInto } = work;
  if (work.commitCount === 0) return {};
  const remote = (name: string) => shellWord(deliveredTo === "remote" ? `origin/${name}` : name);
  const has = deliveredTo === "engine" ? "FETCH_HEAD" : remote(branch);
  const fetch =
    deliveredTo === "remote"
      ? "git fetch origin && "
      : deliveredTo === "engine"
        ? `git fetch ${shellWord(where ?? "")} ${shellWord(branch)} && `
        : "";
  // Where it has become the base, or was done on it, only the commits tell what is new.
  const isBase = mergedInto !== undefined || baseBranch === undefined || baseBranch === branch;
  const from = isBase ? baseCommit && shellWord(baseCommit.slice(0, 10)) : remote(baseBranch);
  return {
    look: `${fetch}${from === undefined ? `git show --stat ${has}` : `git diff ${from}...${has}`}`,
    ...(mergedInto === undefined && branch !== baseBranch ? { take: `${fetch}git merge ${has}` } : {}),
    ...(mergedInto === undefined && branch !== baseBranch ? throwAway(run, work) : {}),
  };
}

function throwAway({ sessionName, runId }: Run, { branch, deliveredTo }: Work): Pick<WorkAnswer, "discard"> {
  const name = shellWord(branch);
  const commands = {
    repository: `git branch -D ${name}`,
    remote: `git push origin --delete ${name}`,
    // The clone is the engine's own.
    engine: `automagik-workflows-mcp sessions discard ${shellWord(sessionName ?? runId)}`,
  };
  return { discard: commands[deliveredTo] };
}

/** How a person goes on with the agent's conversation in a terminal. */
function resumeCommand({ work, sessionId }: Run): string | undefined {
  if (!work?.worktree || !sessionId) return undefined;
  return `cd ${shellWord(work.worktree)} && claude --resume ${shellWord(sessionId)}`;
}

/** One sentence on where the work of a run that is over is, and what was not done; "" when nothing is known. */
export function tellWork(run: Run): string {
  const { work } = run;
  if (!work || !isFinal(run.status)) return "";
  const { commitCount, branch, where, mergedInto } = work;
  const problem = work.problem ? asSentence(work.problem) : "";
  if (commitCount === 0) return problem;
  const commits = commitCount === 1 ? "1 commit is" : `${commitCount} commits are`;
  const place = {
    repository: "your repository",
    remote: "the remote repository",
    engine: "the engine's clone",
  };
  const there = `${place[work.deliveredTo]}${where ? ` ${where}` : ""}`;
  const told = `${commits} ${mergedInto ? `merged into ${mergedInto}` : `on ${branch}`} in ${there} (${tellSize(work)}).${tellOwn(work)}`;
  const loose = work.uncommitted ? "The worktree also has changes that the agent has not committed." : "";
  return [told, problem, tellPullRequest(run), loose].filter(Boolean).join(" ");
}

/** Where the changes are that were in no commit when a run ended, in a sentence; "" where there were none. */
export function tellUncommitted({ work, status }: Run): string {
  if (!work?.uncommitted || !isFinal(status)) return "";
  return `When the run ended, its agent had left changes uncommitted, in the worktree only${work.worktree ? `: ${work.worktree}` : ""}.`;
}

/** What has become of the pull request, in sentences; "" where there is none. */
function tellPullRequest({ pullRequest }: Run): string {
  if (!pullRequest) return "";
  const { state, url, branch, base, isDraft, problem } = pullRequest;
  const into = base ? `, into ${base}` : "";
  const what = {
    pending: "A pull request is being opened.",
    open: `Pull request: ${url ?? branch ?? ""} (${isDraft ? "draft" : "ready"}${into}).`,
    pushed: `${branch ?? "The branch"} was pushed.`,
    failed: "No pull request was opened.",
  }[state];
  return problem ? `${what} ${asSentence(problem)}` : what;
}

/** A sentence on the commit that is the person's own; "" where there is none. */
function tellOwn({ own, commitCount, mergedInto, deliveredTo }: Work): string {
  if (!own) return "";
  const which = commitCount === 1 ? "It is" : `Of these, ${own.commit.slice(0, 10)} is`;
  const rest = commitCount === 1 ? ": the agent has committed nothing" : "";
  const take =
    mergedInto === undefined && deliveredTo === "repository"
      ? " `take` brings the work over them as long as they lie there unchanged; before a `git merge` by hand, stash them."
      : "";
  return ` ${which} what you had not committed when the session began (${tellSize(own)})${rest}.${take}`;
}

/** "abc1234 Add the login" */
function nameCommit({ id, title }: Work["commits"][number], { own }: Work): string {
  return `${id} ${title}${own?.commit.startsWith(id) ? " (yours)" : ""}`.trim();
}

/**
 * The size of a work, then the subjects of its commits as far as they fit: some clients show a form's first lines only.
 * @param chars the room for all of it
 * @returns "3 commits, 2 files, +120 -8, on automagik/login: Add the login; Test it; and 1 more"
 */
export function tellBriefly(work: Work, chars: number): string {
  const { branch, commits, commitCount } = work;
  const size = `${countCommits(commitCount)}, ${tellSize(work)}, on ${branch}`;
  const subjects = commits.slice(0, SHOWN_COMMITS).map(({ title }) => cleanLine(title, BRIEF_SUBJECT));
  for (let shown = subjects.length; shown > 0; shown--) {
    const left = commitCount - shown;
    const parts = [...subjects.slice(0, shown), ...(left > 0 ? [`and ${left} more`] : [])];
    const told = `${size}: ${parts.join("; ")}`;
    if (told.length <= chars) return told;
  }
  return size;
}

/** The commits of a work as lines for a form; empty when there are none. */
export function listCommits(work: Work): string[] {
  const { branch, commits, commitCount } = work;
  if (commitCount === 0) return [];
  const shown = commits.slice(0, SHOWN_COMMITS).map((commit) => {
    const short = { id: commit.id.slice(0, 10), title: cleanLine(commit.title, LINE_SUBJECT) };
    return `- ${nameCommit(short, work)}`;
  });
  const left = commitCount - shown.length;
  return [
    `${countCommits(commitCount)} on ${branch}:`,
    ...shown,
    ...(left > 0 ? [`- and ${left} more`] : []),
  ];
}

function countCommits(count: number): string {
  return count === 1 ? "1 commit" : `${count} commits`;
}

/** "4 files, +120 -8" */
export function tellSize({ files = 0, insertions = 0, deletions = 0 }: Partial<Work>): string {
  return `${files} file${files === 1 ? "" : "s"}, +${insertions} -${deletions}`;
}
