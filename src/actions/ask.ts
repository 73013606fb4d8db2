import type { FormAnswer, Question } from "../services/person.js";
import { buildQuestions } from "../services/questions.js";
import { suggestSessionName } from "../services/session-name.js";
import { ActionError, type Answer } from "./answer.js";
import { checkPlace, checkSessionName } from "./check-arguments.js";
import type { Call, Services } from "./define-action.js";
import { resolveWorkflow } from "./resolve-workflow.js";
import type { Continuation, RunArguments } from "./run.js";

/** Everything a run needs, given or asked; an empty text means the default. */
export interface RunValues {
  workflowName: string;
  sessionName: string;
  repositoryUrl: string;
  gitBranch: string;
}

/**
 * Completes what a run needs, asking the person in one form for what is missing. Nothing has been sent when this
 * returns: either the values, or the answer that the call ends with.
 * @throws ActionError when a value does not pass
 */
export async function askForMissing(
  args: RunArguments,
  continuation: Continuation | undefined,
  call: Call,
  services: Services,
): Promise<{ values: RunValues } | Answer> {
  const known = {
    workflowName: args.workflow_name || undefined,
    sessionName: args.session_name ?? continuation?.sessionName,
    repositoryUrl: args.repository_url ?? continuation?.repositoryUrl,
    gitBranch: args.git_branch ?? continuation?.gitBranch,
  };
  const questions = await buildQuestions(
    { ...known, message: args.message ?? "", tempWorkspace: args.temp_workspace === true },
    {
      workflows: await listForChoice(known.workflowName, services),
      sessions: services.sessions,
      git: services.git,
      clock: services.clock,
      localFolders: services.sharesMachine ? call.localFolders : async () => [],
      signal: call.signal,
    },
  );
  let answered: Record<string, string | undefined> = {};
  if (questions.length > 0) {
    const answer = await call.person.ask(describeForm(args, known), questions);
    const ended = endWithoutValues(answer, questions, args);
    if (ended) return ended;
    if (answer.kind === "accepted") answered = answer.values;
  }
  const values: RunValues = {
    workflowName: known.workflowName ?? answered.workflow_name ?? "",
    sessionName: known.sessionName ?? answered.session_name ?? "",
    repositoryUrl: args.temp_workspace ? "" : (known.repositoryUrl ?? answered.repository_url ?? ""),
    gitBranch: args.temp_workspace ? "" : (known.gitBranch ?? answered.git_branch ?? ""),
  };
  if (values.sessionName === "") values.sessionName = await suggestName(args, services);
  await checkAnswers(answered, args, services);
  return { values };
}

/** The list from which the person chooses, when the workflow is missing at all. */
async function listForChoice(workflowName: string | undefined, services: Services) {
  const { catalogue } = services;
  if (workflowName !== undefined) return [];
  const state = catalogue.state().available ? catalogue.state() : await catalogue.refresh();
  if (state.workflows.length > 0) return state.workflows;
  throw new ActionError(
    `\`workflow_name\` is missing, and there is no list to choose from. ${state.problem ?? "The API offers no workflows."} Nothing was sent.`,
  );
}

function describeForm(args: RunArguments, known: { workflowName: string | undefined }): string {
  const task = (args.message ?? "").replace(/\s+/g, " ").trim();
  const short = task.length > 160 ? `${task.slice(0, 160)}…` : task;
  return `${known.workflowName ? `Start workflow ${known.workflowName}` : "Start a workflow"} for: ${short}`;
}

/** The answer with which a call ends when the person has not agreed; undefined when they have. */
function endWithoutValues(
  answer: FormAnswer,
  questions: readonly Question[],
  args: RunArguments,
): Answer | undefined {
  switch (answer.kind) {
    case "declined":
      return {
        outcome: "declined",
        summary:
          "The person declined. Nothing was sent and no run was started. Do not start it again unless they ask for it.",
      };
    case "cancelled": {
      const why = {
        closed: "The person closed the form.",
        timeout: "The form was not answered in time.",
        call_cancelled: "The call was cancelled while the form was open.",
      }[answer.why];
      return {
        outcome: "cancelled",
        summary: `${why} Nothing was sent and no run was started. Ask the person before trying again.`,
      };
    }
    case "not_asked":
      return inputRequired(questions, args, `${answer.why} Nothing was sent.`);
    case "accepted": {
      const open = questions.filter((question) => question.required && !answer.values[question.name]?.trim());
      if (open.length === 0) return undefined;
      return inputRequired(
        questions,
        args,
        `The form came back without ${open.map((question) => question.name).join(" and ")}, so it counts as not answered. Nothing was sent.`,
      );
    }
  }
}

/** What is missing, as an answer that a model can act on by asking the person itself. */
function inputRequired(questions: readonly Question[], args: RunArguments, why: string): Answer {
  const suggested = Object.fromEntries(
    questions.map((question) => [
      question.name,
      question.suggestion ??
        (question.required && question.choices ? (question.choices[0]?.value ?? "") : ""),
    ]),
  );
  return {
    outcome: "input_required",
    summary: `${why} Ask the person for: ${questions.map((question) => question.name).join(", ")}.`,
    missing: questions.map(({ name, description, required, suggestion, choices }) => ({
      name,
      description,
      required,
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(choices === undefined ? {} : { choices: choices.map((choice) => ({ ...choice })) }),
    })),
    next: {
      action: "run",
      arguments: { ...args, ...suggested },
      reason:
        "Ask the person, then call again with their values in place of these suggestions; an empty text means the default.",
    },
  };
}

/** Checks what the person wrote by the rules for arguments, and keeps it in the next step when it fails. */
async function checkAnswers(
  answered: Record<string, string | undefined>,
  args: RunArguments,
  services: Services,
): Promise<void> {
  try {
    checkPlace(answered.repository_url, answered.git_branch);
    if (answered.session_name) checkSessionName(answered.session_name);
    if (answered.workflow_name) await resolveWorkflow(answered.workflow_name, args, services);
  } catch (error) {
    if (!(error instanceof ActionError)) throw error;
    throw new ActionError(error.message, {
      action: "run",
      arguments: { ...args, ...answered },
      reason: "Put the named value right; the other answers are kept here.",
    });
  }
}

/** An empty name was given on purpose: the suggestion is taken. */
async function suggestName(args: RunArguments, services: Services): Promise<string> {
  await services.sessions.all().catch(() => []);
  const taken = new Set(services.sessions.knownNames());
  return suggestSessionName(args.message ?? "", (name) => taken.has(name));
}
