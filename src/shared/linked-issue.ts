import { createHash } from "node:crypto";
import * as z from "zod";

const LINK_CHARS = 500;

/** An issue elsewhere that a run or a plan is about: what it has to be known by, so that it can be kept up to date. */
export const linkedIssueSchema = z.object({
  tracker: z.literal("linear"),
  /** As the tracker calls it among machines. */
  id: z.string().min(1).max(100),
  /** As people call it: `ENG-123`. */
  identifier: z.string().regex(/^[A-Z][A-Z0-9]{0,9}-[0-9]{1,9}$/),
  url: z
    .string()
    .regex(/^https?:\/\/[^\s"'<>()]+$/)
    .max(LINK_CHARS),
});

export type LinkedIssue = z.output<typeof linkedIssueSchema>;

/** A UUID of version 4 in form, the same for the same text: an id that need not be stored to be known again. */
export function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
