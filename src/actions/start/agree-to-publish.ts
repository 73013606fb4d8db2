import { isLocalRepository, publicRepositoryUrl } from "../../shared/git/repository-address.js";
import { ActionError } from "../answer.js";
import { confirmWithPerson } from "../forms/confirm.js";
import { opensPullRequest, type StartValues, type Step, type StepContext } from "./draft.js";

/**
 * Asks the person before work is to be pushed for a pull request, where others see it: what a call says is not their word.
 * Who has set it so, or lets the engine push, has said it already.
 */
export const agreeToPublish: Step = async (draft, context) => {
  const { args, values, publishes } = draft;
  const { call, services, task } = context;
  const { settings, capabilities, elsewhere } = services;
  if (publishes !== undefined) return draft;
  const { repositoryUrl = "" } = values ?? {};
  const isWanted = opensPullRequest(args, settings) && !args.temp_workspace;
  if (!isWanted) return { ...draft, publishes: false };
  const isAsked = args.finish === "pull_request";
  if (repositoryUrl === "") {
    if (!isAsked) return { ...draft, publishes: false };
    throw new ActionError(
      "`finish`: a pull request needs a repository, and there is none. Name one in `repository_url`, or leave `finish` out. Nothing was sent.",
    );
  }
  // By the settings alone it is opened where that can be done.
  if (!capabilities.state().description?.start.takesPullRequest && !isAsked)
    return { ...draft, publishes: false };
  const isLet = settings.engine === "local" && settings.enginePush === "on";
  if (settings.finish === "pull_request" || isLet) return { ...draft, publishes: true };
  const where = await findTarget(repositoryUrl, context);
  const key = `publish ${where}`;
  // Without forms they have been told in the answer before.
  const confirm = elsewhere.shown.get(call.person, key) === key ? args.confirm : undefined;
  const what = task.names === "plan" ? "the plan" : "the run";
  const { confirm: _confirm, ...others } = args;
  const again = task.startAgain({ ...others, ...settledOf(values) }, "");
  const ended = await confirmWithPerson(
    {
      action: task.names === "plan" ? "plan" : "run",
      deed: `Push the work to ${where} and open a pull request there when ${what} succeeds`,
      detail: "Others can see it then. The pull request is a draft unless your settings say otherwise.",
      tellsDetail: true,
      arguments: again.arguments,
      confirm,
      untouched: "Nothing was sent and no run was started.",
    },
    call,
  );
  if (ended?.outcome === "input_required") elsewhere.shown.keep(call.person, key, key);
  return ended ?? { ...draft, publishes: true };
};

function settledOf(values: StartValues | undefined) {
  if (!values) return {};
  const { workflowName, sessionName, repositoryUrl, gitBranch } = values;
  return {
    workflow_name: workflowName || undefined,
    session_name: sessionName,
    repository_url: repositoryUrl,
    git_branch: gitBranch,
  };
}

/** Where it is pushed to, as a person knows it. */
async function findTarget(repositoryUrl: string, { call, services }: StepContext): Promise<string> {
  if (!isLocalRepository(repositoryUrl)) return publicRepositoryUrl(repositoryUrl) ?? "its repository";
  const address = await services.git.findPushAddress(repositoryUrl, call.signal);
  return address ?? "the remote of that repository";
}
