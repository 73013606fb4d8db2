import type { Settings } from "../../settings/settings.js";
import {
  checkBranchName,
  checkLocalRepository,
  checkRepositoryUrl,
  isLocalRepository,
} from "../../shared/git/repository-address.js";
import { ActionError } from "../answer.js";
import type { Step } from "./draft.js";

/**
 * Rules between arguments and forms of addresses and branches, checked before anything is asked or sent.
 * @throws ActionError naming the argument, the value and the rule
 */
export const checkArguments: Step = async (draft, { services }) => {
  const { args } = draft;
  if (args.temp_workspace) {
    const clashing = [
      args.repository_url ? "repository_url" : "",
      args.git_branch ? "git_branch" : "",
      args.auto_merge ? "auto_merge" : "",
      args.finish === "merge" || args.finish === "pull_request" ? "finish" : "",
      args.uncommitted ? "uncommitted" : "",
    ].filter(Boolean);
    if (clashing.length > 0) {
      throw new ActionError(
        `\`temp_workspace\` is a temporary folder and cannot be used with ${clashing.map((name) => `\`${name}\``).join(" and ")}. ` +
          "Leave one or the other out. Nothing was sent.",
      );
    }
  }
  if (args.finish !== undefined && args.auto_merge !== undefined) {
    if ((args.finish === "merge") !== args.auto_merge)
      throw new ActionError(
        "`finish` and `auto_merge` say different things about the same: give one of them. Nothing was sent.",
      );
  }
  if (args.continue_session && args.session_id) {
    throw new ActionError(
      "`continue_session` and `session_id` both name the conversation to continue: give one of them. Nothing was sent.",
    );
  }
  if (args.model && !/^[A-Za-z0-9][\w.:/@[\]-]{0,99}$/.test(args.model)) {
    throw new ActionError(
      `\`model\` ${JSON.stringify(args.model)} cannot be the name of a model. Nothing was sent.`,
    );
  }
  if (args.uncommitted && (args.continue_session || args.session_id)) {
    throw new ActionError(
      "`uncommitted` is for a new session: one that is continued goes on with its own files. Leave it out, or start a new session. Nothing was sent.",
    );
  }
  checkPlace(args.repository_url, args.git_branch, services.settings);
  if (args.session_name !== undefined) checkSessionName(args.session_name);
  return draft;
};

/**
 * A local path is an address only where the runs are carried out on this machine.
 * @throws ActionError when the repository's address or the branch cannot be what it should be; "" is fine
 */
export function checkPlace(
  repositoryUrl: string | undefined,
  gitBranch: string | undefined,
  settings: Pick<Settings, "engine">,
): void {
  if (repositoryUrl) {
    const isLocal = settings.engine === "local" && isLocalRepository(repositoryUrl);
    const checked = isLocal ? checkLocalRepository(repositoryUrl) : checkRepositoryUrl(repositoryUrl);
    // The value itself is not repeated: it may carry a password.
    if (!checked.ok) throw new ActionError(`\`repository_url\`: ${checked.problem} Nothing was sent.`);
  }
  if (gitBranch) {
    const checked = checkBranchName(gitBranch);
    if (!checked.ok) {
      throw new ActionError(
        `\`git_branch\` ${JSON.stringify(gitBranch)}: ${checked.problem} Nothing was sent.`,
      );
    }
  }
}

/** @throws ActionError for a name that could not be shown or found again */
export function checkSessionName(name: string): void {
  if (name.length > 100 || /[\u0000-\u001f\u007f]/.test(name)) {
    throw new ActionError(
      `\`session_name\` ${JSON.stringify(name.slice(0, 120))}: at most 100 characters on one line. Nothing was sent.`,
    );
  }
}
