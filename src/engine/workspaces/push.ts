import type { GitOutput } from "../../shared/git/git-process.js";
import { cleanLine } from "../../shared/text.js";
import type { Clone } from "./clones.js";
import { explain, type GitRunner, mustGit, type OpenedRepository } from "./git-runner.js";
import { createRefs } from "./refs.js";
import type { Repository } from "./repository.js";

/**
 * What receives at a local repository runs here, with that repository's settings: none of its hooks, nothing in the
 * background, no program that its settings name, and no branch that somebody has checked out, whatever they say.
 */
const RECEIVE = [
  "git",
  ...["-c core.hooksPath=/dev/null", "-c core.fsmonitor=false", "-c core.alternateRefsCommand=true"],
  ...["-c receive.autogc=false", "-c gc.auto=0", "-c maintenance.auto=false"],
  ...["-c receive.denyCurrentBranch=refuse", "-c receive.updateServerInfo=false"],
  "receive-pack",
].join(" ");

/**
 * Pushes a commit of the clone to one branch, never with force, and notes it as what the remote has.
 * @param target.opened the local repository, where the caller has it open
 * @returns why it was refused, in git's and the host's words; undefined when it was not
 * @throws WorkspaceError when it was cut short: then it is not known whether it arrived
 */
export async function pushCommit(
  git: GitRunner,
  clone: Clone,
  target: { repository: Repository; opened?: OpenedRepository | undefined; branch: string; commit: string },
): Promise<string | undefined> {
  const { branch, commit } = target;
  const { refusal } = await pushTo(git, clone, { ...target, ref: `refs/heads/${branch}` });
  if (refusal !== undefined) return refusal;
  // What the next fetch would bring: cleaning up asks it where commits are.
  const known = ["update-ref", "-m", "automagik", `refs/remotes/origin/${branch}`, commit];
  await mustGit(git, "The pushed branch could not be noted", known, { at: clone.at });
  return undefined;
}

/**
 * The same to any ref, which is not noted.
 * @param target.options what the host is told beside it, one line each
 * @returns `told`: what the host has said, in its own words
 */
export async function pushTo(
  git: GitRunner,
  { at }: Clone,
  target: {
    repository: Repository;
    opened?: OpenedRepository | undefined;
    ref: string;
    commit: string;
    options?: readonly string[];
  },
): Promise<{ refusal: string | undefined; told: string }> {
  const { repository, ref, commit } = target;
  const quiet = repository.local ? [`--receive-pack=${RECEIVE}`] : [];
  const mine = target.opened ? undefined : await repository.open?.();
  try {
    const options = (target.options ?? []).flatMap((option) => ["-o", option]);
    const args = ["push", "--porcelain", "--no-verify", "--no-follow-tags", ...options, ...quiet];
    const told = await git([...args, "--", repository.address, `${commit}:${ref}`], {
      at,
      remote: repository,
      opened: target.opened ?? mine,
    });
    return { refusal: told.code === 0 ? undefined : explainPush(told), told: told.problem };
  } finally {
    await mine?.close();
  }
}

/**
 * Takes a branch of the repository away, only from where it is expected to be.
 * @returns why it was refused; undefined when it was not
 */
export async function deleteBranch(
  git: GitRunner,
  { at }: Clone,
  target: { repository: Repository; opened?: OpenedRepository | undefined; branch: string; expected: string },
): Promise<string | undefined> {
  const { repository, opened, branch, expected } = target;
  const ref = `refs/heads/${branch}`;
  const quiet = repository.local ? [`--receive-pack=${RECEIVE}`] : [];
  const args = ["push", "--porcelain", "--no-verify", `--force-with-lease=${ref}:${expected}`, ...quiet];
  const told = await git([...args, "--", repository.address, `:${ref}`], { at, remote: repository, opened });
  if (told.code !== 0) return explainPush(told);
  await git(["update-ref", "-d", `refs/remotes/origin/${branch}`], { at });
  return undefined;
}

/** A refusal that is due to the commits that the branch has: other ones than those that are pushed. */
export function isDiverged(refusal: string): boolean {
  return /non-fast-forward|fetch first|stale info/i.test(refusal);
}

/** Whether the branch, as the remote has it or is known to have it, has nothing that the commit has not. */
export async function mayMoveTo(git: GitRunner, { at }: Clone, from: string, to: string): Promise<boolean> {
  const refs = createRefs(git, at);
  return (await refs.commit(from)) !== undefined && (await refs.contains(to, from));
}

/**
 * Why a push failed. What a host says of a single branch stands in the list on stdout (`! ref:ref [rejected] (…)`) and
 * in its own lines; the last line of git says only that something failed.
 */
function explainPush(told: GitOutput): string {
  const refused = /^!\t[^\t]*\t(.+)$/m.exec(told.text)?.[1];
  if (refused === undefined) return explain(told);
  const host = told.problem
    .split(/[\r\n]+/)
    .flatMap((line) => /^remote:\s*(\S.*)$/.exec(line)?.[1] ?? [])
    .slice(0, 4);
  return cleanLine([refused, ...host].join(" "), 600);
}
