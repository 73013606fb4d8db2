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
