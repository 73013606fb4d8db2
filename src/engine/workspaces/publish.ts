import type { Clone } from "./clones.js";
import type { FoundWork } from "./find-work.js";
import { askGit, type GitRunner } from "./git-runner.js";
import { readableBranch } from "./names.js";
import { isDiverged, mayMoveTo, pushTo } from "./push.js";
import { isOwnBranch, type SessionRecord } from "./records.js";
import { defaultBranch, type RefList } from "./ref-list.js";
import { createRefs } from "./refs.js";
import { type Repository, resolveRepository } from "./repository.js";
import { WorkspaceError } from "./types.js";

/** A branch that is at a remote, where others see it. */
export interface Published {
  branch: string;
  /** Into which it is to be merged there. */
  base: string;
  commit: string;
  /** The remote's address. */
  address: string;
  /** What the host has told while it was pushed to; text of strangers. */
  told: string;
  /** The host had all of it before. */
  hadAll: boolean;
}

/** How a branch is pushed. */
export interface PushManner {
  ref: string;
  /** Options for the host, one line each. */
  options: readonly string[];
}

/** What is to be published, and where from. */
export interface PublishRequest {
  repository: Repository;
  /** Just fetched. */
  clone: Clone;
  refs: RefList;
  record: SessionRecord;
  work: FoundWork;
  /** A branch of the repository in place of the session's own. */
  branch?: string | undefined;
  /** How that branch is pushed to that address. @throws WorkspaceError where it is not to be */
  manner: (target: { address: string; branch: string; base: string }) => PushManner;
}

/** Names that are tried for one session. */
const MAX_NAMES = 9;

/**
 * Pushes a branch to the repository's remote (of a local one: where it is pushed to itself), with the person's git, and
 * never with force.
 * @throws WorkspaceError when it could not be pushed; when git was cut short it may have arrived
 */
export async function publishBranch(git: GitRunner, request: PublishRequest): Promise<Published> {
  const { repository, clone, work } = request;
  const remote = await findRemote(git, repository);
  const base = baseFor(request);
  const commit = await commitOf(git, request);
  const known = createRefs(git, clone.at);
  const baseCommit = await known.remote(base);
  if (baseCommit !== undefined && (await known.contains(baseCommit, commit)))
    throw new WorkspaceError(`${base} has all of this work already`);
  const passed: string[] = [];
  for (const branch of namesFor(request, base)) {
    const { ref, options } = request.manner({ address: remote.address, branch, base });
    const now = await readRemoteRef(git, clone, remote, `refs/heads/${branch}`);
    const isOld = now !== undefined && (now === commit || (await mayMoveTo(git, clone, commit, now)));
    const found = { branch, base, commit, address: remote.address };
    if (isOld && ref.startsWith("refs/heads/")) return { ...found, told: "", hadAll: true };
    const push = await pushTo(git, clone, { repository: remote, ref, commit, options });
    if (push.refusal === undefined) return { ...found, told: push.told, hadAll: false };
    if (!isDiverged(push.refusal)) throw new WorkspaceError(`the push was refused: ${push.refusal}`);
    passed.push(branch);
  }
  const { from } = work;
  throw new WorkspaceError(
    `${passed.join(", ") || from} has other commits at ${remote.address}, and nothing is pushed over them`,
  );
}

/** Where the repository's branches are pushed to. */
async function findRemote(git: GitRunner, repository: Repository): Promise<Repository> {
  if (!repository.local) return repository;
  const opened = await repository.open?.();
  if (!opened) throw new WorkspaceError("the repository cannot be opened");
  try {
    const at = { clone: opened.commonDir };
    const names = ((await askGit(git, ["remote"], { at })) ?? "").split("\n").filter(Boolean);
    const name = names.includes("origin") ? "origin" : names[0];
    const address =
      name === undefined ? undefined : await askGit(git, ["remote", "get-url", "--push", "--", name], { at });
    if (address === undefined)
      throw new WorkspaceError("the repository has no remote that it could be pushed to");
    const remote = await resolveRepository(address, { allowedFolders: [], git }).catch(() => undefined);
    if (!remote || remote.local)
      throw new WorkspaceError("the repository's remote is no https or ssh address, or has a password in it");
    return remote;
  } finally {
    await opened.close();
  }
}

/** A session that works on a branch of the repository itself is merged into the default one. */
function baseFor({ record, work, refs, branch }: PublishRequest): string {
  const own = branch ?? record.publishedAs ?? record.deliveredAs ?? work.from;
  const base = work.baseBranch;
  return base === own ? (defaultBranch(refs) ?? base) : base;
}

async function commitOf(git: GitRunner, { clone, work, branch }: PublishRequest): Promise<string> {
  if (branch === undefined) return work.commit;
  const commit = await createRefs(git, clone.at).remote(branch);
  if (commit === undefined) throw new WorkspaceError(`the repository has no branch ${branch}`);
  return commit;
}

/** The names under which it can be at the remote; of what is there already its own alone. */
function namesFor({ record, work, branch, refs }: PublishRequest, base: string): string[] {
  if (branch !== undefined) return [branch];
  if (record.publishedAs !== undefined) return [record.publishedAs];
  const { deliveredAs = work.from, sessionName } = record;
  const own = isOwnBranch(record, deliveredAs) ? deliveredAs : readableBranch(sessionName ?? deliveredAs);
  const others = Array.from({ length: MAX_NAMES - 1 }, (_, index) => `${own}-${index + 2}`);
  const kept = [base, defaultBranch(refs)];
  return [...new Set([deliveredAs, own, ...others])].filter((name) => !kept.includes(name));
}

async function readRemoteRef(
  git: GitRunner,
  { at }: Clone,
  remote: Repository,
  ref: string,
): Promise<string | undefined> {
  const told = await git(["ls-remote", "--", remote.address, ref], { at, remote });
  return told.code === 0 ? /^([0-9a-f]{40,64})\t/m.exec(told.text)?.[1] : undefined;
}
