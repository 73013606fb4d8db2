import { isNothing } from "../no-value.js";

/** What a repository has that a name could mean. */
export interface KnownRefs {
  branches: readonly string[];
  tags: readonly string[];
  /** Whether it is the id, whole or shortened, of a commit there. */
  isCommit: (id: string) => boolean;
}

/** What a name that somebody gave for a branch means in a repository. */
export type FoundBranch =
  | { kind: "there"; name: string }
  /** None of the repository, nor like one: it can be made. */
  | { kind: "new"; name: string }
  /** A word for "nothing was named". */
  | { kind: "none" }
  | { kind: "refused"; problem: string };

/** As git, hosts and people write a branch when they name where it is. */
const PREFIXES = ["refs/heads/", "refs/remotes/origin/", "remotes/origin/", "origin/", "heads/"];
/** What models write besides for a branch that they mean to leave out. */
const NONE_NAMED = /^(?:default|empty|unset)$/i;

/**
 * Finds what is meant by a branch name, so that nobody begins on the wrong commit: a branch as the repository spells
 * it, or a new one only where the name is nothing else and is like no other.
 */
export function findBranch(asked: string, { branches, tags, isCommit }: KnownRefs): FoundBranch {
  const prefix = PREFIXES.find((one) => asked.startsWith(one));
  const bare = prefix ? asked.slice(prefix.length) : asked;
  const names = prefix ? [asked, bare] : [asked];
  const refuse = (problem: string): FoundBranch => ({ kind: "refused", problem });

  for (const name of names) {
    const found =
      branches.find((one) => one === name) ?? branches.find((one) => composed(one) === composed(name));
    if (found !== undefined) return { kind: "there", name: found };
  }
  if (isNothing(asked) || NONE_NAMED.test(asked)) return { kind: "none" };
  const tag = tags.find((one) =>
    [...names, asked.replace(/^(?:refs\/)?tags\//, "")].some((name) => composed(one) === composed(name)),
  );
  if (tag !== undefined)
    return refuse(
      `${tag} is a tag, and work is done on a branch. Make a branch at that tag and name it, or leave git_branch out to begin at the default branch.`,
    );
  if (
    /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(bare) ||
    (/^[0-9a-f]{7,64}$/i.test(bare) && isCommit(bare.toLowerCase()))
  )
    return refuse(
      `${bare} is the id of a commit, and work is done on a branch. Make a branch at that commit and name it, or leave git_branch out to begin at the default branch.`,
    );
  const near = branches.find((one) => names.some((name) => folded(one) === folded(name)));
  if (near !== undefined)
    return refuse(
      `The repository has no branch ${asked}, but it has ${near}, which differs in case only. Name that one, or choose a name of its own.`,
    );
  if (prefix)
    return refuse(
      `The repository has no branch ${bare}, which ${asked} means. To have it made from the default branch, name just ${bare}.`,
    );
  if (asked.startsWith("refs/"))
    return refuse(`${asked} is not a branch. Name one of the repository's branches, without refs/.`);
  const other = besideWhich(asked, branches);
  if (other !== undefined) return refuse(cannotStandBeside(asked, other));
  return { kind: "new", name: composed(asked) };
}

/** The branch, if any, that forbids this name: git keeps branches as files, and one can't be the folder of another. */
export function besideWhich(branch: string, others: readonly string[]): string | undefined {
  return others.find((one) => branch.startsWith(`${one}/`) || one.startsWith(`${branch}/`));
}

/** What to say then. */
export function cannotStandBeside(branch: string, other: string): string {
  return `The branch ${branch} can't be made, because there is a branch ${other}: git can't have one branch whose name is the beginning of another's, up to a slash. Choose another name.`;
}

/** Names that look the same are the same, however their accents were typed. */
function composed(name: string): string {
  return name.normalize("NFC");
}

function folded(name: string): string {
  return composed(name).toLowerCase();
}
