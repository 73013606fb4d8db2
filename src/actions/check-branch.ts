import { ActionError } from "./answer.js";
import { type RunValues, shortMessage } from "./ask.js";
import type { Call, Services } from "./define-action.js";
import type { Continuation, RunArguments } from "./run.js";

/**
 * Looks whether the repository has the branch that was named, before a run on the wrong commit is paid for. What can't
 * be found out in time passes; so does the branch that the session has already.
 * @returns the branch as the repository spells it, and what to say in the answer
 * @throws ActionError when the name is a tag, a commit, or too much like another branch
 */
export async function checkBranch(
  given: RunValues,
  { args, continuation }: { args: RunArguments; continuation: Continuation | undefined },
  call: Call,
  services: Services,
): Promise<{ gitBranch: string; branchNote: string }> {
  const { repositoryUrl, gitBranch } = given;
  const asIs = { gitBranch, branchNote: "" };
  if (!repositoryUrl || !gitBranch || gitBranch === continuation?.gitBranch) return asIs;
  const looked = await services.git.findBranch(repositoryUrl, gitBranch, call.signal);
  if (!looked) return asIs;
  const { found, defaultBranch } = looked;
  switch (found.kind) {
    case "there": {
      const isSame = found.name.normalize() === gitBranch.normalize();
      const branchNote = isSame ? "" : ` ${gitBranch} was taken to mean the branch ${found.name}.`;
      return { gitBranch: found.name, branchNote };
    }
    case "none":
      return { gitBranch: "", branchNote: ` There is no branch "${gitBranch}", so none counts as named.` };
    case "new": {
      const base = defaultBranch ? `the default branch, ${defaultBranch}` : "the default branch";
      const made =
        services.settings.engine === "local"
          ? `unless an earlier session has made it, it is made from ${base}`
          : "what the run begins with is for the server to say";
      return { gitBranch: found.name, branchNote: ` The repository has no branch ${found.name}: ${made}.` };
    }
    case "refused": {
      const { git_branch: _refused, ...others } = args;
      throw new ActionError(
        `\`git_branch\` ${JSON.stringify(gitBranch)}: ${found.problem} Nothing was sent.`,
        {
          action: "run",
          arguments: {
            ...others,
            workflow_name: given.workflowName,
            ...(continuation ? {} : { session_name: given.sessionName, repository_url: repositoryUrl }),
            ...shortMessage(args),
          },
          reason: "Ask the person for a git_branch that passes; their other answers are kept here.",
        },
      );
    }
  }
}
