import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { CommandEnd, Commands } from "../agent/run-command.js";
import { type CheckNote, createCheckNotes, type SessionCheckNote } from "./check-notes.js";
import type { Clone, Clones } from "./clones.js";
import { type Bin, folderExists } from "./disk.js";
import { explain, type GitRunner, mustGit, stopped, type WorktreeLocation } from "./git-runner.js";
import { readAgentSettings } from "./git-settings.js";
import { lookAtCheckout, removeNewFiles, untrackedFiles } from "./loose-files.js";
import type { SessionRecord, SessionRecords } from "./records.js";
import { createRefs } from "./refs.js";
import { throwIfStopped } from "./run-unless-stopped.js";
import { WorkspaceError } from "./types.js";
import {
  addDetachedWorktree,
  checkOut,
  mend,
  unsavedWork,
  worktreeExists,
  worktreeLocation,
} from "./worktrees.js";

/** A merge that is prepared and stands on no branch, and how it is to be checked. */
export interface CheckRequest {
  /** Its folder's name in the engine's own. */
  repository: { name: string };
  commit: string;
  /** For the system's shell; a person has agreed to it. */
  command: string;
  /** The session whose worktree may be used: none of its runs goes on, and none begins meanwhile. */
  recordKey?: string | undefined;
  /**
   * Does work with the repository to itself, also after the signal. The command runs outside of it: it may take long.
   */
  inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** A shorter time for the command than the engine's own, in ms. */
  limitMs?: number | undefined;
  /** Ends the command. */
  signal?: AbortSignal | undefined;
}

/** What has come of a check. */
export interface CheckResult extends CommandEnd {
  command: string;
  passed: boolean;
  /** The time that it had, in ms. */
  limitMs: number;
  /** Where it ran: in the session's worktree, or in a fresh copy that has the commit's files only, and why; a clause. */
  place: { kind: "worktree" } | { kind: "copy"; why: string };
  /** What could not be put back in order; a sentence. */
  problem?: string;
}

/** Runs commands on merges before they are anywhere. */
export interface MergeChecks {
  /**
   * Checks a prepared merge: in the session's worktree, which has what is installed there, brought to the commit and
   * brought back afterwards, whatever happens; where that has uncommitted work or is gone, in a copy that is removed
   * again. Files that git tracks come back as they were, ignored ones stay, untracked ones that the command made go.
   * @throws WorkspaceError when it was stopped, or nothing could be run; the worktree is as it was then
   */
  check(request: CheckRequest): Promise<CheckResult>;
  /** Where a session's worktree belongs while it stands on a merge that is checked; undefined at all other times. */
  whereBelongs(recordKey: string): { head: string; branch?: string | undefined } | undefined;
  /** Whether a session's worktree is to come back to that branch. */
  needsBranch(clone: Clone, branch: string): boolean;
  /** Ends and puts in order what checks of an engine that has gone have left. Once, before anything else. Never throws. */
  sweep(): Promise<void>;
  /**
   * Tries once more to bring back a worktree that an earlier try has failed at. Whoever calls has the repository to
   * itself. @throws WorkspaceError when it fails again
   */
  mend(recordKey: string): Promise<void>;
}

/** Creates it on its collaborators. */
export function createMergeChecks(options: {
  /** For the notes of checks, and for copies. */
  folder: string;
  git: GitRunner;
  env: NodeJS.ProcessEnv;
  clones: Clones;
  records: SessionRecords;
  bin: Bin;
  commands: Commands;
  /** How long a command may take, by now. */
  timeoutMs: () => number;
  pathOf: (record: SessionRecord) => string;
  worktreeOf: (clone: Clone, record: SessionRecord) => WorktreeLocation | undefined;
}): MergeChecks {
  const { folder, git, clones, records, bin, commands, timeoutMs } = options;
  const notes = createCheckNotes(folder);
  /** Checks whose session's worktree is not where it belongs, by its record; with the note's id. */
  const away = new Map<string, SessionCheckNote>();
  const running = new Set<string>();

  const markOf = (id: string) => id.replaceAll("-", "");
  const copyOf = (id: string) => join(folder, `check-${id}`);

  async function forget(note: CheckNote): Promise<void> {
    await notes.remove(note.id);
    if (note.session) away.delete(note.session.recordKey);
  }

  async function openClone(name: string): Promise<Clone> {
    const clone = await clones.open({ name });
    if (!clone) throw new WorkspaceError("The engine's clone of the repository is gone.");
    return clone;
  }

  /** The session's worktree, where it can be used; else why not, as a clause. */
  async function lookAtSession(
    clone: Clone,
    recordKey: string | undefined,
  ): Promise<
    | { record: SessionRecord; at: WorktreeLocation; head: string; branch: string | undefined }
    | { why: string }
  > {
    const record = recordKey === undefined ? undefined : await records.read(recordKey);
    const at = record && options.worktreeOf(clone, record);
    const isThere =
      record?.ready && record.removedAt === undefined && at !== undefined && (await worktreeExists(at));
    if (!isThere) return { why: "the session's worktree is not there any more" };
    await mend(at);
    const refs = createRefs(git, at);
    const lost = await unsavedWork(git, at);
    if (lost) return { why: `the session's worktree has ${lost}` };
    const head = await refs.commit("HEAD");
    if (head === undefined) return { why: "the session's worktree has no commit" };
    return { record, at, head, branch: await refs.current() };
  }

  /** Brings the session's worktree to the commit. @returns why that cannot be, as a clause */
  async function moveThere(
    clone: Clone,
    { id, repository, commit }: { id: string; repository: string; commit: string },
    recordKey: string | undefined,
  ): Promise<{ at: WorktreeLocation; note: SessionCheckNote } | { why: string }> {
    const found = await lookAtSession(clone, recordKey);
    if ("why" in found) return found;
    const { record, at, head, branch } = found;
    const session = { recordKey: record.recordKey, head, ...(branch === undefined ? {} : { branch }) };
    const note: SessionCheckNote = { version: 1, id, repository, commit, session };
    await notes.write(note);
    away.set(record.recordKey, note);
    const told = await checkOut(git, at, ["--detach"], commit);
    const before = told.code === 0 ? await untrackedFiles(git, at) : undefined;
    if (before?.all) {
      note.session.before = before.paths;
      await notes.write(note);
      return { at, note };
    }
    await bringBack(clone, note);
    return {
      why: before
        ? "the session's worktree has too many untracked files"
        : `the session's worktree could not be brought to the merge (${explain(told)})`,
    };
  }

  /**
   * @param isLeft by an engine that has gone, so that somebody may have worked there since
   * @throws WorkspaceError when it fails; what is noted stays noted then
   */
  async function bringBack(clone: Clone, note: SessionCheckNote, isLeft = false): Promise<void> {
    const { recordKey, head, branch, before } = note.session;
    const record = await records.read(recordKey);
    const at = record && options.worktreeOf(clone, record);
    // Removed meanwhile, with all that was in it.
    if (!record || record.removedAt !== undefined || !at || !(await folderExists(options.pathOf(record)))) {
      await forget(note);
      return;
    }
    await mend(at);
    const { path } = at.worktree;
    const stands = isLeft ? await createRefs(git, at).commit("HEAD") : undefined;
    if (stands !== undefined && stands !== note.commit && stands !== head) {
      await forget(note);
      return;
    }
    if (before) await removeNewFiles(path, await untrackedFiles(git, at), before);
    const refs = createRefs(git, clone.at);
    if (branch !== undefined) {
      // A check has no business on the session's branch.
      const now = await refs.local(branch);
      if (now !== head) await refs.move(branch, head, now);
    }
    const what = "The session's worktree could not be brought back from the check";
    const checkout = ["checkout", "--quiet", "--force", "--no-guess"];
    await mustGit(git, what, [...checkout, ...(branch === undefined ? ["--detach", head] : [branch]), "--"], {
      at,
    });
    // What the merge's own .gitignore has hidden, and the branch's does not.
    if (before) await removeNewFiles(path, await untrackedFiles(git, at), before);
    const { marks } = await lookAtCheckout(git, at);
    if (marks) record.asCheckedOut = marks;
    else delete record.asCheckedOut;
    await records.write(record);
    await forget(note);
  }

  async function makeCopy(clone: Clone, note: CheckNote, commit: string): Promise<WorktreeLocation> {
    await notes.write(note);
    const path = copyOf(note.id);
    const admin = await addDetachedWorktree(git, clone.at.clone, path, commit);
    return worktreeLocation(clone.at.clone, path, admin);
  }

  async function removeCopy(clone: Clone | undefined, note: CheckNote): Promise<void> {
    const path = copyOf(note.id);
    const { problem } = await bin.take(path);
    // Git names what it keeps of a worktree after the folder, and no other folder has this name.
    if (clone)
      await rm(join(clone.at.clone, "worktrees", `check-${note.id}`), { recursive: true, force: true });
    if (problem) throw new WorkspaceError(`The copy for the check was not removed: ${problem}`);
    await forget(note);
  }

  async function putBack(note: CheckNote, isLeft: boolean): Promise<void> {
    if (note.session) return bringBack(await openClone(note.repository), note as SessionCheckNote, isLeft);
    return removeCopy(await clones.open({ name: note.repository }), note);
  }

  return {
    needsBranch: (clone, branch) =>
      [...away.values()].some(
        (note) => note.session.branch === branch && note.repository === basename(dirname(clone.at.clone)),
      ),
    whereBelongs: (recordKey) => away.get(recordKey)?.session,

    async sweep() {
      for (const note of await notes.read()) {
        if (note.session) away.set(note.session.recordKey, note as SessionCheckNote);
        await commands.endLeftover(markOf(note.id));
        await putBack(note, true).catch(() => {
          // Tried again when the session is used next.
        });
      }
    },

    async mend(recordKey) {
      const note = away.get(recordKey);
      if (note && !running.has(recordKey)) await putBack(note, true);
    },

    async check({ repository: { name }, commit, command, recordKey, inTurn, signal, ...asked }) {
      const id = randomUUID();
      const limitMs = Math.min(timeoutMs(), asked.limitMs ?? Number.POSITIVE_INFINITY);
      if (recordKey !== undefined) running.add(recordKey);
      try {
        const place = await inTurn(async () => {
          throwIfStopped(signal);
          const clone = await openClone(name);
          const moved = await moveThere(clone, { id, repository: name, commit }, recordKey);
          if ("note" in moved) return { ...moved, told: { kind: "worktree" as const } };
          const note: CheckNote = { version: 1, id, repository: name, commit };
          const at = await makeCopy(clone, note, commit).catch(async (error: Error) => {
            await removeCopy(clone, note);
            throw error;
          });
          return { at, note, told: { kind: "copy" as const, why: moved.why } };
        });
        let end: CommandEnd | undefined;
        let problem: string | undefined;
        try {
          const { env } = await readAgentSettings(git, place.at, options.env);
          const cwd = place.at.worktree.path;
          end = await commands.run({ command, cwd, mark: markOf(id), env, timeoutMs: limitMs, signal });
        } finally {
          problem = await putInOrder(place.note);
        }
        if (end.endedBy === "stop") throw stopped(signal);
        return {
          ...end,
          command,
          passed: end.exitCode === 0,
          limitMs,
          place: place.told,
          ...(problem === undefined ? {} : { problem }),
        };
      } finally {
        if (recordKey !== undefined) running.delete(recordKey);
      }

      /** Also after a stop, so outside of what the signal ends. */
      async function putInOrder(note: CheckNote): Promise<string | undefined> {
        try {
          await inTurn(() => putBack(note, false));
          return undefined;
        } catch (error) {
          return (error as Error).message;
        }
      }
    },
  };
}
