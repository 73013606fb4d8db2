import { readFileSync } from "node:fs";
import { z } from "zod";
import type { StoreProblem } from "../../sessions/store/session-store.js";
import { replaceFile } from "./durable-files.js";
import { codeOf } from "./event-numbers.js";

/**
 * The days on which the engine was in use. A clock that is set ahead makes everything look old at once, but it makes
 * only one more day; so the age of a run is counted in these.
 */
export interface UsedDays {
  /** Notes the day of `now` (epoch ms). Never throws. */
  note(now: number): void;
  /** How many of the noted days are later than the day of `at` (epoch ms). */
  since(at: number): number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** More than any run is kept. */
const KEPT = 100;

const fileSchema = z.object({ v: z.literal(1), days: z.array(z.number().int()) });

/** Reads the file of days; where there is none, or it is damaged, counting begins anew and runs are kept longer. */
export function openUsedDays(path: string, onProblem: (problem: StoreProblem) => void): UsedDays {
  const days = new Set<number>();
  try {
    for (const day of fileSchema.parse(JSON.parse(readFileSync(path, "utf8"))).days) days.add(day);
  } catch {
    // Not there or not ours.
  }
  return {
    note(now) {
      const day = Math.floor(now / DAY_MS);
      if (days.has(day)) return;
      days.add(day);
      // In the order in which they came: the oldest note goes, whatever its date says.
      for (const oldest of [...days].slice(0, -KEPT)) days.delete(oldest);
      try {
        replaceFile(path, JSON.stringify({ v: 1, days: [...days] } satisfies z.infer<typeof fileSchema>));
      } catch (error) {
        const message = `The file of days could not be written (${codeOf(error)}). Runs are kept longer.`;
        onProblem({ kind: "unwritable", message });
      }
    },
    since(at) {
      const day = Math.floor(at / DAY_MS);
      return [...days].filter((one) => one > day).length;
    },
  };
}
