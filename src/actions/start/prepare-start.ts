import type { StartRequest } from "../../api/types.js";
import { onBehalfOf } from "../../runs/on-behalf.js";
import { withDeadline } from "../../shared/deadline.js";
import { visibleName } from "../../shared/text.js";
import type { Answer } from "../answer.js";
import type { Services } from "../define-action.js";
import { agreeToPublish } from "./agree-to-publish.js";
import { askToAllow } from "./ask-to-allow.js";
import { checkArguments } from "./check-arguments.js";
import { checkBranch } from "./check-branch.js";
import { checkCapabilities } from "./check-capabilities.js";
import { checkName } from "./check-name.js";
import { checkWorkflow } from "./check-workflow.js";
import {
  type Agreed,
  type Continuation,
  limitsOf,
  mergesWork,
  type StartArguments,
  type StartDraft,
  type StartValues,
  type Step,
  type StepContext,
  type Task,
} from "./draft.js";
import { findConversation } from "./find-conversation.js";
import { askForMissing } from "./form.js";
import { resolveRepository } from "./local-repository.js";

/** A start that may be sent as soon as it has a slot. Nothing of it has been sent. */
export interface PreparedStart extends StartValues {
  /** The arguments alone, without what the person has entered. */
  args: StartArguments;
  /** The call with everything that was settled: repeated, it asks the person for nothing again. */
  settled: StartArguments;
  continuation?: Continuation;
  /** The sessions that had its name when the person agreed to it; undefined when another of that name is agreed to. */
  namesakes: StartDraft["namesakes"];
  /** A sentence for the answer about sessions of the same name, or "". */
  nameNote: string;
  /** A sentence for the answer about the branch, or "". */
  branchNote: string;
  /** A sentence for the answer about what is not committed, or "". */
  changesNote: string;
  agreed: Agreed;
  task: Task;
}

export type Prepared = { kind: "prepared"; start: PreparedStart } | { kind: "answer"; answer: Answer };

// Each of these leaves alone what is settled already.
const SETTLE: readonly Step[] = [checkName, findConversation, askForMissing, checkBranch, stopIfCancelled];
// Twice: the name that the person enters may be that of a session, and they may want to continue it.
const STEPS: readonly Step[] = [
  resolveRepository,
  checkArguments,
  checkCapabilities,
  checkWorkflow,
  ...SETTLE,
  ...SETTLE,
  checkCapabilities,
  askToAllow,
  agreeToPublish,
  stopIfCancelled,
];

/**
 * Checks a start and completes it, asking the person for what is missing. Nothing is sent to the API that starts
 * anything.
 * @param agreed what was settled with the person when the same start was prepared before
 * @returns the start, or the answer with which the call ends
 * @throws ActionError when an argument or an answer of the person does not pass
 * @throws ApiError when what has to be known cannot be read
 */
export async function prepareStart(
  args: StartArguments,
  context: StepContext,
  agreed: Agreed = {},
): Promise<Prepared> {
  let draft: StartDraft = { args, ...agreed };
  for (const step of STEPS) {
    const result = await step(draft, context);
    if ("outcome" in result) return { kind: "answer", answer: result };
    draft = result;
  }
  return { kind: "prepared", start: finish(draft, context.task) };
}

/** Of a start whose workflow and name are settled elsewhere: where it works. */
const PLACE_STEPS: readonly Step[] = [
  resolveRepository,
  checkArguments,
  checkCapabilities,
  askForMissing,
  checkBranch,
  stopIfCancelled,
  checkCapabilities,
  askToAllow,
  agreeToPublish,
  stopIfCancelled,
];

/**
 * The same for work that is more than one run: completes where it works, its name and what else its task asks for.
 * @returns the draft with all values, or the answer with which the call ends
 * @throws ActionError, ApiError as {@link prepareStart}
 */
export async function preparePlace(args: StartArguments, context: StepContext): Promise<StartDraft | Answer> {
  let draft: StartDraft = { args };
  for (const step of PLACE_STEPS) {
    const result = await step(draft, context);
    if ("outcome" in result) return result;
    draft = result;
  }
  return draft;
}

async function stopIfCancelled(draft: StartDraft, { call }: StepContext): Promise<StartDraft | Answer> {
  return call.signal.aborted ? cancelledBeforeStart() : draft;
}

/** The answer to a call that was cancelled in time. */
export function cancelledBeforeStart(): Answer {
  return {
    outcome: "cancelled",
    summary: "The call was cancelled before anything was sent. No run was started.",
  };
}

function finish(draft: StartDraft, task: Task): PreparedStart {
  const { args, continuation, values, namesakes = [], nameNote = "", branchNote = "" } = draft;
  const { permission, changes, changesNote, publishes } = draft;
  if (!values) throw new Error("The form step has to settle all values.");
  const { session_id: _id, continue_session, ...rest } = args;
  const mayShareName = continuation !== undefined || continue_session === "";
  return {
    ...values,
    args,
    settled: {
      ...rest,
      ...(continuation ? { session_id: continuation.sessionId } : {}),
      workflow_name: values.workflowName,
      session_name: values.sessionName,
      ...(changes ? { uncommitted: changes.taken } : {}),
      ...(args.temp_workspace ? {} : { repository_url: values.repositoryUrl, git_branch: values.gitBranch }),
    },
    ...(continuation ? { continuation } : {}),
    namesakes: mayShareName ? undefined : namesakes,
    nameNote,
    branchNote,
    changesNote: changesNote ?? "",
    agreed: {
      values,
      branchNote,
      ...(permission ? { permission } : {}),
      ...(changes ? { changes } : {}),
      ...(changesNote === undefined ? {} : { changesNote }),
      ...(publishes === undefined ? {} : { publishes }),
    },
    task,
  };
}

/**
 * What is sent to the API beside the message; a name is made up where the start has none.
 * @param person who calls, where that is known
 */
export async function buildRequest(
  start: PreparedStart,
  person: string | undefined,
  services: Services,
): Promise<Omit<StartRequest, "message">> {
  const { settings, capabilities } = services;
  const { settled, continuation, workflowName, repositoryUrl, gitBranch } = start;
  const { persistent, temp_workspace, agent, model } = settled;
  const autoMerge = mergesWork(settled, settings);
  const sessionName = start.sessionName || (await makeUpName(start.task, services));
  // Some servers need it without describing it, so it is left out only where it would be refused.
  const refusesFormat =
    capabilities.state().description?.start.closed && !capabilities.acceptsField("input_format");
  return {
    workflowName,
    ...(refusesFormat ? {} : { inputFormat: settings.inputFormat }),
    ...limitsOf(settled, settings),
    ...(sessionName ? { sessionName } : {}),
    ...(continuation ? { sessionId: continuation.sessionId } : {}),
    ...(repositoryUrl ? { repositoryUrl } : {}),
    ...(gitBranch ? { gitBranch } : {}),
    ...(start.agreed.permission?.consent ? { consent: start.agreed.permission.consent } : {}),
    ...(start.agreed.changes?.taken ? { uncommitted: true as const } : {}),
    ...(start.agreed.publishes ? { pullRequest: true as const } : {}),
    ...onBehalfOf(person, services),
    ...(agent ? { agent } : {}),
    ...(model ? { model } : {}),
    ...(persistent === undefined ? {} : { persistent }),
    ...(autoMerge === undefined ? {} : { autoMerge }),
    ...(temp_workspace === undefined ? {} : { tempWorkspace: temp_workspace }),
  };
}

/** How long a start waits for the names of sessions, in ms: a suggested name is not worth more. */
const NAMES_BUDGET_MS = 2_000;

/** A name that no known session has. */
async function makeUpName({ suggestName }: Task, { sessions, clock }: Services): Promise<string> {
  await withDeadline(clock, NAMES_BUDGET_MS, () => sessions.all()).catch(() => {});
  const taken = new Set(sessions.knownNames().map(visibleName));
  return suggestName((name) => taken.has(name));
}
