import { lstat, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { cloneFolder } from "./clone-folder.js";
import type { Clone } from "./clones.js";
import type { Consent } from "./consent.js";
import { filesIn, folderExists } from "./disk.js";
import type { FolderSize } from "./folder-size.js";
import type { WorktreeLocation } from "./git-runner.js";
import {
  describeHolding,
  findLostBranches,
  type Holding,
  listMerged,
  lookAtCommits,
  NOTHING,
} from "./holdings.js";
import { describeFiles, MAX_FILES } from "./ignored-work.js";
import type { Leftover, LeftoverOptions, Leftovers, MergedBranch } from "./leftover-types.js";
import { findLosses, type Losses } from "./losses.js";
import { createPersonRepository } from "./person-repository.js";
import { isAside, type SessionRecord } from "./records.js";
import { readRefs } from "./ref-list.js";
import type { Repository } from "./repository.js";
import { runUnlessStopped } from "./run-unless-stopped.js";
import { worktreeExists, worktreeLocation } from "./worktrees.js";

/** The places for what agents work in. */
export const HOMES = ["worktrees", "folders", "temporary"] as const;

/** True while the session's workspace was not removed. */
export function isLive(record: SessionRecord): boolean {
  return record.removedAt === undefined;
}

/** A clone as it is after it was fetched, or why it could not be. */
interface Refreshed {
  repository?: Repository;
  problem?: string;
}

/** A clone that nobody else uses just now, and the sessions that have, or had, something in it. */
export interface OpenClone extends Refreshed {
  clone: Clone;
  own: SessionRecord[];
  live: SessionRecord[];
}

/** How long a repository may take to be fetched for this, and to be free, in ms. */
const FETCH_MS = 20_000;
/** Sessions of a repository that are removed one after the other need not fetch it each, in ms. */
const FRESH_MS = 30_000;

export type Look = ReturnType<typeof createLook>;

/** Creates the looks at what sessions have left; see `LeftoverStore`. */
export function createLook(options: LeftoverOptions) {
  const { folder, git, clones, records, mutex, clock, pathOf, worktreeOf } = options;
  const clonesFolder = join(folder, "repositories");
  const fetched = new Map<string, Refreshed & { at: number }>();

  /** Does it with a signal that fires when the time is over; `begun` takes the limit away. */
  async function limited<T>(work: (signal: AbortSignal, begun: () => void) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const why = `its repository did not answer within ${FETCH_MS / 1000} s`;
    const cancel = clock.after(FETCH_MS, () => late.abort(why));
    try {
      return await work(late.signal, cancel);
    } finally {
      cancel();
    }
  }

  /** Fetches a clone. Whoever calls has the repository to itself. */
  async function refresh(name: string, consent: Consent | undefined, isNew = true): Promise<Refreshed> {
    const known = fetched.get(name);
    if (known && !isNew && clock.elapsed() - known.at < FRESH_MS) return known;
    const found = await limited(async (signal): Promise<Refreshed> => {
      try {
        const clone = await clones.open({ name }, signal);
        if (!clone) return { problem: "Its clone is gone." };
        const repository = await options.repositoryAt(clone.record.address, signal, consent);
        const [problem] = (await clones.ensure(repository, signal)).notices;
        return { repository, ...(problem && { problem }) };
      } catch (error) {
        return { problem: (error as Error).message };
      }
    });
    fetched.set(name, { ...found, at: clock.elapsed() });
    return found;
  }

  /**
   * Does it with the clone, fetched just now, to itself.
   * @returns undefined when there is none
   * @throws WorkspaceError when it is in use for too long, and what the work throws
   */
  function withClone<T>(name: string, work: (open: OpenClone) => Promise<T>): Promise<T | undefined> {
    return limited((signal, begun) => {
      const alone = async () => {
        begun();
        const own = (await records.all()).filter((one) => one.repository?.name === name);
        if (!(await clones.open({ name }))) return undefined;
        const refreshed = await refresh(name, own.findLast((one) => one.consent)?.consent);
        const clone = await clones.open({ name });
        const checks = (await readdir(join(clonesFolder, name, ".git", "worktrees")).catch(() => [])).some(
          (one) => one.startsWith("check-"),
        );
        const busy = checks ? { problem: "A merge is being checked in its clone." } : {};
        return clone && work({ clone, own, live: own.filter(isLive), ...refreshed, ...busy });
      };
      return runUnlessStopped(mutex, `repository ${name}`, alone, signal);
    });
  }

  async function atSession(record: SessionRecord, problem: string | undefined): Promise<Holding> {
    const path = pathOf(record);
    return safely(path, async () => {
      const isThere = await folderExists(path);
      // A worktree that was not finished holds nobody's work.
      if (!record.ready || record.kind === "temporary") return describeHolding(NOTHING, path);
      if (record.kind === "folder") return describeHolding({ ...NOTHING, losses: await filesOf(path) }, path);
      const clone = record.repository && (await clones.open(record.repository));
      const at = clone && worktreeOf(clone, record);
      if (!clone || !at)
        return describeHolding({ ...NOTHING, problem: problem ?? "Its clone is gone." }, path);
      if (await worktreeExists(at)) {
        const losses = await findLosses(git, at);
        return describeHolding({ ...(await lookAtCommits(git, at, record)), losses, problem }, path);
      }
      if (isThere)
        return describeHolding(
          { ...NOTHING, problem: "It has lost its connection to the repository." },
          path,
        );
      return describeHolding({ ...(await lookAtCommits(git, clone.at, record)), problem }, path);
    });
  }

  /**
   * What a folder of no session belongs to, as its own `.git` file says; only where the clone says the same, since an
   * agent can write that file.
   */
  async function findStray(path: string): Promise<WorktreeLocation | undefined> {
    const link = join(path, ".git");
    const gitDir = (await readText(link)).replace(/^gitdir: /, "");
    const clone = dirname(dirname(gitDir));
    const home = dirname(clone);
    const isOurs = dirname(home) === clonesFolder && clone === cloneFolder(home);
    const at = worktreeLocation(clone, path, basename(gitDir));
    if (!isOurs || at.worktree.gitDir !== gitDir || (await readText(join(gitDir, "gitdir"))) !== link)
      return undefined;
    return (await clones.open({ name: basename(home) })) && (await worktreeExists(at)) ? at : undefined;
  }

  function atStray(path: string): Promise<Holding> {
    return safely(path, async () => {
      const at = await findStray(path);
      if (!at) return describeHolding({ ...NOTHING, losses: await filesOf(path) }, path);
      return describeHolding(
        { ...(await lookAtCommits(git, at, undefined)), losses: await findLosses(git, at) },
        path,
      );
    });
  }

  /** The branches of the person's repository that could go, but for those of sessions that are there. */
  async function atPerson(
    name: string,
    { repository, problem, clone, own, live }: OpenClone,
  ): Promise<MergedBranch[]> {
    if (!repository?.local || problem) return [];
    const bases = own.flatMap((one) => one.baseBranch ?? []);
    const taken = new Set(live.flatMap((one) => [one.branch, one.ownBranch, one.deliveredAs]));
    const refs = await readRefs(git, clone.at);
    const merged = (await listMerged(git, clone.at, { refs, bases })).filter(
      ({ branch }) => !taken.has(branch),
    );
    if (merged.length === 0) return [];
    const opened = await repository.open?.();
    try {
      const held = opened && (await createPersonRepository(git, opened).checkedOut());
      return merged
        .filter(({ branch }) => !held?.has(branch))
        .map((one) => ({ ...one, clone: name, repository: repository.address }));
    } finally {
      await opened?.close();
    }
  }

  return {
    refresh,
    withClone,
    atSession,
    findStray,
    atStray,
    atPerson,

    /** All of one repository: the sessions that work on it, its clone, its branches. Never throws. */
    async atRepository(
      name: string,
      context: {
        all: readonly SessionRecord[];
        isInUse: (sessionKey: string) => boolean;
        toSession: (record: SessionRecord, holding: Holding | "in use") => Promise<Leftover>;
        sizeOf: (path: string) => FolderSize;
      },
    ): Promise<Pick<Leftovers, "items" | "mergedBranches">> {
      const { isInUse, toSession, sizeOf } = context;
      const sessions = context.all.filter((one) => one.repository?.name === name && isLive(one));
      const found = new Map<SessionRecord, Holding | "in use">();
      const items: Leftover[] = [];
      let mergedBranches: MergedBranch[] = [];
      let problem = "Its clone is gone.";
      for (const record of sessions)
        if (!isAside(record) && isInUse(record.sessionKey)) found.set(record, "in use");
      try {
        await withClone(name, async (open) => {
          for (const record of sessions)
            if (!found.has(record)) found.set(record, await atSession(record, open.problem));
          items.push(...(await atClone(name, open, sizeOf(join(clonesFolder, name)))));
          mergedBranches = await atPerson(name, open);
        });
      } catch (error) {
        problem = (error as Error).message;
      }
      for (const record of sessions) {
        const unknown = describeHolding({ ...NOTHING, problem }, pathOf(record));
        items.push(await toSession(record, found.get(record) ?? unknown));
      }
      return { items, mergedBranches };
    },

    /** Folders among those that agents work in that no session has. */
    async atStrays(all: readonly SessionRecord[], sizeOf: (path: string) => FolderSize): Promise<Leftover[]> {
      const known = new Set(all.filter(isLive).map(pathOf));
      const items: Leftover[] = [];
      for (const home of HOMES)
        for (const entry of await readdir(join(folder, home), { withFileTypes: true }).catch(() => [])) {
          const path = join(folder, home, entry.name);
          if (!entry.isDirectory() || known.has(path)) continue;
          items.push({
            id: `folder:${home}/${entry.name}`,
            kind: "folder",
            name: entry.name,
            path,
            size: sizeOf(path),
            usedAt: (await lstat(path).catch(() => undefined))?.mtimeMs ?? 0,
            inUse: false,
            ...(await atStray(path)),
          });
        }
      return items;
    },
  };

  /** A clone that no session uses, or the branches of one that have no session any more. */
  async function atClone(
    name: string,
    { clone, live, problem }: OpenClone,
    size: FolderSize,
  ): Promise<Leftover[]> {
    const { address } = clone.record;
    const home = join(clonesFolder, name);
    const place = { name: address, repository: address, inUse: false };
    if (live.length === 0) {
      // Written with each branch that is made: not changed by a look, or by what is removed.
      const usedAt = (await lstat(join(home, "repository.json"))).mtimeMs;
      const holding = describeHolding({ ...(await lookAtCommits(git, clone.at, "all")), problem }, home);
      return [{ id: `clone:${name}`, kind: "clone", ...place, path: home, size, usedAt, ...holding }];
    }
    const refs = await readRefs(git, clone.at);
    const { held, own } = await findLostBranches(git, clone.at, { refs, live });
    const branches = { ...place, path: clone.at.clone, size: { bytes: 0, whole: true }, usedAt: 0 };
    const items: Leftover[] = [];
    if (held.length > 0) {
      const holding = describeHolding({ ...NOTHING, commits: held, problem }, name);
      items.push({ id: `branches:${name}`, kind: "branches", ...branches, ...holding });
    }
    for (const branch of own) {
      const holding = describeHolding(
        { ...(await lookAtCommits(git, clone.at, { branch })), problem },
        branch,
      );
      items.push({ id: `branch:${name}:${branch}`, kind: "branch", ...branches, name: branch, ...holding });
    }
    return items;
  }
}

/** What cannot be looked at may hold anything. */
async function safely(path: string, look: () => Promise<Holding>): Promise<Holding> {
  try {
    return await look();
  } catch (error) {
    return describeHolding({ ...NOTHING, problem: (error as Error).message }, path);
  }
}

async function filesOf(path: string): Promise<Losses> {
  const paths = await filesIn(path, MAX_FILES);
  const words = describeFiles(paths, "file", paths.length < MAX_FILES);
  return { words: paths.length > 0 ? [words] : [], paths };
}

async function readText(file: string): Promise<string> {
  return (await readFile(file, "utf8").catch(() => "")).trim();
}
