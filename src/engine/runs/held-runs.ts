import { type EngineRun, hasEnded } from "./run.js";
import type { HeldRun } from "./run-rows.js";

/** The runs in memory by their ids, and by their sessions; those that have not ended are few among many. */
export class HeldRuns extends Map<string, HeldRun> {
  readonly #bySession = new Map<string, Set<string>>();
  readonly #notEnded = new Set<string>();

  override set(runId: string, held: HeldRun): this {
    const { sessionId } = held.run;
    if (!this.has(runId)) {
      const known = this.#bySession.get(sessionId) ?? new Set();
      this.#bySession.set(sessionId, known.add(runId));
    }
    if (hasEnded(held.newest)) this.#notEnded.delete(runId);
    else this.#notEnded.add(runId);
    return super.set(runId, held);
  }

  override delete(runId: string): boolean {
    const sessionId = this.get(runId)?.run.sessionId;
    const known = sessionId === undefined ? undefined : this.#bySession.get(sessionId);
    known?.delete(runId);
    this.#notEnded.delete(runId);
    if (known?.size === 0) this.#bySession.delete(sessionId as string);
    return super.delete(runId);
  }

  override clear(): void {
    for (const runId of [...this.keys()]) this.delete(runId);
  }

  /** Newest snapshots of all; newest run first, as everywhere here. */
  all(): EngineRun[] {
    return this.#newestFirst(this.keys());
  }

  ofSession(sessionId: string): EngineRun[] {
    return this.#newestFirst(this.#bySession.get(sessionId) ?? []);
  }

  notEnded(): EngineRun[] {
    return this.#newestFirst(this.#notEnded);
  }

  #newestFirst(runIds: Iterable<string>): EngineRun[] {
    const held = [...runIds].flatMap((runId) => this.get(runId) ?? []);
    // Not by their times: clocks are set, and several engines have several.
    return held.sort((a, b) => b.firstEvent - a.firstEvent).map(({ newest }) => newest);
  }
}
