import { randomUUID } from "node:crypto";
import { cleanLine } from "../../shared/text.js";
import type { Clone } from "./clones.js";
import { explain, type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import { describeFiles } from "./ignored-work.js";
import { forgetMove, noteMove } from "./move-notes.js";
import { moveOverOwn } from "./move-over-own.js";
import { filteredPaths, filterNames, findCheckout, withoutPrograms } from "./person-checkout.js";
import { createPersonRepository } from "./person-repository.js";
import { pushTo } from "./push.js";
import { createRefs } from "./refs.js";
import type { OpenedLocal, Repository } from "./repository.js";

/** More changed files than this are not looked at one by one. */
const MAX_FILES = 2_000;

/**
 * Moves a branch that a person has checked out forward to a commit that contains it, with its files, as `git merge
 * --ff-only` there would: changes that are not committed stay, and where one is in the way nothing happens. No hook
 * runs, and no filter: a repository that needs one for these files is left alone.
 * @param move.own what the person had not committed when the session began, where it is in what is taken: as long as it
 * lies there as it was, it is not in the way
 * @param move.holder the worktree's folder, as the repository names it
 * @param move.notes a folder in which the move is noted while it goes on, for `finishMoves`
 * @returns why it was not done, as a clause; undefined when it was
 * @throws WorkspaceError when git was stopped
 */
export async function moveCheckout(
  git: GitRunner,
  clone: Clone,
  move: {
    repository: Repository;
    opened: OpenedLocal;
    holder: string;
    branch: string;
    commit: string;
    own?: { commit: string; folder: string } | undefined;
    notes: string;
  },
): Promise<string | undefined> {
  const { repository, opened, holder, branch, commit, own, notes } = move;
  const at = await findCheckout(repository, opened, holder);
  if (!at) return `${branch} is checked out in ${holder}, where the engine must not write`;
  const refs = createRefs(git, at);
  if ((await refs.current()) !== branch) return `${branch} was checked out in ${holder}, and is no more`;
  const from = await refs.commit("HEAD");
  const movedOn = `${branch} has moved on meanwhile`;
  // As of now: whoever has it checked out may have committed since it was fetched.
  if (from !== undefined && !(await createRefs(git, clone.at).contains(commit, from))) return movedOn;
  const problem = await filtersInTheWay(git, clone, at, from, commit);
  if (problem) return problem;
  // The commit must be there before the branch is: below a name of its own, which is no branch, and taken away again.
  const carrier = `refs/automagik/${randomUUID()}`;
  const link = await createPersonRepository(git, opened).linkInTheWay(branch, carrier);
  if (link) return `${link} in its git folder is a link, and nothing is written through links`;
  const { commonDir } = opened;
  const note = { version: 1, carrier, commonDir, gitDir: at.worktree.gitDir, branch, to: commit } as const;
  await noteMove(notes, note);
  try {
    const { refusal } = await pushTo(git, clone, { repository, opened, ref: carrier, commit });
    if (refusal !== undefined) return refusal;
    // All that settings of the branch could say otherwise.
    const plain = ["--no-squash", "--commit", "--no-verify-signatures", "--no-autostash", "--no-stat"];
    const args = ["merge", "--ff-only", "--quiet", ...plain, "--no-overwrite-ignore", commit];
    const over = own && { at, branch, from, to: commit, own: own.commit, folder: own.folder, note, notes };
    // Onto no commit git would also take ignored files away.
    if (over && from === undefined) return await moveOverOwn(git, clone, over);
    const told = await git(args, { at, env: await withoutPrograms(git, at) });
    if (told.code === 0) return undefined;
    if ((await refs.commit("HEAD")) !== from) return movedOn;
    if (over) return await moveOverOwn(git, clone, over);
    const files = told.problem.split("\n").flatMap((line) => /^\t(.+)$/.exec(line)?.[1] ?? []);
    if (files.length > 0)
      return `it would overwrite what is not committed in ${holder}: ${cleanLine(describeFiles(files))}`;
    return explain(told);
  } finally {
    await git(["update-ref", "-d", carrier, commit], { at: { clone: commonDir } });
    await forgetMove(notes, note);
  }
}

/** Why files that change would come out wrong without their filters, as a clause; undefined where they do not. */
async function filtersInTheWay(
  git: GitRunner,
  clone: Clone,
  at: WorktreeLocation,
  from: string | undefined,
  to: string,
): Promise<string | undefined> {
  if ((await filterNames(git, at)).length === 0 || from === undefined) return undefined;
  const list = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to];
  const what = "The files that change could not be listed";
  const text = await mustGit(git, what, list, { at: clone.at, separator: "\0" });
  const files = text.split("\0").filter((path) => path !== "");
  const needs = "its files pass a filter (Git LFS or the like), which the engine does not run";
  if (files.length > MAX_FILES || files.some((path) => /(^|\/)\.gitattributes$/.test(path))) return needs;
  if (files.length === 0) return undefined;
  return (await filteredPaths(git, at, files)).size > 0 ? needs : undefined;
}
