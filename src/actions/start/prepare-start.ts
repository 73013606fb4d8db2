import type { StartRequest } from "../../api/types.js";
import { suggestSessionName } from "../../sessions/session-name.js";
import { sleep } from "../../shared/clock.js";
import { isNothing } from "../../shared/no-value.js";
import { visibleName } from "../../shared/text.js";
import { ActionError, type Answer } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { checkArguments } from "./check-arguments.js";
import { checkBranch } from "./check-branch.js";
import { checkCapabilities } from "./check-capabilities.js";
import { checkName } from "./check-name.js";
import { checkWorkflow } from "./check-workflow.js";
import {
  type Continuation,
  limitsOf,
  type NextSteps,
  type RunArguments,
  type StartArguments,
  type StartDraft,
  type StartValues,
  type Step,
} from "./draft.js";
import { findConversation } from "./find-conversation.js";
import { askForMissing } from "./form.js";

/** A start that may be sent as soon as it has a slot. Nothing of it has been sent. */
export interface PreparedStart extends StartValues {
  /** The call with everything that was settled: repeated, it asks the person for nothing again. */
  settled: StartArguments;
  continuation?: Continuation;
  /** The sessions that had its name when the person agreed to it; undefined when another of that name is agreed to. */
  namesakes: StartDraft["namesakes"];
  /** A sentence for the answer about sessions of the same name, or "". */
  nameNote: string;
  /** A sentence for the answer about the branch, or "". */
  branchNote: string;
  next: NextSteps;
}

export type Prepared = { kind: "prepared"; start: PreparedStart } | { kind: "answer"; answer: Answer };

/**
 * Checks a start and completes it, asking the person for what is missing. Nothing is sent to the API that starts
 * anything.
 * @returns the start, or the answer with which the call ends
 * @throws ActionError when an argument or an answer of the person does not pass
 * @throws ApiError when what has to be known cannot be read
 */
export async function prepareStart(
  { message = "", ...args }: RunArguments,
  call: Call,
  services: Services,
): Promise<Prepared> {
  checkSendable(message, services);
  const next = nextSteps(message);
  const askPerson: Step = (draft, context) => askForMissing(draft, message, context);
  // Each of these does nothing to what is settled already.
  const settle = [checkName, findConversation, askPerson, checkBranch, stopIfCancelled];
  // Twice: the name that the person enters may be that of a session, and they may want to continue it.
  const steps = [checkArguments, checkCapabilities, checkWorkflow, ...settle, ...settle, checkCapabilities];
  let draft: StartDraft = { args };
  for (const step of steps) {
    const result = await step(draft, { call, services, next });
    if ("outcome" in result) return { kind: "answer", answer: result };
    draft = result;
  }
  return { kind: "prepared", start: finish(draft, next) };
}

/** @throws ActionError when nothing could be started, whatever the other arguments are */
function checkSendable(message: string, { api }: Services): void {
  if (!api.hasKey) {
    throw new ActionError(
      "No API key is set, so nothing was sent and nobody was asked. Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.",
    );
  }
  if (!message.trim() || isNothing(message)) {
    throw new ActionError("`message` is empty: say what the workflow should do. Nothing was sent.");
  }
}

/** Above this length, in characters, a message is not repeated: it would stand twice in an answer of limited size. */
const REPEATED_MESSAGE_LIMIT = 2_000;

function nextSteps(message: string): NextSteps {
  const repeated =
    message.length > REPEATED_MESSAGE_LIMIT ? "(the same message as before, in full)" : message;
  return {
    startAgain: (args, reason) => ({ action: "run", arguments: { message: repeated, ...args }, reason }),
    giveFeedback: (runId, reason) => ({
      action: "feedback",
      arguments: { run_id: runId, message },
      reason,
    }),
  };
}

const stopIfCancelled: Step = async (draft, { call }) =>
  call.signal.aborted ? cancelledBeforeStart() : draft;

/** The answer to a call that was cancelled in time. */
export function cancelledBeforeStart(): Answer {
  return {
    outcome: "cancelled",
    summary: "The call was cancelled before anything was sent. No run was started.",
  };
}

function finish(draft: StartDraft, next: NextSteps): PreparedStart {
  const { args, continuation, values, namesakes = [], nameNote = "", branchNote = "" } = draft;
  if (!values) throw new Error("The form step has to settle all values.");
  const { session_id: _id, continue_session, ...rest } = args;
  const mayShareName = continuation !== undefined || continue_session === "";
  return {
    ...values,
    settled: {
      ...rest,
      ...(continuation ? { session_id: continuation.sessionId } : {}),
      workflow_name: values.workflowName,
      session_name: values.sessionName,
      ...(args.temp_workspace ? {} : { repository_url: values.repositoryUrl, git_branch: values.gitBranch }),
    },
    ...(continuation ? { continuation } : {}),
    namesakes: mayShareName ? undefined : namesakes,
    nameNote,
    branchNote,
    next,
  };
}

/** What is sent to the API; a name is made up where the start has none. */
export async function buildRequest(
  start: PreparedStart,
  message: string,
  services: Services,
): Promise<StartRequest> {
  const { settings, offer } = services;
  const { settled, continuation, workflowName, repositoryUrl, gitBranch } = start;
  const { persistent, auto_merge, temp_workspace } = settled;
  const sessionName = start.sessionName || (await makeUpName(message, services));
  // Some servers want it and do not describe it, so it is left out only where it would be refused.
  const refusesFormat = offer.state().description?.start.closed && !offer.takes("input_format");
  return {
    workflowName,
    message,
    ...(refusesFormat ? {} : { inputFormat: settings.inputFormat }),
    ...limitsOf(settled, settings),
    ...(sessionName ? { sessionName } : {}),
    ...(continuation ? { sessionId: continuation.sessionId } : {}),
    ...(repositoryUrl ? { repositoryUrl } : {}),
    ...(gitBranch ? { gitBranch } : {}),
    ...(settings.userId ? { userId: settings.userId } : {}),
    ...(persistent === undefined ? {} : { persistent }),
    ...(auto_merge === undefined ? {} : { autoMerge: auto_merge }),
    ...(temp_workspace === undefined ? {} : { tempWorkspace: temp_workspace }),
  };
}

/** The names of sessions are waited for no longer than this, in ms: a start must not be late for a name's sake. */
const NAMES_BUDGET_MS = 2_000;

/** A name that no known session has. */
async function makeUpName(message: string, { sessions, clock }: Services): Promise<string> {
  const enough = new AbortController();
  await Promise.race([sessions.all().catch(() => []), sleep(clock, NAMES_BUDGET_MS, enough.signal)]);
  enough.abort();
  const taken = new Set(sessions.knownNames().map(visibleName));
  return suggestSessionName(message, (name) => taken.has(name));
}
