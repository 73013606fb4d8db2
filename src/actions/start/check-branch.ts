import { isLocalRepository } from "../../shared/git/repository-address.js";
import { ActionError } from "../answer.js";
import type { StartDraft, Step } from "./draft.js";

/**
 * Looks whether the repository has the branch that was named, before a run on the wrong commit is paid for. What can't
 * be found out in time passes; so does the branch that the session has already. The branch is then named as the
 * repository spells it.
 * @throws ActionError when the name is a tag, a commit, or too much like another branch
 */
export const checkBranch: Step = async (draft, { call, services, task }) => {
  const { args, values, continuation } = draft;
  if (!values || draft.branchNote !== undefined) return draft;
  const { repositoryUrl, gitBranch } = values;
  const settle = (branch: string, branchNote: string): StartDraft => ({
    ...draft,
    values: { ...values, gitBranch: branch },
    branchNote,
  });
  if (!repositoryUrl || !gitBranch || gitBranch === continuation?.gitBranch) return settle(gitBranch, "");
  if (isLocalRepository(repositoryUrl)) {
    const here = await services.git.describeFolder(repositoryUrl, call.signal);
    // What is checked out is not moved, so the work gets a branch of its own, which begins there.
    return settle(!continuation && here?.branch === gitBranch ? "" : gitBranch, "");
  }
  const looked = await services.git.findBranch(repositoryUrl, gitBranch, call.signal);
  if (!looked) return settle(gitBranch, "");
  const { found, defaultBranch } = looked;
  switch (found.kind) {
    case "there": {
      // The engine brings nothing to the default branch but a merge: two sessions at once could not both be on it.
      const isBase = services.settings.engine === "local" && found.name === defaultBranch;
      if (isBase && !continuation) return settle("", "");
      const isSame = found.name.normalize() === gitBranch.normalize();
      return settle(found.name, isSame ? "" : ` ${gitBranch} was read as the branch ${found.name}.`);
    }
    case "none":
      return settle("", ` There is no branch "${gitBranch}", so the default branch is used.`);
    case "new": {
      if (task.beginsAtBranch)
        throw new ActionError(
          `\`git_branch\` ${JSON.stringify(gitBranch)}: the repository has no such branch, at which the work would begin. Nothing was sent.`,
          task.startAgain(
            {
              ...args,
              session_name: values.sessionName,
              repository_url: repositoryUrl,
              git_branch: undefined,
            },
            "Ask the person for another git_branch; their other answers are kept here.",
          ),
        );
      const base = defaultBranch ? `the default branch, ${defaultBranch}` : "the default branch";
      const made =
        services.settings.engine === "local"
          ? `unless an earlier session has made it, it is made from ${base}`
          : "which commit the run starts from is up to the server";
      return settle(found.name, ` The repository has no branch ${found.name}: ${made}.`);
    }
    case "refused": {
      const { git_branch: _refused, ...others } = args;
      throw new ActionError(
        `\`git_branch\` ${JSON.stringify(gitBranch)}: ${found.problem} Nothing was sent.`,
        task.startAgain(
          {
            ...others,
            workflow_name: values.workflowName,
            ...(continuation ? {} : { session_name: values.sessionName, repository_url: repositoryUrl }),
          },
          "Ask the person for another git_branch; their other answers are kept here.",
        ),
      );
    }
  }
};
