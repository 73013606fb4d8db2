import type { Figures } from "../../history/figures.js";
import { mergeFigures } from "../../history/figures.js";
import type { HistorySource } from "../../history/history.js";
import { setBounded } from "../../shared/bounded-map.js";
import { figuresOf } from "../run-figures.js";
import type { SessionRecord } from "./session-record.js";

/** A reading goes through all sessions, in ms between two of them. */
const FRESH_MS = 10 * 60_000;
/** Runs that were seen on the API alone. */
const NOTED_KEPT = 10_000;

/**
 * History where none is kept beside the sessions: what the remembered runs of sessions tell, and what this process has
 * seen on the API.
 */
export function deriveHistory(list: () => Promise<readonly SessionRecord[]>): HistorySource {
  const noted = new Map<string, Figures>();
  return {
    historyFreshMs: FRESH_MS,
    async readHistory() {
      const own = new Map(noted);
      for (const record of await list())
        for (const run of record.runs) {
          const figures = figuresOf(run, record);
          if (figures) own.set(run.runId, mergeFigures(own.get(run.runId), figures));
        }
      return { cursor: undefined, figures: [...own.values()], gone: [] };
    },
    async noteFigures(figures) {
      for (const one of figures) setBounded(noted, one.id, one, NOTED_KEPT);
    },
  };
}
