import { createHash } from "node:crypto";

/** What a text is known again by, as a shared database tells it of a column (`SharedDatabase.digest`). */
export function digestOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
