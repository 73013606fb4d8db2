import { cleanLine } from "../../shared/text.js";
import { type GitLocation, type GitRunner, mustGit } from "./git-runner.js";
import type { Losses } from "./losses.js";
import { digest, OWN_BRANCHES } from "./names.js";
import type { SessionRecord } from "./records.js";
import { defaultBranch, type RefList } from "./ref-list.js";
import { createRefs } from "./refs.js";
import { checkedOut } from "./worktrees.js";

/** What would be gone with something, and where its commits are besides. */
export interface Holding {
  /** A branch of the repository that has all of its commits: one that is no session's, where there is one. */
  heldBy?: string;
  /** That branch is the session's own: it was delivered, and nobody has merged it. */
  isDelivered: boolean;
  /** It has nothing that the session has committed. */
  isUntouched: boolean;
  /** How many commits no branch of the repository has. */
  commitsOnlyHere: number;
  /** Those, newest first, at most 20: short id and title. Of `branches` their names. */
  commits: string[];
  /** Files that are in no commit. */
  files: number;
  /** The same and what else is in no commit, in words that go behind "it has". */
  losses: string[];
  /** Why it is not known what it holds. */
  problem?: string;
  /** Nothing would be lost with it. */
  safe: boolean;
  /** Changes with what it holds. */
  mark: string;
}

/** What was seen of something. */
interface Seen
  extends Pick<Holding, "heldBy" | "isDelivered" | "isUntouched" | "commitsOnlyHere" | "commits"> {
  head?: string | undefined;
  losses?: Losses;
  problem?: string | undefined;
}

/** Of something without commits and files. */
export const NOTHING: Seen = { isDelivered: false, isUntouched: true, commitsOnlyHere: 0, commits: [] };

/** @param identity what it is, for the mark */
export function describeHolding({ head, losses, problem, ...seen }: Seen, identity: string): Holding {
  const { words = [], paths = [] } = losses ?? {};
  return {
    ...seen,
    files: paths.length,
    losses: words.map((one) => cleanLine(one, 300)),
    ...(problem && { problem: cleanLine(problem, 500) }),
    safe: !problem && seen.commitsOnlyHere === 0 && words.length === 0,
    mark: digest(JSON.stringify([identity, head, seen.commitsOnlyHere, seen.commits, words, paths])),
  };
}

/** More titles than these are not told. */
const MAX_COMMITS = 20;

/**
 * Where commits are besides.
 * @param what of a session's worktree or, with its record, of its clone; of one branch of a clone; of all that it has
 * @throws WorkspaceError when git can't tell
 */
export async function lookAtCommits(
  git: GitRunner,
  at: GitLocation,
  what: SessionRecord | { branch: string } | "all" | undefined,
): Promise<Seen> {
  const refs = createRefs(git, at);
  const record = typeof what === "object" && "recordKey" in what ? what : undefined;
  const branch = typeof what === "object" ? what.branch : undefined;
  // A branch that was lent to another session has that one's commits.
  const local = branch === undefined || record?.handedOver ? undefined : await refs.local(branch);
  const head = at.worktree ? ((await refs.commit("HEAD")) ?? local) : local;
  const wanted = what === "all" ? ["--all"] : [head, local].filter((one) => one !== undefined);
  if (wanted.length === 0) return NOTHING;
  const told = "The commits that are nowhere else could not be listed";
  const shown = ["--no-commit-header", "--format=%h %s", `--max-count=${MAX_COMMITS}`];
  const not = ["--not", "--remotes"];
  const text = await mustGit(git, told, ["rev-list", ...shown, ...wanted, ...not], { at });
  const commits = text
    .split("\n")
    .filter(Boolean)
    .map((one) => cleanLine(one, 200));
  const count = (ask: string[]) => mustGit(git, told, ["rev-list", "--count", ...ask], { at });
  const commitsOnlyHere =
    commits.length < MAX_COMMITS ? commits.length : Number((await count([...wanted, ...not])).trim());
  const began = record?.runs[0]?.startCommit ?? record?.beganAt;
  const isUntouched = head !== undefined && head === began;
  if (commitsOnlyHere > 0 || head === undefined)
    return { isDelivered: false, isUntouched, commitsOnlyHere, commits, head };
  const holders = await branchesWith(git, at, head);
  const own = (name: string) => name.startsWith(`${OWN_BRANCHES}/`) || name === record?.deliveredAs;
  const { baseBranch = "" } = record ?? {};
  const heldBy =
    holders.find((name) => name === baseBranch) ??
    holders.find((name) => !own(name)) ??
    holders.find((name) => name === record?.deliveredAs) ??
    holders[0];
  return {
    ...(heldBy !== undefined && { heldBy }),
    isDelivered: heldBy !== undefined && heldBy !== baseBranch && own(heldBy),
    isUntouched,
    commitsOnlyHere,
    commits,
    head,
  };
}

/** The branches of the repository, as last fetched, that have a commit. */
async function branchesWith(git: GitRunner, at: GitLocation, commit: string): Promise<string[]> {
  const what = "The branches with a commit could not be listed";
  const list = ["for-each-ref", "--format=%(refname)", "--contains", commit, "--", REMOTE];
  return toNames(await mustGit(git, what, list, { at }));
}

const REMOTE = "refs/remotes/origin/";

function toNames(text: string): string[] {
  const refs = text.split("\n").filter((ref) => ref.startsWith(REMOTE) && ref !== `${REMOTE}HEAD`);
  return refs.map((ref) => ref.slice(REMOTE.length));
}

/**
 * The branches that sessions were given and that no session has any more: `held` are those whose commits the
 * repository has, `own` the others.
 */
export async function findLostBranches(
  git: GitRunner,
  at: GitLocation,
  { refs, live }: { refs: RefList; live: readonly SessionRecord[] },
): Promise<{ held: string[]; own: string[] }> {
  const taken = new Set(live.flatMap(({ branch, ownBranch }) => [branch, ownBranch]));
  const names = [...refs.local.keys()].filter((one) => one.startsWith(`${OWN_BRANCHES}/`) && !taken.has(one));
  const [held, own]: [string[], string[]] = [[], []];
  if (names.length === 0) return { held, own };
  const used = await checkedOut(git, at.clone);
  for (const name of names) {
    if (used.has(name)) continue;
    const count = await createRefs(git, at).count(`refs/heads/${name}`, ["--remotes"]);
    (count === 0 ? held : own).push(name);
  }
  return { held, own };
}

/**
 * The branches that sessions have left in the repository and all of whose commits another branch has: the default
 * branch, or one that a session has begun at.
 */
export async function listMerged(
  git: GitRunner,
  at: GitLocation,
  { refs, bases }: { refs: RefList; bases: readonly string[] },
): Promise<{ branch: string; commit: string; into: string }[]> {
  const main = defaultBranch(refs);
  const targets = [...(main === undefined ? [] : [main]), ...bases];
  const found = new Map<string, { branch: string; commit: string; into: string }>();
  for (const into of new Set(targets)) {
    const tip = into.startsWith(`${OWN_BRANCHES}/`) ? undefined : refs.remote.get(into);
    if (tip === undefined) continue;
    const what = "The branches that are merged could not be listed";
    const list = ["for-each-ref", "--format=%(refname)", "--merged", tip, "--", `${REMOTE}${OWN_BRANCHES}/`];
    for (const branch of toNames(await mustGit(git, what, list, { at }))) {
      const commit = refs.remote.get(branch);
      if (commit !== undefined && !found.has(branch)) found.set(branch, { branch, commit, into });
    }
  }
  return [...found.values()];
}
