import type { ChangesThere } from "../../api/types.js";
import { tellUsual } from "../../history/tell-usual.js";
import { withDeadline } from "../../shared/deadline.js";
import { isLocalRepository } from "../../shared/git/repository-address.js";
import { isNothing, readBranch } from "../../shared/no-value.js";
import { withoutInvisible } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Services } from "../define-action.js";
import type { FormAnswer } from "../forms/form-client.js";
import { checkPlace, checkSessionName } from "./check-arguments.js";
import { requireWorkflow } from "./check-workflow.js";
import { findClientRepository } from "./client-folders.js";
import type { StartArguments, StartDraft, StartValues, Step, StepContext } from "./draft.js";
import {
  askBranchOf,
  buildQuestions,
  type Known,
  OTHER_REPOSITORY,
  type RepositoryChoice,
  type StartingPoint,
} from "./form-questions.js";
import { readRepository } from "./local-repository.js";
import { answerUnfinishedForm, fillIn } from "./unfinished-form.js";
import { askWorkflow } from "./workflow-question.js";

/** A form waits so long for what is usual, in ms. */
const HISTORY_MS = 500;

/** What the person has entered, by the names of the questions. */
type Entered = Record<string, string | undefined>;

/**
 * Completes what a run needs, asking the person in one form for what is missing.
 * @returns the draft with all values, or the answer that the call ends with
 * @throws ActionError when a value does not pass
 */
export const askForMissing: Step = async (draft, context) => {
  if (draft.values) return draft;
  const { call, services, task } = context;
  const { args } = draft;
  const known = findKnown(draft, context);
  const workflows = await listForChoice(known.workflowName, services);
  const {
    questions: own,
    changesOf,
    leftOut,
    asksBranchLater,
    branchOf,
  } = await buildQuestions(known, {
    askWorkflow: (inTime) => askWorkflow(workflows, task, services, known.repositoryUrl, inTime),
    suggestName: task.suggestName,
    sessions: services.sessions,
    git: services.git,
    clock: services.clock,
    findHere: (signal) => findClientRepository(call, services, signal),
    home: services.home,
    hasLocalEngine: services.settings.engine === "local",
    beginsAtBranch: task.beginsAtBranch ?? false,
    names: task.names,
    planFile: task.planFile,
    repositoryOfTask: task.repositoryUrl,
    findRepositories: (signal) => findRepositories(context, signal),
    findChanges: (repositoryUrl, gitBranch, signal) =>
      findChanges(repositoryUrl, gitBranch, signal, draft, context),
    signal: call.signal,
  });
  const { more = [] } = task;
  // What may be left out is asked beside the rest, and is no reason for a form.
  if (own.length === 0 && !more.some(({ required }) => required))
    return { ...draft, values: toValues(known, {}) };
  const questions = [...more, ...own];
  const filled = call.inTerminal && !call.forms.supported ? fillIn(questions) : undefined;
  const answer: FormAnswer =
    filled && !Array.isArray(filled)
      ? { kind: "accepted", values: filled }
      : await call.forms.ask(withSecondLine(await tellTitle(known, context), leftOut), questions);
  const ended = answerUnfinishedForm(answer, Array.isArray(filled) ? filled : questions, args, context);
  if (ended) return ended;
  const { uncommitted, ...others } = answer.kind === "accepted" ? readEntered(answer.values) : {};
  const first = await checkEntered(others, args, context);
  const repositoryUrl = known.repositoryUrl ?? first.repository_url ?? "";
  const asksAgain = asksBranchLater || (await isOutdated(first.git_branch, branchOf, repositoryUrl, context));
  const later = asksAgain ? await askForBranch(first, repositoryUrl, known, args, context) : first;
  if (isAnswer(later)) return later;
  const checked = later;
  return {
    ...draft,
    values: toValues(known, checked),
    ...(task.more
      ? { more: Object.fromEntries(more.map(({ name }) => [name, checked[name] || undefined])) }
      : {}),
    ...(changesOf ? { changes: { repositoryUrl: changesOf, taken: uncommitted === "true" } } : {}),
  };
};

function isAnswer(value: Entered | Answer): value is Answer {
  return typeof value.outcome === "string" && "summary" in value;
}

/** The person's own repositories at GitHub, where the person is on this machine and there is a token. */
async function findRepositories(
  { call, services }: StepContext,
  signal: AbortSignal,
): Promise<RepositoryChoice[] | undefined> {
  if (!services.sharesMachine || !call.forms.supported) return undefined;
  const opened = await services.elsewhere.github();
  const found = await opened?.github.listRepositories(signal);
  return found?.map(({ fullName, httpsUrl, isPrivate }) => ({
    url: httpsUrl,
    title: isPrivate ? `${fullName} (private)` : fullName,
  }));
}

/**
 * Whether the answer for the branch, as it was suggested or empty, was for what is not so any more: another repository was
 * entered beside it, or another branch was checked out while the form was open.
 * @param branchOf what the form has told of
 */
async function isOutdated(
  branch: string | undefined,
  branchOf: StartingPoint | undefined,
  repositoryUrl: string,
  { call, services }: StepContext,
): Promise<boolean> {
  if (!branchOf || (branch && branch !== branchOf.branch)) return false;
  if (repositoryUrl !== branchOf.repositoryUrl) return Boolean(branch);
  if (!isLocalRepository(repositoryUrl)) return false;
  const here = await services.git.describeFolder(repositoryUrl, call.signal);
  return here !== undefined && here.branch !== branchOf.branch;
}

/** The second form of two: branches depend on the repository. */
async function askForBranch(
  entered: Entered,
  repositoryUrl: string,
  known: Known,
  args: StartArguments,
  context: StepContext,
): Promise<Entered | Answer> {
  const { call, services, task } = context;
  if (!repositoryUrl) return entered;
  const question = await askBranchOf(repositoryUrl, services.git, {
    hasLocalEngine: services.settings.engine === "local",
    beginsAtBranch: task.beginsAtBranch ?? false,
    signal: call.signal,
  });
  const workflowName = known.workflowName ?? entered.workflow_name;
  const answer = await call.forms.ask(task.title(workflowName), [question]);
  const settled = Object.fromEntries(Object.entries(entered).filter(([, value]) => value));
  const ended = answerUnfinishedForm(answer, [question], { ...args, ...settled }, context);
  if (ended) return ended;
  const values = answer.kind === "accepted" ? readEntered(answer.values) : {};
  return { ...entered, ...(await checkEntered({ git_branch: values.git_branch }, args, context)) };
}

/** What the form is about, with what runs of the workflow usually take. */
async function tellTitle(known: Known, { services, task }: StepContext): Promise<string> {
  const title = task.title(known.workflowName);
  const { workflowName, repositoryUrl } = known;
  if (!workflowName) return title;
  const past = await withDeadline(services.clock, HISTORY_MS, () => services.sessions.history.read());
  const expected = past && task.expect?.(past, workflowName, repositoryUrl);
  const usual = expected && tellUsual(expected);
  return usual ? `${title}\nRuns of ${workflowName} take ${usual}.` : title;
}

/** Of a long form some clients show the first lines only. */
function withSecondLine(title: string, line: string | undefined): string {
  if (line === undefined) return title;
  const [first = "", ...rest] = title.split("\n");
  return [first, line, ...rest].join("\n");
}

/**
 * What is not committed in a repository, where a new session could take it along. Of a repository that is not allowed
 * yet nothing is told: the form that asks for that has it.
 */
async function findChanges(
  repositoryUrl: string,
  gitBranch: string,
  signal: AbortSignal,
  { args, continuation }: StartDraft,
  { task, services: { api, settings, sharesMachine } }: StepContext,
): Promise<ChangesThere | undefined> {
  // Of a plan the form tells that they stay out.
  const matters = args.uncommitted !== false || task.names === "plan";
  if (!matters || continuation || !sharesMachine || settings.engine !== "local") return undefined;
  const checked = await api.checkRepository(repositoryUrl, { changesOn: gitBranch, signal });
  return checked?.allowed ? checked.changes : undefined;
}

/** What is known before anybody is asked. */
function findKnown({ args, continuation }: StartDraft, { services, task }: StepContext): Known {
  const { capabilities } = services;
  // The person is not asked for what the API would not accept.
  const unasked = (field: "repository_url" | "git_branch") =>
    continuation || capabilities.acceptsField(field) ? undefined : "";
  return {
    workflowName: args.workflow_name || (task.more ? "" : undefined),
    sessionName: args.session_name ?? continuation?.sessionName,
    repositoryUrl: args.repository_url ?? continuation?.repositoryUrl ?? unasked("repository_url"),
    gitBranch: args.git_branch ?? continuation?.gitBranch ?? unasked("git_branch"),
    tempWorkspace: args.temp_workspace === true,
  };
}

function toValues(known: Known, entered: Entered): StartValues {
  const { tempWorkspace } = known;
  return {
    workflowName: known.workflowName ?? entered.workflow_name ?? "",
    sessionName: known.sessionName ?? withoutInvisible(entered.session_name ?? ""),
    repositoryUrl: tempWorkspace ? "" : (known.repositoryUrl ?? entered.repository_url ?? ""),
    gitBranch: tempWorkspace ? "" : (known.gitBranch ?? entered.git_branch ?? ""),
  };
}

/** The list from which the person chooses, when the workflow is missing at all. */
async function listForChoice(workflowName: string | undefined, services: Services) {
  const { catalogue } = services;
  if (workflowName !== undefined) return [];
  const state = catalogue.state().available ? catalogue.state() : await catalogue.refresh();
  if (state.workflows.length > 0) return state.workflows;
  throw new ActionError(
    `\`workflow_name\` is missing, and there is no list to choose from. ${state.problem ?? "The API offers no workflows."} Nothing was sent. Name the workflow, or try again when there is a list.`,
  );
}

/** Reads "none" and the like as empty: people write it into optional fields, as models do. */
function readEntered(values: Entered): Entered {
  const { [OTHER_REPOSITORY]: other, ...rest } = values;
  const repository_url = other?.trim() ? other : rest.repository_url;
  const { git_branch } = rest;
  return {
    ...rest,
    ...(repository_url === undefined ? {} : { repository_url }),
    ...(isNothing(repository_url) ? { repository_url: "" } : {}),
    git_branch: isNothing(git_branch) ? "" : readBranch(git_branch),
  };
}

/**
 * Checks what the person wrote by the rules for arguments; the next step keeps all but what did not pass.
 * @returns the values, with a repository on this machine as its folder
 */
async function checkEntered(entered: Entered, args: StartArguments, context: StepContext): Promise<Entered> {
  const { settings } = context.services;
  const checks: Record<string, (value: string) => unknown> = {
    async repository_url(value) {
      const repository = await readRepository(value, context);
      checkPlace(repository, undefined, settings);
      return repository;
    },
    git_branch: (value) => checkPlace(undefined, value, settings),
    session_name: checkSessionName,
    workflow_name: (value) => requireWorkflow(value, args, context),
  };
  const checked = { ...entered };
  for (const [name, value] of Object.entries(entered)) {
    if (!value) continue;
    try {
      const read = await checks[name]?.(value);
      if (typeof read === "string") checked[name] = read;
    } catch (error) {
      if (!(error instanceof ActionError)) throw error;
      const kept = Object.fromEntries(Object.entries(entered).filter(([key, one]) => key !== name && one));
      throw new ActionError(
        error.message,
        context.task.startAgain(
          { ...args, ...kept },
          `Ask the person for another ${name}; their other answers are kept here.`,
        ),
      );
    }
  }
  return checked;
}
