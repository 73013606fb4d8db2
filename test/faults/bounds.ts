import type { Settings } from "../../src/settings/settings.js";

/** A server that asks for more patience than this is not waited for, in ms; the longest back-off is shorter. */
const RETRY_PAUSE_MS = 30_000;
/** Looks into the list after a lost answer: their pauses, and each within the limit of a request. */
const LOOK_UP_MS = 4_000;
/** A call that says nothing of waiting waits so long where the client shows no progress. */
const SILENT_WAIT_MS = 45_000;

/**
 * The time within which a call has to end by what the settings state, in ms: limit of a request × tries, back-off,
 * `wait_seconds`. What a person takes for the forms comes on top.
 */
export function boundOfCall(
  action: string,
  args: Record<string, unknown>,
  settings: Settings,
  /** Starts that are alike go one after the other. */
  startsBefore = 0,
): number {
  const once = settings.requestTimeoutS * 1000;
  const read = (settings.maxRetries + 1) * once + settings.maxRetries * RETRY_PAUSE_MS;
  // A reading of the sessions: the list, then runs that it does not show; one that is under way already is shared.
  const sessions = 2 * (read + once);
  const waitS = args.wait_seconds;
  const wait = typeof waitS === "number" ? waitS * 1000 : SILENT_WAIT_MS;
  // What was lost is looked for three times.
  const start = once + LOOK_UP_MS + 3 * once;
  // The list of workflows has three addresses, and is read by whoever finds none.
  const workflows = 3 * once;
  switch (action) {
    case "run":
      return 2 * workflows + 2 * sessions + 2 * read + (1 + startsBefore) * start + wait + 2 * once;
    case "list_workflows":
      return 2 * workflows;
    case "list_sessions":
      return sessions;
    case "status":
      // Detailed, it also tells the queue; a failed run is explained from the list.
      return sessions + read + once + read + (typeof waitS === "number" ? wait : 0);
    case "feedback":
      return sessions + once + (typeof waitS === "number" ? wait : 5_000) + 2 * once + sessions;
    default:
      // Find it, read it, do it, look at what became of it.
      return 2 * sessions + 3 * read + once + 3 * (5_000 + 2_000);
  }
}
