import type { QueuedMessage } from "../runs/run.js";

/** What tells the model that a message does not come from the person. */
const SYSTEM_MARK = "[System message from the service that runs this workflow, not from the person]";

/** A message as it is put before the model. */
export function messageText({ type, content }: Pick<QueuedMessage, "type" | "content">): string {
  return type === "system" ? `${SYSTEM_MARK}\n\n${content}` : content;
}
