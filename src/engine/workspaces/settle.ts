import { shellWord } from "../../shared/shell-word.js";
import type { Clone } from "./clones.js";
import { type Delivery, deliverNowhere, deliverWork } from "./deliver.js";
import { findWork } from "./find-work.js";
import type { GitRunner, WorktreeLocation } from "./git-runner.js";
import { uncommittedFiles } from "./loose-files.js";
import { isOwnBranch, type SessionRecord, type SessionRecords } from "./records.js";
import { defaultBranch, readRefs } from "./ref-list.js";
import type { Repository } from "./repository.js";
import { type Taken, takeWork } from "./take.js";
import type { Settled, Work } from "./types.js";
import { describeWork } from "./work.js";
import { unsavedWork } from "./worktrees.js";

interface Tools {
  git: GitRunner;
  records: SessionRecords;
  env: NodeJS.ProcessEnv;
}

/** What is at hand at the end of a run. */
export interface SettleRequest {
  /** Or why it cannot be had any more. */
  repository: Repository | { gone: string };
  clone: Clone;
  at: WorktreeLocation;
  record: SessionRecord;
  /** Merge into the base branch. */
  merge: boolean;
  pushAllowed: boolean;
  /** A pull request is opened for it afterwards. */
  publishes: boolean;
}

/**
 * Finds out what a session's worktree has beyond its base, merges it where that was asked for, and delivers it.
 * Whoever calls has the repository to itself, and the clone fetched where it is to be merged.
 * @throws WorkspaceError when git was stopped or cannot tell
 */
export async function settleWork(tools: Tools, request: SettleRequest): Promise<Settled> {
  const { git, records } = tools;
  const { clone, at, record } = request;
  const present = await findWork(git, request);
  const { from = record.branch ?? "HEAD", baseBranch = from } = { ...record, ...present };
  const { paths, all } = await uncommittedFiles(git, at);
  const uncommitted = paths.length > 0 || !all;
  const nothing = (why: string): Settled => ({
    ...(uncommitted && { work: onlyUncommitted(at, from, baseBranch) }),
    ...(request.merge && { note: `Nothing was merged: ${why}.` }),
  });
  if (!present) return nothing("there are no commits");
  const { commit, base } = present;
  const content = await describeWork(git, clone.at, commit, base, record.ownCommit);
  if (!content) return nothing(`${baseBranch} has all of this work already`);

  const found = { ...content, commit, from, baseBranch };
  const taken = request.merge ? await merge(tools, request, found) : undefined;
  const delivery = await deliver(tools, request, { ...found, isMerged: taken?.taken === true });
  if (!taken?.taken && delivery.deliveredTo !== "engine" && delivery.branch !== record.deliveredAs) {
    record.deliveredAs = delivery.branch;
    await records.write(record);
  }
  const note = taken && describeTaken(taken, baseBranch, delivery);
  const problem = [taken?.taken ? undefined : note, delivery.problem].filter(Boolean).join(" ");
  const work: Work = {
    ...content,
    branch: delivery.branch,
    baseBranch,
    deliveredTo: delivery.deliveredTo,
    where: delivery.where,
    ...(taken?.taken && { mergedInto: baseBranch }),
    ...(problem && { problem }),
    ...(uncommitted && { uncommitted }),
  };
  return { work, ...(note && { note }) };
}

/** Of a session whose changes are in no commit. */
function onlyUncommitted({ worktree }: WorktreeLocation, branch: string, baseBranch: string): Work {
  const counts = { commitCount: 0, files: 0, insertions: 0, deletions: 0 };
  const where = { deliveredTo: "engine" as const, where: worktree.path };
  const problem =
    "Nothing was committed, so there is nothing to deliver: the changes are in the worktree only.";
  return { branch, baseBranch, commits: [], ...counts, ...where, problem, uncommitted: true };
}

interface Found {
  commit: string;
  /** The branch that the worktree is on, or the commit. */
  from: string;
  baseBranch: string;
}

async function merge(tools: Tools, request: SettleRequest, found: Found): Promise<Taken> {
  const { repository, clone, at, pushAllowed } = request;
  if ("gone" in repository) return { taken: false, reason: repository.gone };
  const lost = await unsavedWork(tools.git, at);
  if (lost) return { taken: false, reason: `the worktree has ${lost}` };
  return takeWork(tools, { ...found, repository, clone, into: found.baseBranch, pushAllowed });
}

async function deliver(
  { git }: Tools,
  { repository, clone, record, pushAllowed, publishes }: SettleRequest,
  { commit, from, baseBranch, isMerged }: Found & { isMerged: boolean },
): Promise<Delivery> {
  if ("gone" in repository) return deliverNowhere({ clone, record, from }, repository.gone);
  // A branch that the session was given has nothing more to tell than its base has by now.
  if (isMerged && (from === baseBranch || isOwnBranch(record, from)))
    return {
      branch: baseBranch,
      deliveredTo: repository.local ? "repository" : "remote",
      where: repository.address,
    };
  const keptBranch = repository.local ? undefined : defaultBranch(await readRefs(git, clone.at));
  return deliverWork(git, { repository, clone, record, commit, from, pushAllowed, publishes, keptBranch });
}

/** A sentence on what came of a merge. */
function describeTaken(taken: Taken, into: string, { branch, deliveredTo }: Delivery): string {
  if (taken.taken) return `Merged into ${into} as ${taken.commit.slice(0, 10)}.`;
  if (!("holder" in taken))
    return `Nothing was merged: ${taken.reason.replace(/[.\s]+$/, "")}. The work is on ${branch}.`;
  const command = deliveredTo === "engine" ? "" : ` \`git merge ${shellWord(branch)}\` there takes it.`;
  return `Nothing was merged: ${into} is checked out in ${taken.holder}.${command}`;
}
