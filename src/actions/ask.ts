import { suggestSessionName } from "../sessions/session-name.js";
import { sleep } from "../shared/clock.js";
import { isNothing, readBranch } from "../shared/no-value.js";
import { cutText, visibleName, withoutInvisible } from "../shared/text.js";
import { ActionError, type Answer } from "./answer.js";
import { tellNotAsked } from "./ask-to-choose.js";
import { checkPlace, checkSessionName } from "./check-arguments.js";
import type { Call, Services } from "./define-action.js";
import type { FormAnswer, Question } from "./form-client.js";
import { resolveWorkflow } from "./resolve-workflow.js";
import type { Continuation, RunArguments } from "./run.js";
import { buildQuestions } from "./start-form.js";

/** Everything a run needs, given or asked; an empty text means the default, for the name one that is made up. */
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
      makesBranches: services.settings.engine === "local",
      signal: call.signal,
    },
  );
  let answered: Record<string, string | undefined> = {};
  if (questions.length > 0) {
    const answer = await call.person.ask(describeForm(args, known), questions);
    const ended = endWithoutValues(answer, questions, args, call);
    if (ended) return ended;
    if (answer.kind === "accepted") answered = readPlace(answer.values);
  }
  const values: RunValues = {
    workflowName: known.workflowName ?? answered.workflow_name ?? "",
    sessionName: known.sessionName ?? withoutInvisible(answered.session_name ?? ""),
    repositoryUrl: args.temp_workspace ? "" : (known.repositoryUrl ?? answered.repository_url ?? ""),
    gitBranch: args.temp_workspace ? "" : (known.gitBranch ?? answered.git_branch ?? ""),
  };
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
    `\`workflow_name\` is missing, and there is no list to choose from. ${state.problem ?? "The API offers no workflows."} Nothing was sent. Name the workflow, or try again when there is a list.`,
  );
}

/** People write "none" into a field that may stay empty, as models do. */
function readPlace(values: Record<string, string | undefined>): Record<string, string | undefined> {
  const { repository_url, git_branch } = values;
  return {
    ...values,
    ...(isNothing(repository_url) ? { repository_url: "" } : {}),
    git_branch: isNothing(git_branch) ? "" : readBranch(git_branch),
  };
}

function describeForm(args: RunArguments, known: { workflowName: string | undefined }): string {
  const task = (args.message ?? "").replace(/\s+/g, " ").trim();
  const short = task.length > 160 ? `${cutText(task, 160)}…` : task;
  return `${known.workflowName ? `Start workflow ${known.workflowName}` : "Start a workflow"} for: ${short}`;
}

/** The answer with which a call ends when the person has not agreed; undefined when they have. */
function endWithoutValues(
  answer: FormAnswer,
  questions: readonly Question[],
  args: RunArguments,
  call: Call,
): Answer | undefined {
  switch (answer.kind) {
    case "declined":
      if (answer.byClient) return turnedDownByClient("declined", questions);
      return {
        outcome: "declined",
        summary:
          "The person declined. Nothing was sent and no run was started. Do not start it again unless they ask for it.",
      };
    case "cancelled": {
      if (answer.why === "closed" && answer.byClient) return turnedDownByClient("cancelled", questions);
      const why = {
        closed: "The person closed the form.",
        timeout: "The form was not answered in time.",
        call_cancelled: call.isStopping()
          ? "This server is stopping, so the form was closed."
          : "The call was cancelled while the form was open.",
      }[answer.why];
      return {
        outcome: "cancelled",
        summary: `${why} Nothing was sent and no run was started. Ask the person before trying again.`,
      };
    }
    case "not_asked":
      return inputRequired(questions, args, {}, `${tellNotAsked(answer)} Nothing was sent.`);
    case "accepted": {
      const open = questions.filter((question) => question.required && !answer.values[question.name]?.trim());
      if (open.length === 0) return undefined;
      return inputRequired(
        questions,
        args,
        answer.values,
        `The form came back without ${open.map((question) => question.name).join(" and ")}, so it counts as not answered. Nothing was sent.`,
      );
    }
  }
}

/** A form that came back before a person can have seen it; where a client does that, the values go into the call. */
function turnedDownByClient(outcome: "declined" | "cancelled", questions: readonly Question[]): Answer {
  const names = questions.map((question) => question.name).join(", ");
  return {
    outcome,
    summary:
      `The form was ${outcome} in an instant, so by the client itself: no person was asked. Nothing was sent and no ` +
      `run was started. Only if the person wants this run, call again with ${names}: then no form is needed, and an ` +
      "empty text means the default.",
  };
}

/**
 * What is missing, as an answer that a model can act on by asking the person itself. What the person has filled in
 * is kept; a choice that nobody has made is left open.
 */
function inputRequired(
  questions: readonly Question[],
  args: RunArguments,
  answered: Record<string, string | undefined>,
  why: string,
): Answer {
  const filled = Object.fromEntries(
    questions.flatMap(({ name, suggestion, required, choices }) => {
      const value = answered[name] || suggestion || (required && choices ? undefined : "");
      return value === undefined ? [] : [[name, value]];
    }),
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
      arguments: { ...args, ...filled, ...shortMessage(args) },
      reason:
        "Ask the person, then call again with their values in place of these suggestions; an empty text means the default.",
    },
  };
}

/** A long message is not sent back whole: with it twice, an answer could grow over what clients take. */
export function shortMessage({ message }: Pick<RunArguments, "message">): Pick<RunArguments, "message"> {
  return message && message.length > 2_000 ? { message: "(the same message as before, in full)" } : {};
}

/** Checks what the person wrote by the rules for arguments; the next step keeps all but what did not pass. */
async function checkAnswers(
  answered: Record<string, string | undefined>,
  args: RunArguments,
  services: Services,
): Promise<void> {
  const checks: Record<string, (value: string) => void | Promise<void>> = {
    repository_url: (value) => checkPlace(value, undefined, services.settings),
    git_branch: (value) => checkPlace(undefined, value, services.settings),
    session_name: checkSessionName,
    workflow_name: (value) => resolveWorkflow(value, args, services),
  };
  for (const [name, value] of Object.entries(answered)) {
    if (!value) continue;
    try {
      await checks[name]?.(value);
    } catch (error) {
      if (!(error instanceof ActionError)) throw error;
      const kept = Object.fromEntries(Object.entries(answered).filter(([key, one]) => key !== name && one));
      throw new ActionError(error.message, {
        action: "run",
        arguments: { ...args, ...kept, ...shortMessage(args) },
        reason: `Ask the person for a ${name} that passes; their other answers are kept here.`,
      });
    }
  }
}

/** Known names are looked for no longer than this, in ms: a name may be taken, a start may not be late. */
const NAMES_BUDGET_MS = 2_000;

/** An empty name was given on purpose: one is made up that nobody has as far as is known when the run is sent. */
export async function makeUpName(args: RunArguments, services: Services): Promise<string> {
  const { sessions, clock } = services;
  const enough = new AbortController();
  await Promise.race([sessions.all().catch(() => []), sleep(clock, NAMES_BUDGET_MS, enough.signal)]);
  enough.abort();
  const taken = new Set(services.sessions.knownNames().map(visibleName));
  return suggestSessionName(args.message ?? "", (name) => taken.has(name));
}
