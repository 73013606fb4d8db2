import { SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type IdGenerator,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { Figures } from "../history/figures.js";
import { type SpanIds, spanIdsOf } from "../shared/trace-parent.js";
import { SPAN } from "./names.js";

/** Sends a span for each run and plan that has ended. */
export interface Spans {
  /** What has no known beginning has no span. */
  ended(figures: Figures): void;
  close(): Promise<void>;
}

/** @param exporter takes the spans in lots, at every `intervalMs` */
export function createSpans(options: {
  exporter: SpanExporter;
  resource: Resource;
  intervalMs: number;
}): Spans {
  const { exporter, resource, intervalMs } = options;
  let next: SpanIds = { traceId: "", spanId: "" };
  // The ids follow from the run's, since its agent was told them when it began.
  const idGenerator: IdGenerator = {
    generateTraceId: () => next.traceId,
    generateSpanId: () => next.spanId,
  };
  const processor: SpanProcessor = new BatchSpanProcessor(exporter, { scheduledDelayMillis: intervalMs });
  const provider = new BasicTracerProvider({ idGenerator, resource, spanProcessors: [processor] });
  const tracer = provider.getTracer("automagik-workflows-mcp");

  return {
    ended(figures) {
      const { kind, id, startedAt, endedAt, plan, outcome, failure } = figures;
      if (startedAt === undefined || endedAt === undefined) return;
      next = spanIdsOf(kind, id);
      const inPlan = kind === "run" && plan !== undefined ? spanIdsOf("plan", plan) : undefined;
      const span = tracer.startSpan(nameOf(figures), {
        root: true,
        startTime: startedAt,
        attributes: attributesOf(figures),
        links: inPlan ? [{ context: { ...inPlan, traceFlags: TraceFlags.SAMPLED } }] : [],
      });
      if (outcome === "failed")
        span.setStatus({ code: SpanStatusCode.ERROR, ...(failure ? { message: failure } : {}) });
      else if (outcome === "completed") span.setStatus({ code: SpanStatusCode.OK });
      span.end(Math.max(startedAt, endedAt));
    },
    close: () => provider.shutdown(),
  };
}

function nameOf({ kind, workflow, template }: Figures): string {
  return kind === "run" ? `invoke_agent ${workflow ?? "unknown"}` : `invoke_workflow ${template ?? "plan"}`;
}

function attributesOf(figures: Figures) {
  const { kind, id, plan, session, workflow, template, step, model, outcome, failure } = figures;
  const { turns, tokens, costUsd, runs, waitedS } = figures;
  const known = {
    [SPAN.operation]: kind === "run" ? "invoke_agent" : "invoke_workflow",
    [SPAN.agent]: workflow,
    [SPAN.conversation]: session,
    [SPAN.model]: model,
    [SPAN.runId]: kind === "run" ? id : undefined,
    [SPAN.planId]: kind === "plan" ? id : plan,
    [SPAN.step]: step,
    [SPAN.template]: template,
    [SPAN.outcome]: outcome,
    [SPAN.failure]: failure,
    [SPAN.turns]: turns,
    [SPAN.tokens]: tokens,
    [SPAN.costUsd]: costUsd,
    [SPAN.runs]: runs,
    [SPAN.waitedS]: waitedS,
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | number
  >;
}
