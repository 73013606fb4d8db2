import type { Figures } from "../history/figures.js";
import type { History } from "../history/history.js";

/** Something that has ended. */
export interface Ended {
  figures: Figures;
  /** It is told for the first time. */
  isNew: boolean;
  /** What it has cost beyond what was told of it before, in US dollars: of some runs that is known only later. */
  moreUsd: number;
}

/** Rows that are remembered as told; a process that lives for years forgets the oldest, which history gives up too. */
const REMEMBERED = 100_000;

/**
 * The runs and plans that have ended since it was made, each told as new once, whichever process has carried it out:
 * history has them from all. A killed run that comes to its own end later stays told as it was.
 * @param since epoch ms
 */
export function createEnded(history: Pick<History, "read">, since: number): () => Promise<Ended[]> {
  /** What each has cost as it was told. */
  const told = new Map<string, number>();
  return async () => {
    const { figures } = await history.read();
    const found: Ended[] = [];
    for (const one of figures) {
      if (one.endedAt === undefined || one.endedAt < since) continue;
      const key = `${one.kind} ${one.id}`;
      const before = told.get(key);
      const costUsd = Math.max(before ?? 0, one.costUsd ?? 0);
      if (before !== undefined && costUsd === before) continue;
      found.push({ figures: one, isNew: before === undefined, moreUsd: costUsd - (before ?? 0) });
      told.set(key, costUsd);
    }
    for (const key of told.keys()) {
      if (told.size <= REMEMBERED) break;
      told.delete(key);
    }
    return found;
  };
}
