import type { Workflow } from "../../api/types.js";
import type { Sessions } from "../../sessions/sessions.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Git } from "../../shared/git/git.js";
import { publicRepositoryUrl } from "../../shared/git/repository-address.js";
import { cutText, visibleName } from "../../shared/text.js";
import type { Question } from "../forms/form-client.js";

/** What is known before the person is asked; undefined means missing, an empty text means "the default". */
export interface Known {
  workflowName?: string | undefined;
  sessionName?: string | undefined;
  repositoryUrl?: string | undefined;
  gitBranch?: string | undefined;
  tempWorkspace: boolean;
}

/** Suggestions may take this long altogether, in ms; what has not come by then is left out of the form. */
const SUGGESTION_BUDGET_MS = 3_000;

/**
 * The questions for what is missing of a run, with whatever suggestions can be had in time. Nothing missing, no
 * work: an empty list at once.
 */
export async function buildQuestions(
  known: Known,
  collaborators: {
    workflows: readonly Workflow[];
    suggestName: (isTaken: (name: string) => boolean) => string;
    sessions: Sessions;
    git: Git;
    clock: Clock;
    /** The client's folders on this machine. */
    localFolders: (signal: AbortSignal) => Promise<string[]>;
    /** Whether it is known that a branch that is not there is made: by our own engine. */
    makesBranches: boolean;
    signal: AbortSignal;
  },
): Promise<Question[]> {
  const { sessions, git, clock } = collaborators;
  const asksRepository = !known.tempWorkspace && known.repositoryUrl === undefined;
  const asksBranch = !known.tempWorkspace && known.gitBranch === undefined;
  const asksName = known.sessionName === undefined;
  const questions: Question[] = [];
  if (known.workflowName === undefined) questions.push(askWorkflow(collaborators.workflows));
  if (!asksName && !asksRepository && !asksBranch) return questions;

  const inTime = <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> =>
    withDeadline(clock, SUGGESTION_BUDGET_MS, work, collaborators.signal).catch(() => undefined);
  const { repositoryUrl } = known;
  const [folder, lastRepository, branches] = await Promise.all([
    asksRepository || asksBranch ? inTime((signal) => describeFolders(collaborators, signal)) : undefined,
    asksRepository ? inTime(() => sessions.lastRepository()) : undefined,
    asksBranch && repositoryUrl ? inTime((signal) => git.listBranches(repositoryUrl, signal)) : undefined,
    asksName ? inTime((signal) => sessions.all(signal)) : undefined,
  ]);
  if (asksName) {
    const taken = new Set(sessions.knownNames().map(visibleName));
    questions.push(askSessionName(collaborators.suggestName((name) => taken.has(name))));
  }
  if (asksRepository) questions.push(askRepository(folder?.repositoryUrl ?? lastRepository));
  if (asksBranch) {
    const repository = known.repositoryUrl ?? folder?.repositoryUrl;
    const current = folder?.repositoryUrl === repository ? folder?.branch : undefined;
    questions.push(askBranch(branches, current, collaborators.makesBranches));
  }
  return questions;
}

async function describeFolders(
  { git, localFolders }: { git: Git; localFolders: (signal: AbortSignal) => Promise<string[]> },
  signal: AbortSignal,
): Promise<{ repositoryUrl?: string; branch?: string } | undefined> {
  for (const folder of (await localFolders(signal)).slice(0, 3)) {
    const found = await git.describeFolder(folder, signal);
    const repositoryUrl = found?.repositoryUrl && publicRepositoryUrl(found.repositoryUrl);
    if (!repositoryUrl) continue;
    // One that was never pushed is no place for others to begin at.
    const there = found.branch && (await git.findBranch(repositoryUrl, found.branch, signal));
    const isThere = there && there.found.kind === "there" && there.found.name === found.branch;
    return { repositoryUrl, ...(isThere && found.branch ? { branch: found.branch } : {}) };
  }
  return undefined;
}

function askWorkflow(workflows: readonly Workflow[]): Question {
  return {
    name: "workflow_name",
    title: "Workflow",
    description: "Which workflow should do it?",
    required: true,
    choices: workflows.map((workflow) => ({
      value: workflow.name,
      title: cutText(
        [workflow.displayName ?? workflow.name, workflow.description].filter(Boolean).join(": "),
        120,
      ),
    })),
  };
}

function askSessionName(suggestion: string): Question {
  return {
    name: "session_name",
    title: "Session name",
    description: "A name to find the work again by.",
    required: true,
    suggestion,
  };
}

function askRepository(suggestion: string | undefined): Question {
  return {
    name: "repository_url",
    title: "Repository",
    description: "Git repository, https or ssh. Leave empty for the server's own workspace.",
    required: false,
    ...(suggestion ? { suggestion } : {}),
  };
}

function askBranch(
  remote: { defaultBranch?: string; branches: string[]; truncated: boolean } | undefined,
  current: string | undefined,
  makesBranches: boolean,
): Question {
  const base = remote?.defaultBranch ?? "the default branch";
  const made = makesBranches ? ` A name that the repository does not have is made from ${base}.` : "";
  const question: Question = {
    name: "git_branch",
    title: "Branch",
    description: `Branch to work on. Leave empty for the default branch.${made}`,
    required: false,
  };
  if (!remote || remote.branches.length === 0)
    return current ? { ...question, suggestion: current } : question;
  const suggestion = current && remote.branches.includes(current) ? current : remote.defaultBranch;
  return {
    ...question,
    ...(remote.truncated
      ? { description: `${question.description} There are more than the ${remote.branches.length} shown.` }
      : {}),
    ...(suggestion ? { suggestion } : {}),
    choices: remote.branches.map((branch) => ({
      value: branch,
      title: branch === remote.defaultBranch ? `${branch} (default branch)` : branch,
    })),
  };
}
