import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkBranchName } from "../../shared/git/repository-address.js";
import { ensurePrivateFolder } from "../../shared/private-files.js";
import type { Clones, FetchedClone } from "./clones.js";
import { explain, type GitCall, type GitRunner, mustGit } from "./git-runner.js";
import type { MovedWork, PackedWork } from "./moving-types.js";
import { OWN_BRANCHES } from "./names.js";
import { readRefs } from "./ref-list.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";
import { WorkspaceError } from "./types.js";
import { holderOf } from "./worktrees.js";

/** Where a session goes on here. */
export interface BroughtWork {
  /** The branch in this clone; undefined where it is the one that the run asks for. */
  branch?: string;
  /** The session's alone. */
  isOwn: boolean;
  /** The branch that a new one is made from. */
  from?: string;
  notices: string[];
}

interface Tools {
  git: GitRunner;
  clones: Clones;
  /** For bundles and what they are looked at in; private. */
  folder: string;
}

/** Names that are tried for its branch. */
const MAX_NAMES = 9;

/**
 * Brings what a session has committed on another machine into the clone, on its branch or, where that name has other
 * commits here, on another one. Whoever calls has the repository to itself.
 * @param clone as it has just been fetched; its refs are as they are afterwards
 * @param asked the branch that the run asks for
 * @throws WorkspaceError when the commits cannot be had; the clone is as it was then
 */
export async function bringWork(
  { git, clones, folder }: Tools,
  repository: Repository,
  clone: FetchedClone,
  { work, writeBundle, startFrom }: MovedWork,
  asked: string | undefined,
): Promise<BroughtWork> {
  if (work) refuseUnsound(work);
  const { at } = clone;
  const named = work?.branch ?? asked;
  const isOwn = work?.isOwn ?? named?.startsWith(`${OWN_BRANCHES}/`) ?? false;
  const wantedBase = work?.baseBranch ?? startFrom;
  const from = wantedBase !== undefined && clone.refs.remote.has(wantedBase) ? { from: wantedBase } : {};
  let start: string | undefined;
  if (work?.kind === "pushed") start = await findPushed(git, clone, work);
  if (work?.kind === "bundle" && work.tip && writeBundle)
    start = await unpack(git, clone, { folder, tip: work.tip, writeBundle });
  // A branch that others have, too, is taken as it is by now.
  if (named === undefined || (start === undefined && !isOwn)) return { isOwn, ...from, notices: [] };
  const branch = await chooseName(git, clone, { named, start, isOwn });
  if (start !== undefined) {
    const refs = createRefs(git, at);
    if (wantedBase !== undefined && wantedBase !== branch) clone.record.bases[branch] = wantedBase;
    // Written first: a base without its branch does no harm.
    clones.save(repository, clone.record);
    const local = await refs.local(branch);
    if (local !== start) await refs.move(branch, start, local);
    clone.refs = await readRefs(git, at);
  }
  const renamed = `The branch ${named} has other commits on this machine, so the session continues on ${branch} here.`;
  return { branch, isOwn, ...from, notices: branch === named ? [] : [renamed] };
}

/** What git is given comes from a database that others write, too. @throws WorkspaceError */
function refuseUnsound({ branch, baseBranch, deliveredAs, tip, ownCommit }: PackedWork): void {
  const names = [branch, baseBranch, deliveredAs].every(
    (name) => name === undefined || checkBranchName(name).ok,
  );
  const commits = [tip, ownCommit].every((id) => id === undefined || /^[0-9a-f]{40,64}$/.test(id));
  if (names && commits) return;
  throw new WorkspaceError("What the database has of the session's branch is damaged. Nothing was changed.");
}

/** @throws WorkspaceError when the repository does not have them any more */
async function findPushed(git: GitRunner, { at }: FetchedClone, work: PackedWork): Promise<string> {
  const { tip = "", branch = "", deliveredAs = branch } = work;
  const refs = createRefs(git, at);
  const remote = await refs.remote(deliveredAs);
  if (remote !== undefined && (await refs.contains(remote, tip))) return remote;
  // It was merged, and the branch taken away.
  if ((await refs.commit(tip)) !== undefined && (await refs.count(tip, ["--remotes"])) === 0) return tip;
  throw new WorkspaceError(
    `The session's commits were pushed as the branch ${deliveredAs}, and the repository does not have the newest of them (${tip.slice(0, 10)}) any more. They are on the machine where the session has worked.`,
  );
}

/**
 * A bundle is data like any other that comes from outside: it is unpacked beside the clone, and fetched from there as
 * from a stranger, with every object looked at. (A fetch out of the bundle itself looks at none, up to git 2.45.)
 * @returns its tip
 * @throws WorkspaceError when it is damaged, not the expected one, or made for another history
 */
async function unpack(
  git: GitRunner,
  { at }: FetchedClone,
  bundle: { folder: string; tip: string; writeBundle: (file: string) => Promise<void> },
): Promise<string> {
  const { tip } = bundle;
  const place = join(bundle.folder, randomUUID());
  const file = join(place, "work.bundle");
  const beside = join(place, "beside.git");
  const ref = "refs/automagik/moved";
  const failed = "What the session has committed on another machine could not be brought here";
  try {
    await ensurePrivateFolder(place);
    await bundle.writeBundle(file);
    const format = tip.length === 64 ? "sha256" : "sha1";
    const init = ["init", "--quiet", "--bare", "--template=", `--object-format=${format}`];
    await mustGit(git, failed, [...init, "--", beside]);
    await writeFile(join(beside, "objects", "info", "alternates"), `${join(at.clone, "objects")}\n`);
    const inside: GitCall = { at: { clone: beside } };
    const verified = await git(["bundle", "verify", "--quiet", file], { at });
    if (verified.code !== 0)
      throw new WorkspaceError(
        `${failed}: ${/lacks these prerequisite/i.test(verified.problem) ? "the repository lacks the commits that it was made from" : explain(verified)}.`,
      );
    const heads = (await mustGit(git, failed, ["bundle", "list-heads", file], inside)).trim().split("\n");
    if (heads.length !== 1 || heads[0]?.split(" ")[0] !== tip)
      throw new WorkspaceError(`${failed}: the bundle is not that of the commit ${tip.slice(0, 10)}.`);
    await mustGit(git, failed, ["bundle", "unbundle", file], inside);
    await mustGit(git, failed, ["update-ref", ref, tip], inside);
    const fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
    const checked = ["-c", "transfer.fsckObjects=true", "-c", "fetch.fsckObjects=true"];
    const remote = { address: beside, protocols: "file" };
    await mustGit(git, failed, [...checked, ...fetch, "--", beside, ref], { at, remote });
    if ((await createRefs(git, at).commit(tip)) !== tip)
      throw new WorkspaceError(`${failed}: its newest commit did not come over.`);
    return tip;
  } finally {
    await rm(place, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The session's own name, or one like it that has no other commits here and no worktree. */
async function chooseName(
  git: GitRunner,
  { at, refs: known }: FetchedClone,
  { named, start, isOwn }: { named: string; start: string | undefined; isOwn: boolean },
): Promise<string> {
  const refs = createRefs(git, at);
  for (let count = 1; count <= MAX_NAMES; count++) {
    const name = count === 1 ? named : `${named}-${count}`;
    const local = known.local.get(name);
    if (local !== undefined && (start === undefined || !(await refs.contains(start, local)))) continue;
    // A branch that others have, too, is freed as for any session that asks for it.
    if (isOwn && (await holderOf(git, at.clone, name)) !== undefined) continue;
    return name;
  }
  throw new WorkspaceError(
    `The branch ${named} and ${MAX_NAMES - 1} names like it have other commits on this machine.`,
  );
}
