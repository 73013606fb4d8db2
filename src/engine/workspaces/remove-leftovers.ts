import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeDelivered } from "./discard.js";
import { folderExists } from "./disk.js";
import { describeHolding, findLostBranches, type Holding, lookAtCommits, NOTHING } from "./holdings.js";
import type { LeftoverOptions, LeftoverStore, RemovedLeftover } from "./leftover-types.js";
import { HOMES, isLive, type Look, type OpenClone } from "./look-at-leftovers.js";
import type { SessionRecord } from "./records.js";
import { readRefs } from "./ref-list.js";
import { createRefs } from "./refs.js";
import { WorkspaceError } from "./types.js";

type How = Parameters<LeftoverStore["removeLeftover"]>[1];

const MISSING = "It is not there any more. Nothing was removed.";

/** Says why something is not removed as the person has agreed to; undefined when it is. */
function refusal({ safe, mark, problem }: Holding, how: How): string | undefined {
  if (mark !== how.mark)
    return "It has changed since it was looked at. Nothing was removed. Look at it again.";
  if (safe || how.force) return undefined;
  return `It holds what is nowhere else${problem ? `, or may do so: ${problem}` : "."} Nothing was removed.`;
}

function refuseUnless(holding: Holding, how: How): void {
  const why = refusal(holding, how);
  if (why !== undefined) throw new WorkspaceError(why);
}

/** Creates the removal of what sessions have left; see `LeftoverStore`. */
export function createLeftoverRemoval(
  options: LeftoverOptions,
  look: Look,
): Pick<LeftoverStore, "removeLeftover" | "removeMergedBranch"> {
  const { folder, git, records, bin, pathOf } = options;

  async function removeSession(
    which: "session" | "run" | "aside",
    key: string,
    how: How,
  ): Promise<RemovedLeftover> {
    const reference = {
      session: { runId: "", sessionKey: key },
      run: { runId: key, temporary: true },
      aside: { runId: "", aside: key },
    }[which];
    let refused: string | undefined;
    const check = async (record: SessionRecord) => {
      const { repository, consent } = record;
      const { problem } = repository ? await look.refresh(repository.name, consent, false) : {};
      refused = refusal(await look.atSession(record, problem), how);
      return refused;
    };
    const { kept, lost, errors } = await options.cleanup(reference, {
      force: how.force,
      dropsCommits: how.force,
      check,
    });
    if (refused !== undefined) throw new WorkspaceError(refused);
    return { ...(kept && { kept }), ...(lost && { lost }), errors };
  }

  async function removeFolder(name: string, how: How): Promise<RemovedLeftover> {
    const path = join(folder, name);
    const live = (await records.all()).filter(isLive).map(pathOf);
    const isOne = HOMES.some((home) => dirname(path) === join(folder, home));
    if (!isOne || live.includes(path) || !(await folderExists(path))) throw new WorkspaceError(MISSING);
    refuseUnless(await look.atStray(path), how);
    const at = await look.findStray(path);
    const { problem } = await bin.take(path);
    if (at) await rm(at.worktree.gitDir, { recursive: true, force: true });
    return { errors: problem ? [problem] : [] };
  }

  async function removeClone(
    name: string,
    { clone, live, problem }: OpenClone,
    how: How,
  ): Promise<RemovedLeftover> {
    if (live.length > 0) throw new WorkspaceError("A session uses the clone by now. Nothing was removed.");
    const home = join(folder, "repositories", name);
    refuseUnless(describeHolding({ ...(await lookAtCommits(git, clone.at, "all")), problem }, home), how);
    const taken = await bin.take(home);
    return { errors: taken.problem ? [taken.problem] : [] };
  }

  /** @param branch the one that is meant; undefined for all whose commits are elsewhere */
  async function removeBranches(
    name: string,
    branch: string | undefined,
    { clone, live, problem }: OpenClone,
    how: How,
  ): Promise<RemovedLeftover> {
    const refs = await readRefs(git, clone.at);
    const { held, own } = await findLostBranches(git, clone.at, { refs, live });
    if (branch !== undefined && !own.includes(branch)) throw new WorkspaceError(MISSING);
    const seen =
      branch === undefined ? { ...NOTHING, commits: held } : await lookAtCommits(git, clone.at, { branch });
    refuseUnless(describeHolding({ ...seen, problem }, branch ?? name), how);
    for (const each of branch === undefined ? held : [branch])
      await createRefs(git, clone.at).move(each, undefined, refs.local.get(each));
    return { errors: [] };
  }

  return {
    async removeLeftover(id, how) {
      const [kind = "", name = "", ...rest] = id.split(":");
      if (kind === "session" || kind === "run" || kind === "aside")
        return removeSession(kind, [name, ...rest].join(":"), how);
      if (kind === "folder") return removeFolder(name, how);
      if (!/^[a-z0-9-]+$/.test(name)) throw new WorkspaceError(MISSING);
      const removed = await look.withClone(name, async (open) => {
        if (kind === "clone") return removeClone(name, open, how);
        if (kind === "branches") return removeBranches(name, undefined, open, how);
        return removeBranches(name, rest.join(":"), open, how);
      });
      if (!removed) throw new WorkspaceError(MISSING);
      return removed;
    },

    async removeMergedBranch({ clone: name, branch, commit }) {
      if (!/^[a-z0-9-]+$/.test(name)) throw new WorkspaceError(MISSING);
      await look.withClone(name, async (open) => {
        const { repository, clone } = open;
        const merged = await look.atPerson(name, open);
        if (!repository || !merged.some((one) => one.branch === branch && one.commit === commit))
          throw new WorkspaceError(
            `${branch} was kept: ${open.problem ?? "it has changed since it was looked at."}`,
          );
        const why = await removeDelivered(git, { repository, clone, branch, expected: commit });
        if (why !== undefined) throw new WorkspaceError(`${branch} was kept: ${why}.`);
      });
    },
  };
}
