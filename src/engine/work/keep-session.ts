import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import type { StoredSession } from "../workers/session-bundles.js";
import type { PackedWork } from "../workspaces/moving-types.js";
import type { Work } from "../workspaces/types.js";
import { readHandover } from "./handover-notes.js";

type Options = Pick<EngineOptions, "worker" | "prepareHandover" | "log">;

/**
 * Keeps what a session has committed, and its handover note, in the database that workers share, so that it can go on at
 * another one; does nothing in an engine that is alone. Never throws.
 * @param run the one that has ended, or is at work
 * @param how.work what has just been settled of it, where it has ended
 * @returns what the person should know, because it is not kept; a sentence or two
 */
export async function keepSession(
  run: EngineRun,
  how: { isAtEnd: boolean; work?: Work | undefined; signal?: AbortSignal | undefined },
  { worker, prepareHandover, log }: Options,
): Promise<string | undefined> {
  if (!worker) return undefined;
  const { isAtEnd, work, signal } = how;
  const { bundles, workspaces } = worker;
  try {
    const handover = await readHandover(await prepareHandover(run.sessionId));
    const known = await bundles.read(run.sessionId);
    const asked = {
      ...(work?.deliveredTo === "remote" ? { pushedAs: work.branch } : {}),
      ...(signal ? { signal } : {}),
      limitBytes: bundles.limitBytes,
      known: isPacked(known) ? known.work?.tip : undefined,
    };
    return await workspaces.pack(run.runId, asked, async (packed) => {
      const state = chooseState(packed, known);
      const { work: kept, bundleId, file } = state;
      const isStored =
        state === known &&
        known.handover === handover &&
        known.isAtEnd === isAtEnd &&
        known.runId === run.runId;
      if (!isStored) {
        const what = { isAtEnd, ...(kept && { work: kept }), ...(handover && { handover }) };
        await bundles.store(run, { ...what, ...(bundleId && { bundleId }), ...(file && { file }) }, signal);
      }
      const large = [packed?.work, kept].find((one) => one?.kind === "large");
      return large && tellLarge(large, bundles.limitBytes);
    });
  } catch (error) {
    const why = (error as Error).message.replace(/[.\s]+$/, "");
    // While it is at work it is tried again in a moment.
    log[isAtEnd ? "warn" : "debug"](`Run ${run.runId}: what its session has committed was not kept: ${why}.`);
    return `What the session has committed could not be kept in the database (${why}), so it is at this worker only. The end of its next run tries again.`;
  }
}

type State = Pick<StoredSession, "work" | "bundleId"> & { file?: string };

/**
 * What is to be kept: rather an older state of the work than none.
 * @param packed what the work is now; undefined for a temporary folder, which is not what the session goes on in
 * @param known what is kept so far
 */
function chooseState(
  packed: (State & { work: PackedWork }) | undefined,
  known: StoredSession | undefined,
): State {
  const isSame = packed === undefined || (packed.work.kind === "bundle" && packed.file === undefined);
  const isTooLarge = packed?.work.kind === "large" && known?.work?.kind === "bundle";
  return known && (isSame || isTooLarge) ? known : (packed ?? {});
}

/** Of its newest commit there is a bundle, or is known that it is too large. */
function isPacked(known: StoredSession | undefined): known is StoredSession {
  const { work, bundleId } = known ?? {};
  return work?.kind === "large" || (work?.kind === "bundle" && bundleId !== undefined);
}

function tellLarge({ commits, bytes }: { commits: number; bytes: number }, limitBytes: number): string {
  const count = commits === 1 ? "commit is" : `${commits} commits are`;
  return `The session's ${count} too large to be kept in the database (${tellSize(bytes)}, at most ${tellSize(limitBytes)}): without this worker it would go on elsewhere with what was kept before, if anything. ENGINE_PUSH=on has them pushed to the repository, and a larger ENGINE_MOVE_LIMIT keeps them.`;
}

/** "80 MB", "12 KB" */
export function tellSize(bytes: number): string {
  const kilobytes = Math.ceil(bytes / 1024);
  return kilobytes < 1024 ? `${kilobytes} KB` : `${Math.round(kilobytes / 1024)} MB`;
}
