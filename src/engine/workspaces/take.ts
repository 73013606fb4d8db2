import { cleanLine } from "../../shared/text.js";
import type { Clone } from "./clones.js";
import { askGit, type GitRunner, mustGit } from "./git-runner.js";
import { identityEnv } from "./git-settings.js";
import { moveCheckout } from "./move-checkout.js";
import { createPersonRepository } from "./person-repository.js";
import { isDiverged, pushCommit } from "./push.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";

/** What is to be merged, and into what. */
export interface TakeRequest {
  repository: Repository;
  /** Just fetched: it knows what the repository has by now. */
  clone: Clone;
  commit: string;
  /** What the commits are called in the merge's message and in what is told. */
  from: string;
  /** A branch of the repository. */
  into: string;
  pushAllowed: boolean;
  /** One commit with this message in place of the session's own ones. */
  squash?: string | undefined;
  /** A branch that the person has checked out is moved as well, with its files; noted in that folder meanwhile. */
  movesCheckout?: { notes: string };
  /** The session's commit with what the person had not committed, and a folder for files that are needed meanwhile. */
  own?: { commit: string; folder: string } | undefined;
}

/** What came of it. */
export type Taken =
  | { taken: true; commit: string }
  /** A clause behind "Nothing was merged:". */
  | { taken: false; reason: string; conflicts?: string[] }
  /** The branch has all of it, and stands at that commit. */
  | { taken: false; reason: string; hadAll: string }
  /** The branch is checked out in that folder. */
  | { taken: false; holder: string };

interface Tools {
  git: GitRunner;
  env: NodeJS.ProcessEnv;
}

/** A merge that is in the engine's clone, and on no branch yet. */
export interface PreparedMerge {
  commit: string;
  /** What the branch stood on; undefined in a repository that had no commits. */
  base: string | undefined;
}

const not = (reason: string) => ({ taken: false as const, reason });

/**
 * Merges commits into a branch of the repository: prepared in the clone, and then the branch is moved forward in one
 * step, or not at all. A branch that is checked out is left alone unless it is to be moved as well.
 * @throws WorkspaceError when git was stopped or fails unexpectedly
 */
export async function takeWork(tools: Tools, request: TakeRequest): Promise<Taken> {
  const prepared = await prepareMerge(tools, request);
  return "taken" in prepared ? prepared : bringMerge(tools, request, prepared);
}

/**
 * Makes the commit that the branch is to be moved to, and moves nothing.
 * @returns what stands in the way, where something does
 * @throws WorkspaceError when git was stopped or fails unexpectedly
 */
export async function prepareMerge(
  { git, env: own }: Tools,
  request: TakeRequest,
): Promise<PreparedMerge | (Taken & { taken: false })> {
  const { repository, clone, commit, from, into } = request;
  const refs = createRefs(git, clone.at);
  if (!repository.local && !request.pushAllowed)
    return not(`${into} is at the remote, and pushing is not allowed (ENGINE_PUSH)`);

  const base = await refs.remote(into);
  if (base && (await refs.contains(base, commit)))
    return { ...not(`${into} has all of this work already`), hadAll: base };
  const message = `Merge ${from === commit ? commit.slice(0, 10) : `branch '${from}'`} into ${into}`;
  const env = await identityEnv(git, clone.at, own);
  const join = { base: base ?? "", commit, own: request.own?.commit, message, env };
  const joined = base === undefined ? { commit } : await joinWith(git, clone, join);
  if ("conflicts" in joined) {
    const conflicts = joined.conflicts.map((path) => cleanLine(path, 500));
    const files = `${conflicts.slice(0, 5).join(", ")}${conflicts.length > 5 ? ", …" : ""}`;
    return { taken: false, reason: `it conflicts with ${into} in ${files}`, conflicts };
  }
  const made = request.squash
    ? await squashOnto(git, clone, { base, tree: joined.commit, message: request.squash, env })
    : joined.commit;
  return { commit: made, base };
}

/**
 * Moves the branch to a prepared merge, forward only.
 * @throws WorkspaceError when git was stopped or fails unexpectedly
 */
export async function bringMerge(
  { git }: Tools,
  request: TakeRequest,
  { commit, base }: PreparedMerge,
): Promise<Taken> {
  const { repository, clone, into, movesCheckout } = request;
  const refs = createRefs(git, clone.at);
  if ((await refs.remote(into)) !== base) return not(`${into} has moved on meanwhile`);
  const opened = await repository.open?.();
  try {
    const person = opened && createPersonRepository(git, opened);
    const holder = (await person?.checkedOut())?.get(into);
    if (holder !== undefined && opened && movesCheckout) {
      const hasOwn = request.own && (await refs.contains(request.commit, request.own.commit));
      const own = hasOwn ? request.own : undefined;
      const move = { repository, opened, holder, branch: into, commit, own, ...movesCheckout };
      const problem = await moveCheckout(git, clone, move);
      return problem === undefined ? { taken: true, commit } : not(problem);
    }
    if (holder !== undefined) return { taken: false, holder };
    const link = await person?.linkInTheWay(into);
    if (link !== undefined)
      return not(`${link} in its git folder is a link, and nothing is written through links`);
    const pushed = { repository, opened, branch: into, commit };
    const refusal = await pushCommit(git, clone, pushed).catch((error: Error) => {
      return `the push was interrupted, so it is unknown whether ${into} has the commits. ${error.message}`;
    });
    if (refusal === undefined) return { taken: true, commit };
    if (isDiverged(refusal)) return not(`${into} has moved on meanwhile`);
    return not(repository.local ? refusal : `the push was refused: ${refusal}`);
  } finally {
    await opened?.close();
  }
}

/** So many of the newest commits of the base are looked at for the person's own changes. */
const MAX_LOOKED_AT = 200;

/**
 * One commit with the work of both, as `Refs.join`. Where the person has committed just what was taken along
 * meanwhile, that is where the two have parted: else the same lines would be in conflict with themselves.
 */
async function joinWith(
  git: GitRunner,
  { at }: Clone,
  of: { base: string; commit: string; own: string | undefined; message: string; env: NodeJS.ProcessEnv },
): Promise<{ commit: string } | { conflicts: string[] }> {
  const { base, commit, own, message, env } = of;
  const refs = createRefs(git, at);
  const parted =
    own !== undefined && (await refs.contains(commit, own))
      ? await findSameTree(git, at, own, base)
      : undefined;
  if (parted === undefined) return refs.join(base, commit, message, env);
  const what = "The merge could not be prepared";
  const call = { at, env };
  const there = (
    await mustGit(git, what, ["commit-tree", `${commit}^{tree}`, "-p", parted, "-m", message], call)
  ).trim();
  const joined = await refs.join(base, there, message, env);
  if ("conflicts" in joined) return joined;
  const made = ["commit-tree", `${joined.commit}^{tree}`, "-p", base, "-p", commit, "-m", message];
  return { commit: (await mustGit(git, what, made, call)).trim() };
}

/** The newest commit of the base, and not of the person's own commit, that has the very same files as that. */
async function findSameTree(
  git: GitRunner,
  at: Clone["at"],
  own: string,
  base: string,
): Promise<string | undefined> {
  const tree = await askGit(git, ["rev-parse", `${own}^{tree}`], { at });
  const list = [
    "rev-list",
    `--max-count=${MAX_LOOKED_AT}`,
    "--no-commit-header",
    "--format=%T %H",
    base,
    "--not",
    own,
  ];
  const lines = ((await askGit(git, list, { at })) ?? "").split("\n");
  return lines
    .find((line) => tree !== undefined && line.startsWith(`${tree} `))
    ?.slice((tree?.length ?? 0) + 1);
}

/** One commit on the base with the content of another. */
async function squashOnto(
  git: GitRunner,
  { at }: Clone,
  of: { base: string | undefined; tree: string; message: string; env: NodeJS.ProcessEnv },
): Promise<string> {
  const parent = of.base ? ["-p", of.base] : [];
  const args = ["commit-tree", `${of.tree}^{tree}`, ...parent, "-m", of.message];
  return (await mustGit(git, "The squashed commit could not be made", args, { at, env: of.env })).trim();
}
