import { rm, stat } from "node:fs/promises";
import type { Clone } from "./clones.js";
import { type FoundWork, findWork } from "./find-work.js";
import { askGit, type GitRunner, mustGit, type WorktreeLocation } from "./git-runner.js";
import type { PackedWork } from "./moving-types.js";
import { isOwnBranch, type SessionRecord } from "./records.js";
import { createRefs, type Refs } from "./refs.js";
import { unfinishedStep } from "./worktrees.js";

/** Only while one is made; the repository is whoever's makes it. */
const REF = "refs/automagik/bundle";

/**
 * Packs the commits of a session that its base branch, as the remote has it, lacks. Whoever calls has the repository to
 * itself.
 * @param options.file the bundle is written there; it is removed again where it is too large
 * @param options.pushedAs the branch of a remote that has just been seen to have all of it
 * @param options.known of this commit there is a bundle already: none is made then
 * @throws WorkspaceError when git can't tell
 */
export async function packWork(
  git: GitRunner,
  options: {
    clone: Clone;
    at: WorktreeLocation | undefined;
    record: SessionRecord;
    address: string;
    file: string;
    limitBytes: number;
    pushedAs: string | undefined;
    known: string | undefined;
  },
): Promise<PackedWork> {
  const { clone, at, record, file, pushedAs } = options;
  const found = await findWork(git, { clone, at, record });
  const { baseBranch = record.baseBranch } = found ?? {};
  const branch = found && found.from !== found.commit ? found.from : record.branch;
  let tip = await findTip(git, options, found);
  const about = {
    repository: options.address,
    ...(branch && { branch }),
    ...(baseBranch && { baseBranch }),
    isOwn: branch !== undefined && isOwnBranch(record, branch),
    ...(record.ownCommit && { ownCommit: record.ownCommit }),
  };
  const nothing: PackedWork = { kind: "base", ...about, ...(tip && { tip }), commits: 0, bytes: 0 };
  if (tip === undefined) return nothing;
  const refs = createRefs(git, clone.at);
  const base = baseBranch === undefined ? undefined : await refs.remote(baseBranch);
  // A base that is only here is part of what has to be packed.
  const beyond = base === undefined ? ["--remotes=origin"] : [base];
  let commits = await refs.count(tip, beyond);
  // The agent has left the worktree on another branch, which has nothing; the work is on the session's own.
  const own = commits === 0 && record.branch ? await refs.local(record.branch) : undefined;
  if (own && own !== tip && record.branch) {
    commits = await refs.count(own, beyond);
    if (commits > 0) {
      tip = own;
      about.branch = record.branch;
    }
  }
  const parted = base && (await askGit(git, ["merge-base", base, tip], { at: clone.at }));
  const work = { ...about, tip, commits, ...(parted && { baseCommit: parted }), bytes: 0 };
  if (commits === 0) return { ...nothing, ...work };
  if (pushedAs !== undefined && (await isThere(refs, pushedAs, tip)))
    return { kind: "pushed", ...work, deliveredAs: pushedAs };
  const packed = { ...work, ...(record.deliveredAs && { deliveredAs: record.deliveredAs }) };
  if (options.known === tip) return { kind: "bundle", ...packed };
  const bytes = await makeBundle(git, clone, { tip, beyond, file });
  if (bytes <= options.limitBytes) return { kind: "bundle", ...packed, bytes };
  await rm(file, { force: true });
  return { kind: "large", ...packed, bytes };
}

/** In the middle of a rebase or the like it is what the branch still has. */
async function findTip(
  git: GitRunner,
  { clone, at, record }: { clone: Clone; at: WorktreeLocation | undefined; record: SessionRecord },
  found: FoundWork | undefined,
): Promise<string | undefined> {
  const isUnfinished = at !== undefined && (await unfinishedStep(at)) !== undefined;
  const onBranch = isUnfinished && record.branch && (await createRefs(git, clone.at).local(record.branch));
  return onBranch || found?.commit;
}

async function isThere(refs: Refs, branch: string, tip: string): Promise<boolean> {
  const remote = await refs.remote(branch);
  return remote !== undefined && (await refs.contains(remote, tip));
}

/** @returns its size in bytes */
async function makeBundle(
  git: GitRunner,
  { at }: Clone,
  { tip, beyond, file }: { tip: string; beyond: readonly string[]; file: string },
): Promise<number> {
  const what = "The session's commits could not be packed";
  await mustGit(git, what, ["update-ref", REF, tip], { at });
  try {
    await mustGit(git, what, ["bundle", "create", "--quiet", file, REF, "--not", ...beyond], { at });
  } finally {
    await git(["update-ref", "-d", REF], { at });
  }
  return (await stat(file)).size;
}
