/** What an agent is to do that goes on after an end that it did not come to by itself. */
export const GO_ON =
  // Not that it is still there: the person may have cleaned up since.
  "What you had not committed may still be in your workspace: see what is there, and go on where you stopped.";

/** Words for an agent whose run was interrupted. @param at when, in words for the text; "" where nobody knows */
export function tellInterruption(at = ""): string {
  return `The run before this one was interrupted${at}: the engine or the machine went away. ${GO_ON}`;
}
