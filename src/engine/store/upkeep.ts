import type { Clock } from "../../shared/clock.js";
import type { EngineRun } from "../types.js";
import { codeOf } from "./event-numbers.js";
import type { RunFile } from "./run-file.js";
import { compactForm } from "./run-lines.js";
import type { RunStoreProblem } from "./run-store.js";

/** What the store holds of one run. */
export interface StoredRun {
  live: EngineRun;
  /** The state as last written, to tell what has changed; not kept of ended runs, which are written whole. */
  saved: EngineRun | undefined;
  file: RunFile;
  lastEventId: number;
  droppedThrough: number;
  /** The memory is ahead of the file, because the disk has failed; `mending` while the file is being rewritten. */
  behind: "no" | "yes" | "mending";
  /** The file's size when it was last rewritten, in bytes. */
  rewrittenSize: number;
  /** False for a new run until it is safe on the disk: if the engine ended now, it would not be carried out. */
  confirmed: boolean;
  /** Under way while it is confirmed. */
  confirming?: Promise<void>;
}

/** Brings files onto the disk and into their compact form, without anybody waiting who need not. */
export interface Upkeep {
  /** Resolves when what was appended is on the disk. Rejects with an Error when the disk fails. */
  sync(run: StoredRun): Promise<void>;
  /** The same within `syncWithinMs`, together with others. */
  syncSoon(run: StoredRun): void;
  /** Rewrites the run's file, in `ms` or earlier. */
  rewriteLater(run: StoredRun, ms: number): void;
  /** Notes that the disk has failed for this run: it is told once, and tried again later. Gives an Error for the caller. */
  failed(run: StoredRun, error: unknown): Error;
  /** Forgets a removed run. */
  forget(run: StoredRun): void;
  /** Does everything that is still to be done. Never throws. */
  close(runs: Iterable<StoredRun>): Promise<void>;
}

export function createUpkeep(options: {
  clock: Clock;
  onProblem: (problem: RunStoreProblem) => void;
  limits: { syncWithinMs: number; retryAfterMs: number; eventsPerRun: number };
}): Upkeep {
  const { clock, limits } = options;
  const toSync = new Set<StoredRun>();
  const toRewrite = new Set<StoredRun>();
  let cancelSync: (() => void) | undefined;
  let nextRewrite: { at: number; cancel: () => void } | undefined;
  let rewriting: Promise<void> = Promise.resolve();
  let closed = false;
  let failing = false;

  function failed(run: StoredRun, error: unknown): Error {
    run.behind = "yes";
    rewriteLater(run, limits.retryAfterMs);
    const message = `The runs cannot be written (${codeOf(error)}). They go on, but would be lost if the engine ended now.`;
    if (!failing) options.onProblem({ kind: "unwritable", message });
    failing = true;
    return new Error(`The run could not be written (${codeOf(error)}).`, { cause: error });
  }

  async function sync(run: StoredRun): Promise<void> {
    toSync.delete(run);
    try {
      await run.file.sync();
      if (run.behind === "no") failing = false;
    } catch (error) {
      throw failed(run, error);
    }
  }

  function rewriteLater(run: StoredRun, ms: number): void {
    toRewrite.add(run);
    const at = clock.now() + ms;
    if (closed || (nextRewrite && nextRewrite.at <= at)) return;
    nextRewrite?.cancel();
    nextRewrite = { at, cancel: clock.after(ms, rewriteAll) };
  }

  /** One after the other: it is never urgent, and the system's threads for files are few. */
  function rewriteAll(): void {
    nextRewrite = undefined;
    const due = [...toRewrite];
    toRewrite.clear();
    for (const run of due) rewriting = rewriting.then(() => rewrite(run));
  }

  async function rewrite(run: StoredRun): Promise<void> {
    try {
      await run.file.replace(() => {
        const { lastEventId, droppedThrough, confirmed } = run;
        const state = structuredClone(run.saved ?? run.live);
        if (run.behind === "yes") run.behind = "mending";
        return (content) => {
          const known = { lastEventId, droppedThrough, confirmed };
          const form = compactForm(content, state, known, limits.eventsPerRun);
          run.droppedThrough = Math.max(run.droppedThrough, form.droppedThrough);
          return form.text;
        };
      });
      run.rewrittenSize = run.file.size();
      if (run.behind === "mending") run.behind = "no";
      if (run.behind === "no") failing = false;
      if (run.saved && hasEnded(run.saved) && !toRewrite.has(run)) run.saved = undefined;
    } catch (error) {
      failed(run, error);
    }
  }

  return {
    sync,
    syncSoon(run) {
      toSync.add(run);
      cancelSync ??= clock.after(limits.syncWithinMs, () => {
        cancelSync = undefined;
        // What fails has been told by then, and is tried again.
        for (const each of [...toSync]) sync(each).catch(() => undefined);
      });
    },
    rewriteLater,
    failed,
    forget(run) {
      toSync.delete(run);
      toRewrite.delete(run);
    },
    async close(runs) {
      closed = true;
      cancelSync?.();
      nextRewrite?.cancel();
      rewriteAll();
      await rewriting;
      await Promise.all([...runs].map((run) => sync(run).catch(() => undefined)));
    },
  };
}

export function hasEnded(run: EngineRun): boolean {
  return run.status !== "pending" && run.status !== "running";
}
