import * as z from "zod";
import { linkedIssueSchema } from "../../shared/linked-issue.js";

/** What is delivered to Linear, as it stands in the outbox. */
const payloadSchema = z.discriminatedUnion("kind", [
  /** The issue is worked on now. */
  z.object({ kind: z.literal("start"), issue: linkedIssueSchema }),
  /** The one comment at it, as it is to read now; `key` names the run or the plan. */
  z.object({ kind: z.literal("comment"), issue: linkedIssueSchema, key: z.string(), body: z.string() }),
  /** A pull request of it. */
  z.object({ kind: z.literal("pull"), issue: linkedIssueSchema, url: z.string(), title: z.string() }),
]);
export type LinearPayload = z.output<typeof payloadSchema>;

/** The name under which deliveries stand in the outbox. */
export const LINEAR_TARGET = "linear";

/** Undefined for what another version has written. */
export function readPayload(payload: unknown): LinearPayload | undefined {
  return payloadSchema.safeParse(payload).data;
}
