import { resolve, sep } from "node:path";
import { askGit, explain, type GitPlace, type GitRunner, mustGit } from "./git-runner.js";
import { WorkspaceError } from "./types.js";

const HEADS = "refs/heads/";

/** Reading and moving branches of one bare clone. Branch names have been checked before they get here. */
export interface Refs {
  /** The commit that a ref (or HEAD of the place) stands on. */
  commit(ref: string): Promise<string | undefined>;
  local(branch: string): Promise<string | undefined>;
  /** As it was when last fetched. */
  remote(branch: string): Promise<string | undefined>;
  /** The branch that HEAD of the place is on, with or without commits. */
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

/** Creates the view on one place. */
export function createRefs(git: GitRunner, at: GitPlace): Refs {
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

/**
 * What a person's git lacks of a name for commits, as environment: an agent's commits must not fail for want of
 * one. Empty when git has both.
 */
export async function identityEnv(
  git: GitRunner,
  at: GitPlace,
  own: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  const told = await git(["config", "--get-regexp", "-z", "^user\\.(name|email)$"], { at, separator: "\0" });
  // Each entry is a name, a line end and the value. The last of a name counts, as for git.
  const values = new Map(
    told.text.split("\0").map((entry) => {
      const [name = "", ...lines] = entry.split("\n");
      return [name, lines.join("\n").trim()] as const;
    }),
  );
  for (const [setting, part, neutral] of [
    ["user.name", "NAME", "Automagik Workflows"],
    ["user.email", "EMAIL", "automagik@localhost.invalid"],
  ] as const) {
    if (values.get(setting)) continue;
    if (part === "EMAIL" && own.EMAIL) continue;
    for (const role of ["AUTHOR", "COMMITTER"])
      if (!own[`GIT_${role}_${part}`]) env[`GIT_${role}_${part}`] = neutral;
  }
  return env;
}

/**
 * Whether git's hooks in a worktree are files of the repository: `core.hooksPath` leads into it, by the person's own
 * settings or because a script has put it into the clone's (as husky does).
 */
export async function hasOwnHooks(git: GitRunner, at: Required<GitPlace>): Promise<boolean> {
  const asked = ["config", "--show-scope", "--type=path", "-z", "--get-all", "core.hooksPath"];
  const told = await git(asked, { at, separator: "\0" });
  const fields = told.text.split("\0").slice(0, -1);
  // Pairs of where it stands and what it says; the last one counts. Our own git has it off by its command line.
  const paths = fields.flatMap((path, index) =>
    index % 2 === 1 && fields[index - 1] !== "command" ? [path] : [],
  );
  const last = paths.at(-1);
  if (last === undefined) return false;
  const { path } = at.worktree;
  const hooks = resolve(path, last);
  return hooks === path || hooks.startsWith(path + sep);
}
