import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import type { Work } from "../workspaces/types.js";
import { readHandover } from "./handover-notes.js";

type Options = Pick<EngineOptions, "worker" | "prepareHandover" | "log">;

/**
 * Keeps what a session has committed, and its handover note, in the database that workers share, so that it can go on at
 * another one; does nothing in an engine that is alone. Never throws.
 * @param run the one that has ended
 * @param work what has just been settled of it
 * @returns what the person should know, because it is not kept; a sentence or two
 */
export async function keepSession(
  run: EngineRun,
  work: Work | undefined,
  { worker, prepareHandover, log }: Options,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (!worker) return undefined;
  const { bundles, workspaces } = worker;
  try {
    const handover = await readHandover(await prepareHandover(run.sessionId));
    const known = await bundles.read(run.sessionId);
    const isKept = known?.work?.kind === "bundle" && known.bundleId !== undefined;
    const pushedAs = work?.deliveredTo === "remote" ? { pushedAs: work.branch } : {};
    const asked = {
      ...{ limitBytes: bundles.limitBytes, ...pushedAs, ...(signal && { signal }) },
      known: isKept ? known.work?.tip : undefined,
    };
    return await workspaces.pack(run.runId, asked, async (packed) => {
      // A temporary folder is not what the session goes on in.
      const isSame = packed === undefined || (packed.work.kind === "bundle" && packed.file === undefined);
      const stored = isSame
        ? { ...(known?.work && { work: known.work }), ...(known?.bundleId && { bundleId: known.bundleId }) }
        : packed;
      await bundles.store(run, { ...stored, ...(handover && { handover }) }, signal);
      return packed?.work.kind === "large" ? tellLarge(packed.work, bundles.limitBytes) : undefined;
    });
  } catch (error) {
    log.warn(`Run ${run.runId}: what its session has committed was not kept: ${(error as Error).message}`);
    return `What the session has committed could not be kept in the database (${(error as Error).message.replace(/[.\s]+$/, "")}), so it is at this worker only. The end of its next run tries again.`;
  }
}

function tellLarge({ commits, bytes }: { commits: number; bytes: number }, limitBytes: number): string {
  const count = commits === 1 ? "commit is" : `${commits} commits are`;
  return `The session's ${count} too large to be kept in the database (${tellSize(bytes)}, at most ${tellSize(limitBytes)}): without this worker it would go on elsewhere without them. ENGINE_PUSH=on has them pushed to the repository, and a larger ENGINE_MOVE_LIMIT keeps them.`;
}

/** "80 MB", "12 KB" */
export function tellSize(bytes: number): string {
  const kilobytes = Math.ceil(bytes / 1024);
  return kilobytes < 1024 ? `${kilobytes} KB` : `${Math.round(kilobytes / 1024)} MB`;
}
