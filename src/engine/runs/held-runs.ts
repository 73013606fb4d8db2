import type { EngineRun } from "./run.js";
import type { HeldRun } from "./run-rows.js";

/** The runs in memory by their ids, and by their sessions. */
export class HeldRuns extends Map<string, HeldRun> {
  readonly #bySession = new Map<string, Set<string>>();

  override set(runId: string, held: HeldRun): this {
    const { sessionId } = held.run;
    if (!this.has(runId)) {
      const known = this.#bySession.get(sessionId) ?? new Set();
      this.#bySession.set(sessionId, known.add(runId));
    }
    return super.set(runId, held);
  }

  override delete(runId: string): boolean {
    const sessionId = this.get(runId)?.run.sessionId;
    const known = sessionId === undefined ? undefined : this.#bySession.get(sessionId);
    known?.delete(runId);
    if (known?.size === 0) this.#bySession.delete(sessionId as string);
    return super.delete(runId);
  }

  override clear(): void {
    for (const runId of [...this.keys()]) this.delete(runId);
  }

  /** Newest snapshots of all, or of a session; newest run first. */
  newestFirst(sessionId?: string): EngineRun[] {
    const ids = sessionId === undefined ? undefined : (this.#bySession.get(sessionId) ?? []);
    const held = ids ? [...ids].flatMap((runId) => this.get(runId) ?? []) : [...this.values()];
    // Not by their times: clocks are set, and several engines have several.
    return held.sort((a, b) => b.firstEvent - a.firstEvent).map(({ newest }) => newest);
  }
}
