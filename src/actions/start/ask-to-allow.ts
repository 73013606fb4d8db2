import type { ApiError } from "../../api/errors.js";
import type { CheckedRepository, RepositoryConsent } from "../../api/types.js";
import { isLocalRepository } from "../../shared/git/repository-address.js";
import { shellWord } from "../../shared/shell-word.js";
import { ActionError, type Answer } from "../answer.js";
import { tellAutomatic, tellNotAsked } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";
import { showPath } from "./client-folders.js";
import type { Permission, StartDraft, Step, StepContext } from "./draft.js";
import { askForChanges, refuseChanges, settleChanges } from "./uncommitted.js";

const ONCE = "once";
const ALWAYS = "always";
const NO = "no";

/**
 * Asks the person before agents work on a repository of this machine that is not allowed yet. Whether it is, the
 * engine says; what they agree to comes from their answer alone, never from the call's arguments.
 * @returns the draft, or the answer that the call ends with when they do not agree
 * @throws ActionError when nobody can be asked, with the ways to allow it
 */
export const askToAllow: Step = async (draft, context) => {
  const { values, permission } = draft;
  const { services, call } = context;
  const path = values?.repositoryUrl ?? "";
  // Who calls from another machine has no word in what is allowed on this one.
  const isHere = services.sharesMachine && services.settings.engine === "local";
  if (!values || !isHere || !isLocalRepository(path)) {
    refuseChanges(draft);
    return draft;
  }
  if (permission?.repositoryUrl === path) return draft;
  const checked = await check(path, draft, context);
  const settle = (decision: Partial<Decision>, consent?: RepositoryConsent) => {
    const allowed: Permission = { repositoryUrl: path, ...(consent ? { consent } : {}) };
    const { taken } = decision;
    const changes = taken === undefined ? {} : { changes: { repositoryUrl: path, taken } };
    return settleChanges({ ...draft, permission: allowed, ...changes }, checked?.changes, context);
  };
  if (!checked || checked.allowed) return settle({});
  const decision = await ask(checked, draft, context);
  if ("outcome" in decision) return decision;
  const consent = { path: checked.path, folders: checked.folders };
  if (decision.allow === ONCE) return settle(decision, consent);
  if (call.signal.aborted) return draft;
  await services.api.allowRepository(consent).catch((error: ApiError) => {
    throw new ActionError(`${error.reason ?? error.message} Nothing was sent and no run was started.`);
  });
  return settle(decision);
};

/** What the person has said: to the repository, and to what is not committed there where they were asked. */
interface Decision {
  allow: typeof ONCE | typeof ALWAYS;
  taken?: boolean;
}

async function check(
  path: string,
  { values, continuation }: StartDraft,
  { services, call }: StepContext,
): Promise<CheckedRepository | undefined> {
  try {
    return await services.api.checkRepository(path, {
      signal: call.signal,
      ...(continuation ? { sessionId: continuation.sessionId } : { changesOn: values?.gitBranch ?? "" }),
    });
  } catch (error) {
    const { kind, reason } = error as ApiError;
    if (kind !== "refused" || !reason) throw error;
    throw new ActionError(`\`repository_url\`: ${reason} Nothing was sent.`);
  }
}

async function ask(
  { path, folders, problem, changes }: CheckedRepository,
  { args, continuation }: StartDraft,
  { services, call, task }: StepContext,
): Promise<Decision | Answer> {
  const shown = showPath(path, services.home);
  const others = folders.filter((folder) => folder !== path).map((folder) => showPath(folder, services.home));
  const question: Question = {
    name: "allow",
    title: "Allow",
    description:
      "Agents work in a copy; the work comes back as a branch. Your files and what is checked out stay as they are." +
      `${others.length > 0 ? ` It has parts in ${others.join(" and ")}, which belong to what is allowed.` : ""}${problem ? ` ${problem}` : ""}`,
    required: true,
    choices: [
      { value: ONCE, title: `Once: for this ${task.names ?? "session"}` },
      { value: ALWAYS, title: "Always: for all sessions on this repository" },
      { value: NO, title: "No: nothing is started" },
    ],
  };
  const asksForChanges = args.uncommitted !== false && !continuation;
  const offer = asksForChanges ? askForChanges(changes, path, services.home) : undefined;
  const questions = offer ? [question, offer] : [question];
  const answer = await call.forms.ask(`Allow agents to work on copies of ${shown}?`, questions);
  const nothing = "Nothing was sent and no run was started.";
  switch (answer.kind) {
    case "accepted": {
      const { allow, uncommitted } = answer.values;
      if (allow === ONCE || allow === ALWAYS)
        return { allow, ...(offer ? { taken: uncommitted === "true" } : {}) };
      if (allow === NO)
        return {
          outcome: "declined",
          summary: `The person does not allow agents to work on copies of ${shown}. ${nothing} Do not start it again unless they ask for it.`,
        };
      throw notAllowed("The form came back without a decision.");
    }
    case "declined":
      if (answer.byClient) throw notAllowed(tellAutomatic("declined"));
      return {
        outcome: "declined",
        summary: `The person declined to allow ${shown}. ${nothing} Do not start it again unless they ask for it.`,
      };
    case "cancelled":
      if (answer.why === "closed" && answer.byClient) throw notAllowed(tellAutomatic("cancelled"));
      return {
        outcome: "cancelled",
        summary: `Whether agents may work on copies of ${shown} was not answered. ${nothing} Ask the person before trying again.`,
      };
    case "not_asked":
      throw notAllowed(tellNotAsked(answer, call));
  }

  function notAllowed(why: string): ActionError {
    return new ActionError(
      `The repository ${shown} is not allowed for agents yet. ${why} ${problem ? `${problem} ` : ""}Nothing was sent. ` +
        `The person can allow it in a terminal, with \`automagik-workflows-mcp allow ${shellWord(path)}\`, or allow ` +
        "its folder in AUTOMAGIK_WORKFLOWS_ENGINE_ALLOWED_FOLDERS; then call again.",
    );
  }
}
