import { cleanLine } from "../../shared/text.js";

/** Other words that servers use for the statuses that matter, in lower case with underscores. */
const STATUS_WORDS: Record<string, readonly string[]> = {
  running: ["in_progress"],
  completed: ["complete", "succeeded", "success", "successful", "done", "finished"],
  failed: ["failure", "error", "errored", "crashed", "timed_out", "timedout", "timeout", "expired"],
  killed: ["cancelled", "canceled", "aborted", "stopped", "terminated", "interrupted"],
};
const STATUSES = new Map(
  Object.entries({ pending: [], ...STATUS_WORDS }).flatMap(([status, words]) =>
    [status, ...words].map((word) => [word, status] as const),
  ),
);

/** A run's status in our words; one that is not known stays as it is, and no run ends by it. */
export function toStatus(told: string): string {
  const word = cleanLine(told, 60);
  return STATUSES.get(word.toLowerCase().replace(/[\s-]+/g, "_")) ?? word;
}

/** How a run has failed, where only its status says it. */
export function reasonIn(told: string): string | undefined {
  const word = cleanLine(told, 60);
  return toStatus(told) === "failed" && !/^(?:fail|error)/i.test(word)
    ? `its status is "${word}"`
    : undefined;
}
