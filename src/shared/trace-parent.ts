import { createHash } from "node:crypto";

/** The ids of a span in W3C Trace Context, in hex. */
export interface SpanIds {
  /** 32 digits. */
  traceId: string;
  /** 16 digits. */
  spanId: string;
}

/**
 * Where a run or a plan stands in traces. It follows from its id, so that every process that knows of it, the engine and
 * whoever sends its span when it has ended, names the same.
 */
export function spanIdsOf(kind: "run" | "plan", id: string): SpanIds {
  const digest = createHash("sha256").update(`${kind} ${id}`).digest("hex");
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

/** What an agent gets as TRACEPARENT, so that its own spans nest under those of its run. */
export function traceParentOf(runId: string): string {
  const { traceId, spanId } = spanIdsOf("run", runId);
  return `00-${traceId}-${spanId}-01`;
}
