import { readFileSync } from "node:fs";
import { z } from "zod";
import type { StoreProblem } from "../../sessions/store/session-store.js";
import { replaceFile } from "./durable-files.js";

/**
 * The numbers of events. A number that a client may have seen is never given to another event, not even when a
 * power failure takes the event with it or its run is pruned; else a client that resumes after it would miss one.
 */
export interface EventNumbers {
  next(): number;
  /** The newest number in use; 0 before the first. */
  newest(): number;
  /** Events up to this number may have gone with pruned runs. */
  prunedThrough(): number;
  /** Notes, before it happens, that events up to `through` may go. Throws what the file system throws. */
  prune(through: number): void;
  /** True for numbers of events that nobody knows: lost in a power failure, or from another state folder. */
  isUnknown(id: number): boolean;
  /** Gives back what was reserved and not used. Never throws. */
  close(): void;
}

/** One write of a small file for so many events: it blocks for some ms, and a crash skips at most as many numbers. */
const RESERVED_AT_ONCE = 10_000;

/** A disk that fails is not asked, and its failure not told, for every event. */
const TRIED_AGAIN_AFTER = 1_000;

const fileSchema = z.object({
  v: z.literal(1),
  reservedThrough: z.number().int().nonnegative(),
  prunedThrough: z.number().int().nonnegative(),
});

/**
 * Reads the file of numbers, or begins one. `newestSeen` is the highest number found in the runs. When the file is
 * gone or damaged although there are runs, numbering goes on well above them and older events count as pruned.
 */
export function openEventNumbers(options: {
  path: string;
  newestSeen: number;
  onProblem: (problem: StoreProblem) => void;
}): EventNumbers {
  const { path, newestSeen, onProblem } = options;
  let found: z.infer<typeof fileSchema> | undefined;
  try {
    found = fileSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data;
  } catch {
    // Not there or not JSON: the same as not of the right form.
  }
  if (!found && newestSeen > 0) {
    const message =
      "The file of event numbers was missing or damaged. Numbering goes on above the runs' events.";
    onProblem({ kind: "damaged", message });
    found = { v: 1, reservedThrough: newestSeen + RESERVED_AT_ONCE, prunedThrough: newestSeen };
  }
  let prunedThrough = found?.prunedThrough ?? 0;
  let newest = Math.max(newestSeen, prunedThrough);
  let last = Math.max(newest, found?.reservedThrough ?? 0);
  let reservedThrough = found?.reservedThrough ?? 0;
  const unknown = { after: newest, through: last };

  function write(numbers: { reservedThrough: number; prunedThrough: number }): void {
    replaceFile(path, JSON.stringify({ v: 1, ...numbers } satisfies z.infer<typeof fileSchema>));
    ({ reservedThrough, prunedThrough } = numbers);
  }

  return {
    next() {
      if (last >= reservedThrough) {
        try {
          write({ reservedThrough: last + RESERVED_AT_ONCE, prunedThrough });
        } catch (error) {
          // The runs' files tell the numbers too; only a power failure at the same time could repeat one.
          const message = `The file of event numbers could not be written (${codeOf(error)}).`;
          onProblem({ kind: "unwritable", message });
          reservedThrough = last + TRIED_AGAIN_AFTER;
        }
      }
      last += 1;
      newest = last;
      return last;
    },
    newest: () => newest,
    prunedThrough: () => prunedThrough,
    prune(through) {
      if (through > prunedThrough) write({ reservedThrough, prunedThrough: through });
    },
    isUnknown: (id) => (id > unknown.after && id <= unknown.through) || id > newest,
    close() {
      try {
        write({ reservedThrough: last, prunedThrough });
      } catch {
        // Then the next start skips some numbers, as after a crash.
      }
    },
  };
}

/** The system's name for what went wrong, for a message. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}
