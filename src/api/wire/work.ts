import type { Work } from "../types.js";
import { address, compact, count, line } from "./fields.js";

/** Commits that are kept; of more the number is told. */
const MAX_COMMITS = 50;
const PLACES: readonly Work["deliveredTo"][] = ["repository", "remote", "engine"];

/** The work of a run as a status tells it; undefined where it says nothing that can be used. */
export function toWork(wire: Record<string, unknown> | null | undefined): Work | undefined {
  const branch = line(wire?.branch, 250);
  const deliveredTo = PLACES.find((place) => place === wire?.delivered_to);
  if (!wire || branch === undefined || deliveredTo === undefined) return undefined;
  const commits = (Array.isArray(wire.commits) ? wire.commits : []).slice(0, MAX_COMMITS).flatMap((one) => {
    const id = line(one?.id, 64);
    return id === undefined ? [] : [{ id, title: line(one?.title, 200) ?? "" }];
  });
  return compact<Work>({
    branch,
    baseBranch: line(wire.base_branch, 250),
    baseCommit: line(wire.base_commit, 64),
    headCommit: line(wire.head_commit, 64),
    commits,
    commitCount: count(wire.commit_count) ?? commits.length,
    files: count(wire.files),
    insertions: count(wire.insertions),
    deletions: count(wire.deletions),
    deliveredTo,
    where: address(wire.where),
    mergedInto: line(wire.merged_into, 250),
    problem: line(wire.problem, 2_000),
    uncommitted: wire.uncommitted === true ? true : undefined,
    worktree: line(wire.worktree, 2_000),
  });
}
