import { isAbsolute } from "node:path";
import type { ChangesThere } from "../../api/types.js";
import type { Sessions } from "../../sessions/sessions.js";
import type { Clock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import type { Git, LocalRepository } from "../../shared/git/git.js";
import { isLocalRepository, publicRepositoryUrl } from "../../shared/git/repository-address.js";
import { cutText, visibleName } from "../../shared/text.js";
import type { Question } from "../forms/form-client.js";
import { showPath } from "./client-folders.js";
import type { Task } from "./draft.js";
import { askForChanges, tellLeftOut } from "./uncommitted.js";

/** What is known before the person is asked; undefined means missing, an empty text means "the default". */
export interface Known {
  workflowName?: string | undefined;
  sessionName?: string | undefined;
  repositoryUrl?: string | undefined;
  gitBranch?: string | undefined;
  tempWorkspace: boolean;
}

/** Gives what a suggestion needs, or undefined where that fails or takes too long. */
export type InTime = <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T | undefined>;

/** Suggestions may take this long altogether, in ms; what has not come by then is left out of the form. */
const SUGGESTION_BUDGET_MS = 3_000;

/**
 * The questions for what is missing of a run, with whatever suggestions can be had in time. Nothing missing, no
 * work: an empty list at once.
 * @returns `changesOf`: the repository whose uncommitted changes are asked about; `leftOut`: that they stay out, as a
 * sentence, where that is not asked
 */
export async function buildQuestions(
  known: Known,
  collaborators: {
    /** The question for the workflow, by what can be known in time. */
    askWorkflow: (inTime: InTime) => Promise<Question>;
    suggestName: (isTaken: (name: string) => boolean) => string;
    sessions: Sessions;
    git: Git;
    clock: Clock;
    /** The repository that the client stands in. */
    findHere: (signal: AbortSignal) => Promise<LocalRepository | undefined>;
    /** The person's home folder, where it is known. */
    home: string | undefined;
    /**
     * Runs are carried out by our own engine, on this machine: it works on local repositories, and makes a branch that
     * is not there.
     */
    hasLocalEngine: boolean;
    /** As of the task. */
    beginsAtBranch: boolean;
    names: Task["names"];
    planFile: Task["planFile"];
    /** What is not committed in a repository of this machine, as far as it may be offered. */
    findChanges: (
      repositoryUrl: string,
      gitBranch: string,
      signal: AbortSignal,
    ) => Promise<ChangesThere | undefined>;
    /** Repositories that the person may mean, those that were pushed to last first; undefined where nobody knows any. */
    findRepositories: (signal: AbortSignal) => Promise<RepositoryChoice[] | undefined>;
    /** What the task itself is about; suggested where nothing nearer is known. */
    repositoryOfTask: string | undefined;
    signal: AbortSignal;
  },
): Promise<{
  questions: Question[];
  changesOf?: string;
  leftOut?: string;
  /** The branch is asked for once the repository is known. */
  asksBranchLater?: true;
  /** What the question for the branch tells of. */
  branchOf?: StartingPoint;
}> {
  const { sessions, git, clock, home, hasLocalEngine, beginsAtBranch } = collaborators;
  const asksRepository = !known.tempWorkspace && known.repositoryUrl === undefined;
  const asksBranch = !known.tempWorkspace && known.gitBranch === undefined;
  const asksName = known.sessionName === undefined;
  const questions: Question[] = [];
  const inTime: InTime = (work) =>
    withDeadline(clock, SUGGESTION_BUDGET_MS, work, collaborators.signal).catch(() => undefined);
  if (known.workflowName === undefined) questions.push(await collaborators.askWorkflow(inTime));
  if (!asksName && !asksRepository && !asksBranch && questions.length === 0) return { questions };

  const { repositoryUrl } = known;
  const [here, lastRepository, branches, repositories] = await Promise.all([
    asksRepository || asksBranch ? inTime((signal) => findStart(known, collaborators, signal)) : undefined,
    asksRepository ? inTime(() => sessions.lastRepository()) : undefined,
    asksBranch && repositoryUrl ? inTime((signal) => git.listBranches(repositoryUrl, signal)) : undefined,
    asksRepository ? inTime(collaborators.findRepositories) : undefined,
    asksName ? inTime((signal) => sessions.all(signal)) : undefined,
  ]);
  if (asksName) {
    const taken = new Set(sessions.knownNames().map(visibleName));
    questions.push(
      askSessionName(
        collaborators.suggestName((name) => taken.has(name)),
        collaborators.names,
      ),
    );
  }
  if (asksRepository) {
    const suggestion = here?.repositoryUrl ?? collaborators.repositoryOfTask ?? lastRepository;
    const shown = suggestion && showRepository(suggestion, home);
    questions.push(
      ...(repositories && repositories.length > 0
        ? askAmongRepositories(repositories, shown, hasLocalEngine)
        : [askRepository(shown, hasLocalEngine)]),
    );
  }
  let branchOf: StartingPoint | undefined;
  // Which branches there are depends on what is chosen.
  const asksBranchLater = asksBranch && repositories !== undefined && repositories.length > 0;
  if (asksBranch && !asksBranchLater) {
    const current = here?.repositoryUrl === (repositoryUrl ?? here?.repositoryUrl) ? here : undefined;
    branchOf = current;
    questions.push(
      current && isLocalRepository(current.repositoryUrl)
        ? askLocalBranch(current.branch, beginsAtBranch)
        : askBranch(branches, current?.branch, { hasLocalEngine, beginsAtBranch }),
    );
  }
  const place = known.tempWorkspace ? undefined : (repositoryUrl ?? here?.repositoryUrl);
  const later = { ...(asksBranchLater ? { asksBranchLater } : {}), ...(branchOf ? { branchOf } : {}) };
  if (!place || !isLocalRepository(place)) return { questions, ...later };
  const changes = await inTime((signal) => collaborators.findChanges(place, known.gitBranch ?? "", signal));
  // A plan has many starts, and takes nothing along.
  if (collaborators.names === "plan") {
    const leftOut = tellLeftOut(changes, place, home, collaborators.planFile);
    return { questions, ...later, ...(leftOut ? { leftOut } : {}) };
  }
  const offer = askForChanges(changes, place, home);
  return offer ? { questions: [...questions, offer], ...later, changesOf: place } : { questions, ...later };
}

/** A repository that can be chosen. */
export interface RepositoryChoice {
  /** As git takes it. */
  url: string;
  /** `acme/shop` */
  title: string;
}

/** The field for a repository that is not among the choices. */
export const OTHER_REPOSITORY = "other_repository";
/** No workspace of a repository; an empty text is no value of a choice. */
const NO_REPOSITORY = "none";

/** @param shown what would be suggested without the choices; it comes first */
function askAmongRepositories(
  repositories: readonly RepositoryChoice[],
  shown: string | undefined,
  hasLocalEngine: boolean,
): Question[] {
  const open = askRepository(undefined, hasLocalEngine);
  const named = repositories.filter(({ url }) => url !== shown);
  const first = repositories.find(({ url }) => url === shown)?.title ?? shown;
  const none = hasLocalEngine ? "None: a new, empty folder" : "None: the server's own workspace";
  return [
    {
      ...open,
      description:
        "Git repository: where you are, or one of yours at GitHub, those that were pushed to last first.",
      ...(shown ? { suggestion: shown } : {}),
      choices: [
        ...(shown && first ? [{ value: shown, title: first }] : []),
        ...named.map(({ url, title }) => ({ value: url, title })),
        { value: NO_REPOSITORY, title: none },
      ],
    },
    {
      name: OTHER_REPOSITORY,
      title: "Or another repository",
      description: hasLocalEngine
        ? "A folder of this machine, https or ssh. Counts instead of the choice above."
        : "Https or ssh. Counts instead of the choice above.",
      required: false,
    },
  ];
}

/** The question for the branch alone, of a repository that was chosen just now; undefined where it has none to choose from. */
export async function askBranchOf(
  repositoryUrl: string,
  git: Git,
  how: { hasLocalEngine: boolean; beginsAtBranch: boolean; signal: AbortSignal },
): Promise<Question> {
  if (isLocalRepository(repositoryUrl)) {
    const here = await git.describeFolder(repositoryUrl, how.signal);
    return askLocalBranch(here?.branch, how.beginsAtBranch);
  }
  return askBranch(await git.listBranches(repositoryUrl, how.signal), undefined, how);
}

/** Where a run would begin: an address, and the branch that is there. */
export interface StartingPoint {
  repositoryUrl: string;
  branch?: string;
}

/**
 * The repository that is named, where it is a folder of this machine, else the one that the client stands in. With an
 * engine on this machine that is the folder itself, not its remote: who stands in it means what is there, also what was
 * never pushed, and gets the work back there.
 */
async function findStart(
  { repositoryUrl: named }: Known,
  { git, findHere, hasLocalEngine }: Parameters<typeof buildQuestions>[1],
  signal: AbortSignal,
): Promise<StartingPoint | undefined> {
  const isNamed = named !== undefined && isLocalRepository(named);
  const here = isNamed ? await git.describeFolder(named, signal) : await findHere(signal);
  if (!here) return undefined;
  const { top, branch } = here;
  if (hasLocalEngine) return { repositoryUrl: isNamed ? named : top, ...(branch ? { branch } : {}) };
  const repositoryUrl = here.repositoryUrl && publicRepositoryUrl(here.repositoryUrl);
  if (!repositoryUrl) return undefined;
  // A branch that was never pushed is no place for others to begin at.
  const there = branch && (await git.findBranch(repositoryUrl, branch, signal));
  const isThere = there && there.found.kind === "there" && there.found.name === branch;
  return { repositoryUrl, ...(isThere && branch ? { branch } : {}) };
}

/** A repository as people write it: a folder of this machine by its path below their own. */
export function showRepository(repositoryUrl: string, home: string | undefined): string {
  return isAbsolute(repositoryUrl) ? showPath(repositoryUrl, home) : repositoryUrl;
}

function askSessionName(suggestion: string, names: Task["names"]): Question {
  return {
    name: "session_name",
    title: names === "plan" ? "Plan name" : "Session name",
    description:
      names === "plan"
        ? "A name to find the plan again by; its sessions are named after it."
        : "A name to find the work again by.",
    required: true,
    suggestion,
  };
}

/** @param suggestion as it is shown */
export function askRepository(suggestion: string | undefined, hasLocalEngine: boolean): Question {
  return {
    name: "repository_url",
    title: "Repository",
    description: hasLocalEngine
      ? "Git repository: a folder of this machine, https or ssh. Left empty: a new, empty folder, and no branch comes back."
      : "Git repository, https or ssh. Leave empty for the server's own workspace.",
    required: false,
    ...(suggestion ? { suggestion } : {}),
  };
}

/** @param current the branch that is checked out there */
function askLocalBranch(current: string | undefined, beginsAtBranch: boolean): Question {
  const where = current ?? "what is checked out";
  return {
    name: "git_branch",
    title: "Branch",
    description: beginsAtBranch
      ? `Where the work begins (empty: ${where}). It comes back on a branch of its own; yours stays as it is.`
      : tellBranches(where),
    required: false,
    ...(current ? { suggestion: current } : {}),
  };
}

/** Claude Code shows so many characters of a field's help; beyond them a rule would be cut in the middle. */
const HELP_CHARS = 118;
const NAME_CHARS = 22;

/**
 * What the work is done on, where our engine carries it out.
 * @param kept the branch that is not worked on itself
 * @param madeFrom where a branch that is not there is made from
 */
function tellBranches(kept: string, madeFrom?: string): string {
  const name = kept.length > NAME_CHARS ? `${cutText(kept, NAME_CHARS - 1)}…` : kept;
  const tell = (from: string) =>
    `Empty, or ${name}: the work gets its own branch. Any other: it is done on that branch, made${from} if missing.`;
  const whole = tell(madeFrom === undefined ? "" : ` from ${madeFrom}`);
  return whole.length <= HELP_CHARS ? whole : tell("");
}

function askBranch(
  remote: { defaultBranch?: string; branches: string[]; truncated: boolean } | undefined,
  current: string | undefined,
  { hasLocalEngine, beginsAtBranch }: { hasLocalEngine: boolean; beginsAtBranch: boolean },
): Question {
  const base = remote?.defaultBranch ?? "the default branch";
  const question: Question = {
    name: "git_branch",
    title: "Branch",
    description: beginsAtBranch
      ? "Where the work begins; empty for the default branch. It gets branches of its own, and this one stays as it is."
      : hasLocalEngine
        ? tellBranches(base, base)
        : "Branch to work on. Leave empty for the default branch.",
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
