import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type GitRunner, mustGit } from "./git-runner.js";
import type { OpenedLocal } from "./repository.js";
import { checkedOut } from "./worktrees.js";

/** A local repository as a person has it: looked at before a branch of it is moved. */
export interface PersonRepository {
  /** The commits that branches stand on; those that are not there are left out. */
  branches(names: readonly string[]): Promise<Map<string, string>>;
  /** The folders of worktrees, the main one included, by the branch that is checked out there. */
  checkedOut(): Promise<Map<string, string>>;
  /**
   * A link in the way of what git writes for the branch, and for another ref: it could lead out of the repository. Its
   * path within the git folder; undefined for none.
   */
  linkInTheWay(branch: string, ref?: string): Promise<string | undefined>;
}

/** What git writes to beside objects and the branch's own files. */
const WRITTEN = ["refs", "logs", "reftable", "shallow", "packed-refs"];

/** Creates the view on a repository that is open. It only reads. */
export function createPersonRepository(git: GitRunner, { commonDir }: OpenedLocal): PersonRepository {
  const at = { clone: commonDir };

  return {
    async branches(names) {
      const refs = names.map((name) => `refs/heads/${name}`);
      const list = ["for-each-ref", "--format=%(objectname) %(refname)", "--", ...refs];
      const text = await mustGit(git, "The branches of the repository could not be read", list, { at });
      const found = text.split("\n").flatMap((line): [string, string][] => {
        const space = line.indexOf(" ");
        const ref = line.slice(space + 1);
        return refs.includes(ref) ? [[ref.slice("refs/heads/".length), line.slice(0, space)]] : [];
      });
      return new Map(found);
    },

    checkedOut: () => checkedOut(git, commonDir),

    async linkInTheWay(branch, ref) {
      const refs = [`refs/heads/${branch}`, ...(ref ? [ref] : [])];
      const ways = refs.flatMap((each) => [...waysTo(each), ...waysTo(`logs/${each}`)]);
      for (const path of new Set([...WRITTEN, ...ways])) if (await isLink(join(commonDir, path))) return path;
      if (await isLink(join(commonDir, "objects"))) return "objects";
      const stores = await readdir(join(commonDir, "objects"), { withFileTypes: true }).catch(() => []);
      const link = stores.find((entry) => entry.isSymbolicLink());
      return link && `objects/${link.name}`;
    },
  };
}

/** "a/b/c": "a", "a/b" and "a/b/c". */
function waysTo(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

async function isLink(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isSymbolicLink() === true;
}
