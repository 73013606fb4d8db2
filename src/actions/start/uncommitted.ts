import { relative } from "node:path";
import type { ChangesThere } from "../../api/types.js";
import { ActionError, type Answer } from "../answer.js";
import { tellAutomatic, tellNotAsked } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";
import { showPath } from "./client-folders.js";
import type { StartDraft, StepContext } from "./draft.js";

const NOTHING = "Nothing was sent and no run was started.";

/** Whether the changes can be taken along by a new session, if the person agrees. */
function canBeTaken({ count, isBase, problem }: ChangesThere): boolean {
  return count > 0 && isBase && problem === undefined;
}

/**
 * The question whether what is not committed is taken along: an agent sees nothing of it that was not agreed to, so
 * that it stays out unless the person says otherwise.
 * @returns undefined where there is nothing to be taken
 */
export function askForChanges(
  changes: ChangesThere | undefined,
  repositoryUrl: string,
  home: string | undefined,
): Question | undefined {
  if (!changes || !canBeTaken(changes)) return undefined;
  const { count, branch, leftOut } = changes;
  const where = `${showPath(repositoryUrl, home)}${branch ? `, on ${branch}` : ""}`;
  const them = count === 1 ? "it" : "them";
  const others =
    leftOut > 0
      ? ` Besides, ${leftOut} ${leftOut === 1 ? "stays" : "stay"} out in any case (submodules, files that pass a filter).`
      : "";
  return {
    name: "uncommitted",
    title: `Your ${countChanges(count)}`,
    description: `In ${where}: ${nameFiles(changes)}. The agent sees what is committed, and ${them} only if you take ${them} along.${others}`,
    required: false,
    suggestion: "false",
    // The first choice is what a stray Enter takes.
    choices: [
      { value: "false", title: `Leave ${them} out` },
      {
        value: "true",
        title: `Take ${them} along as the first commit`,
      },
    ],
  };
}

/**
 * A line for a form that begins a plan, whose runs take nothing along: who reads it before anything is paid can commit
 * first. Undefined where nothing is left out.
 * @param planFile the file that the plan was read from: no agent needs it
 */
export function tellLeftOut(
  found: ChangesThere | undefined,
  repositoryUrl: string,
  home: string | undefined,
  planFile: string | undefined,
): string | undefined {
  const changes = found && withoutFile(found, planFile && relative(repositoryUrl, planFile));
  if (!changes || changes.count === 0 || !changes.isBase) return undefined;
  const where = `${showPath(repositoryUrl, home)}${changes.branch ? `, on ${changes.branch}` : ""}`;
  const [stay, them] = changes.count === 1 ? ["stays", "it"] : ["stay", "them"];
  return (
    `Your ${countChanges(changes.count)} in ${where} ${stay} out: ${nameFiles(changes)}. ` +
    `To have ${them} in the plan, commit ${them} first, and begin it then.`
  );
}

function withoutFile(changes: ChangesThere, file: string | undefined): ChangesThere {
  const files = changes.files.filter((one) => one !== file);
  return { ...changes, files, count: changes.count - (changes.files.length - files.length) };
}

/**
 * Settles whether what is not committed is taken along: as the person has said in a form, else as the call says, which
 * counts as their word in a client without forms only; else it stays out, and the answer says so.
 * @param changes as just looked at; undefined where that cannot be
 * @returns the draft, or the answer that the call ends with
 * @throws ActionError when they were to be taken and cannot be
 */
export async function settleChanges(
  draft: StartDraft,
  changes: ChangesThere | undefined,
  context: StepContext,
): Promise<StartDraft | Answer> {
  const { args, values, continuation } = draft;
  const repositoryUrl = values?.repositoryUrl ?? "";
  const said = draft.changes?.repositoryUrl === repositoryUrl ? draft.changes.taken : undefined;
  const wanted = said ?? args.uncommitted;
  const settle = (taken: boolean, changesNote: string): StartDraft => ({
    ...draft,
    changes: { repositoryUrl, taken },
    changesNote,
  });
  if (continuation) {
    const note = wanted
      ? " No uncommitted changes were taken along: a session goes on with its own files."
      : "";
    return settle(false, note);
  }
  if (!changes) {
    if (wanted)
      throw cannotBeTaken(
        "the engine cannot tell what is not committed there (no files are checked out, git takes too long, or the engine is of an earlier version)",
        draft,
        context,
      );
    return draft;
  }
  if (changes.count === 0 && changes.problem === undefined)
    return settle(false, wanted ? " There are no uncommitted changes to take along." : "");
  const { problem, isBase, branch = "no branch" } = changes;
  const yours = `Your ${countChanges(changes.count)} (${nameFiles(changes)})`;
  const were = changes.count === 1 ? "was" : "were";
  if (!isBase) {
    if (wanted) throw cannotBeTaken(`they are on ${branch}, where this work does not begin`, draft, context);
    return settle(false, "");
  }
  if (wanted === undefined) {
    const help = problem
      ? `They cannot be taken along: ${problem}.`
      : "To have them in the work, the person commits them, or agrees to a new session with `uncommitted: true`.";
    return settle(false, ` ${yours} ${were} not taken along. ${help}`);
  }
  if (!wanted) return settle(false, ` ${yours} ${were} left out.`);
  if (problem) throw cannotBeTaken(problem, draft, context);
  const agreed = said ?? (await agree(changes, repositoryUrl, context));
  if (typeof agreed !== "boolean") return agreed;
  return agreed
    ? settle(
        true,
        ` Taken along as the first commit of the work, as the files lie there when the run begins: your ${countChanges(changes.count)} (${nameFiles(changes)}).`,
      )
    : settle(false, ` ${yours} ${were} left out.`);
}

/** @throws ActionError for a start that was to take changes along where there can be none */
export function refuseChanges({ args }: StartDraft): void {
  if (args.uncommitted !== true) return;
  throw new ActionError(
    "`uncommitted` takes along what is not committed in a local repository, for an engine on the same machine. " +
      "There is none here: leave it out. Nothing was sent.",
  );
}

/** Asks the person, where the client has forms: then what the call says is not their word. */
async function agree(
  changes: ChangesThere,
  repositoryUrl: string,
  { call, services }: StepContext,
): Promise<boolean | Answer> {
  const question = askForChanges(changes, repositoryUrl, services.home);
  if (!question) return false;
  if (!call.forms.supported) return true;
  const { suggestion: _none, ...open } = question;
  const what = `Take your ${countChanges(changes.count)} in ${showPath(repositoryUrl, services.home)} along?`;
  const answer = await call.forms.ask(what, [{ ...open, required: true }]);
  const unasked = (why: string) =>
    new ActionError(
      `${what} ${why} This client can show forms, so \`uncommitted: true\` alone does not agree. ${NOTHING} ` +
        "Without it the work begins at the last commit.",
    );
  switch (answer.kind) {
    case "accepted": {
      const { uncommitted } = answer.values;
      if (uncommitted !== "true" && uncommitted !== "false")
        throw unasked("The form came back without a decision.");
      return uncommitted === "true";
    }
    case "declined":
      if (answer.byClient) throw unasked(tellAutomatic("declined"));
      return {
        outcome: "declined",
        summary: `The person declined. ${NOTHING} Do not start it again unless they ask for it.`,
      };
    case "cancelled":
      if (answer.why === "closed" && answer.byClient) throw unasked(tellAutomatic("cancelled"));
      return {
        outcome: "cancelled",
        summary: `${what} It was not answered. ${NOTHING} Ask the person before trying again.`,
      };
    case "not_asked":
      throw unasked(tellNotAsked(answer, call));
  }
}

function cannotBeTaken(why: string, { args, values }: StartDraft, { task }: StepContext): ActionError {
  const entered = values && {
    workflow_name: values.workflowName,
    session_name: values.sessionName,
    repository_url: values.repositoryUrl,
    git_branch: values.gitBranch,
  };
  return new ActionError(
    `The uncommitted changes cannot be taken along: ${why}. Nothing was sent.`,
    task.startAgain(
      { ...args, ...entered, uncommitted: false },
      "Begins at the last commit, without them. It is a paid run: ask the person first.",
    ),
  );
}

/** "3 uncommitted changes" */
function countChanges(count: number): string {
  return `${count} uncommitted change${count === 1 ? "" : "s"}`;
}

/** "a.txt, b.txt, …" */
function nameFiles({ count, files }: ChangesThere): string {
  const shown = files.slice(0, 3);
  return `${shown.join(", ")}${count > shown.length ? ", …" : ""}`;
}
