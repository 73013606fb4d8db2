import { askGit, explain, type GitLocation, type GitRunner, mustGit } from "./git-runner.js";
import { WorkspaceError } from "./types.js";

const HEADS = "refs/heads/";

/** Reading and moving branches of one bare clone. Branch names have been checked before they get here. */
export interface Refs {
  /** The commit that a ref (or HEAD of that location) stands on. */
  commit(ref: string): Promise<string | undefined>;
  local(branch: string): Promise<string | undefined>;
  /** As it was when last fetched. */
  remote(branch: string): Promise<string | undefined>;
  /** The branch that HEAD of the location is on, with or without commits. */
  current(): Promise<string | undefined>;
  contains(commit: string, ancestor: string): Promise<boolean>;
  /** Moves, makes or (with `to` undefined) deletes a local branch, only from where it was expected to be. */
  move(branch: string, to: string | undefined, from: string | undefined): Promise<void>;
  /** How many commits `ref` has that none of the others (refs or revision options) has. */
  count(ref: string, others: string[]): Promise<number>;
  /**
   * One commit with the work of both: a fast-forward where that is enough, else a merge commit, which no branch
   * is on yet. Or the paths in conflict.
   */
  join(
    ours: string,
    theirs: string,
    message: string,
    env: NodeJS.ProcessEnv,
  ): Promise<{ commit: string } | { conflicts: string[] }>;
}

/** Creates the view from one location. */
export function createRefs(git: GitRunner, at: GitLocation): Refs {
  const commit = (ref: string) =>
    askGit(git, ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`], { at });
  const contains = async (one: string, ancestor: string) =>
    (await git(["merge-base", "--is-ancestor", ancestor, one], { at })).code === 0;

  return {
    commit,
    local: (branch) => commit(HEADS + branch),
    remote: (branch) => commit(`refs/remotes/origin/${branch}`),
    contains,

    async current() {
      const ref = await askGit(git, ["symbolic-ref", "--quiet", "HEAD"], { at });
      return ref?.startsWith(HEADS) ? ref.slice(HEADS.length) : undefined;
    },

    async move(branch, to, from) {
      const what = `The branch ${branch} could not be ${to ? (from ? "moved" : "made") : "removed"}`;
      const ref = HEADS + branch;
      // An empty old value means "must not exist yet", whatever the length of object ids here.
      const args = to ? [ref, to, from ?? ""] : ["-d", ref, from ?? ""];
      await mustGit(git, what, ["update-ref", "-m", "automagik", ...args], { at });
    },

    async count(ref, others) {
      const text = await mustGit(
        git,
        "Commits could not be counted",
        ["rev-list", "--count", ref, "--not", ...others],
        { at },
      );
      return Number(text.trim());
    },

    async join(ours, theirs, message, env) {
      if (await contains(theirs, ours)) return { commit: theirs };
      if (await contains(ours, theirs)) return { commit: ours };
      const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs];
      const told = await git(args, { at, separator: "\0" });
      const [tree = "", ...conflicts] = told.text.split("\0").filter((part) => part !== "");
      if (told.code === 1) return { conflicts };
      if (told.code !== 0 || !/^[0-9a-f]{40,64}$/.test(tree.trim()))
        throw new WorkspaceError(
          `The branches could not be merged (git 2.38 or later can): ${explain(told)}`,
        );
      const made = ["commit-tree", tree.trim(), "-p", ours, "-p", theirs, "-m", message];
      return { commit: (await mustGit(git, "The merge could not be committed", made, { at, env })).trim() };
    },
  };
}
