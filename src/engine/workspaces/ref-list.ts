import { type GitLocation, type GitRunner, mustGit } from "./git-runner.js";

/** Branches and tags of one bare clone, all read at once: each start of git costs more than what it reads. */
export interface RefList {
  /** The commit of each local branch, by its name. */
  local: ReadonlyMap<string, string>;
  /** The same of the remote's branches, as they were when last fetched. */
  remote: ReadonlyMap<string, string>;
  tags: readonly string[];
  /** The remote's default branch, where it is known. */
  remoteHead?: string;
}

const HEADS = "refs/heads/";
const REMOTE = "refs/remotes/origin/";
const TAGS = "refs/tags/";
/** Some half a million of them. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

/** @throws WorkspaceError when git can't tell */
export async function readRefs(git: GitRunner, at: GitLocation, signal?: AbortSignal): Promise<RefList> {
  const what = "The branches of the repository could not be read";
  const list = ["for-each-ref", "--format=%(refname)%09%(objectname)%09%(symref)", HEADS, REMOTE, TAGS];
  const call = { at, maxBytes: MAX_LISTING_BYTES, ...(signal && { signal }) };
  const local = new Map<string, string>();
  const remote = new Map<string, string>();
  const tags: string[] = [];
  let remoteHead: string | undefined;
  for (const line of (await mustGit(git, what, list, call)).split("\n")) {
    const [ref = "", object = "", target = ""] = line.split("\t");
    if (ref === `${REMOTE}HEAD`) {
      if (target.startsWith(REMOTE)) remoteHead = target.slice(REMOTE.length);
    } else if (ref.startsWith(HEADS)) local.set(ref.slice(HEADS.length), object);
    else if (ref.startsWith(REMOTE)) remote.set(ref.slice(REMOTE.length), object);
    else if (ref.startsWith(TAGS)) tags.push(ref.slice(TAGS.length));
  }
  return { local, remote, tags, ...(remoteHead !== undefined && { remoteHead }) };
}

/** The branch that new branches are made from; undefined in a repository without branches, or with none that stands out. */
export function defaultBranch({ remote, remoteHead }: RefList): string | undefined {
  const only = remote.size === 1 ? [...remote.keys()] : [];
  return [remoteHead, "main", "master", ...only].find((branch) => branch !== undefined && remote.has(branch));
}

/** True where there is no branch and no tag. */
export function isEmpty({ local, remote, tags }: RefList): boolean {
  return local.size === 0 && remote.size === 0 && tags.length === 0;
}
