import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import { VERSION } from "../shared/version.js";
import { createEnded } from "./ended.js";
import { createMeters } from "./meters.js";
import type { Monitoring } from "./monitoring.js";
import { METRICS } from "./names.js";
import { type Now, readNow } from "./now.js";
import { createSpans, type Spans } from "./spans.js";

/** What is read for the figures may take so long, in ms; then they are told without what it would have shown. */
const READ_MS = 3_000;
/** What is sent at the end may take so long, in ms. */
const CLOSE_MS = 2_000;

/** Prometheus wants the unit in a name, the conventions of OpenTelemetry want it beside it, and the exporter adds none. */
function withUnit(text: string): string {
  const name = METRICS.operationDuration.replaceAll(".", "_");
  return text.replaceAll(name, `${name}_seconds`);
}

/** Where figures and traces are sent. */
export interface Collector {
  /** Without a slash at its end. */
  endpoint: string;
  headers: Readonly<Record<string, string>>;
  intervalMs: number;
}

/**
 * Figures in the text format of Prometheus, and figures and traces for a collector where there is one. By the SDK of
 * OpenTelemetry, of which only what is set up here is used: no global provider, no instrumentation of other packages.
 * @param collector undefined for none
 */
export function openMonitoring(options: {
  collector: Collector | undefined;
  clock: Clock;
  log: Log;
}): Monitoring {
  const { collector, clock, log } = options;
  const resource = resourceFromAttributes({
    "service.name": "automagik-workflows-mcp",
    "service.version": VERSION,
  });
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  const pushing = collector ? [createPush(collector)] : [];
  const provider = new MeterProvider({ resource, readers: [reader, ...pushing] });
  const spans: Spans | undefined = collector && createTraces(collector);
  let source: Parameters<Monitoring["watch"]>[0] | undefined;
  let takeEnded: () => ReturnType<ReturnType<typeof createEnded>> = async () => [];
  let isClosed = false;
  const meters = createMeters(provider.getMeter("automagik-workflows-mcp", VERSION), look);

  function createPush({ endpoint, headers, intervalMs }: Collector): PeriodicExportingMetricReader {
    return new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics`, headers: { ...headers } }),
      exportIntervalMillis: intervalMs,
      exportTimeoutMillis: Math.min(intervalMs, 10_000),
    });
  }

  function createTraces({ endpoint, headers, intervalMs }: Collector): Spans {
    const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, headers: { ...headers } });
    return createSpans({ exporter, resource, intervalMs });
  }

  /** What has ended is counted with what goes on, so that a run is never in neither. */
  async function look(): Promise<Now | undefined> {
    if (!source || isClosed) return undefined;
    const { sessions, plans } = source;
    try {
      return await withDeadline(clock, READ_MS, async () => {
        const now = await readNow({ sessions, plans }).catch((error: Error) => {
          log.debug(`What goes on is not told with the figures: ${error.message}`);
          return undefined;
        });
        await countEnded();
        return now;
      });
    } catch (error) {
      log.warn(`Figures could not be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  async function countEnded(): Promise<void> {
    for (const one of await takeEnded()) {
      meters.ended(one);
      if (one.isNew) spans?.ended(one.figures);
    }
  }

  return {
    ...meters,
    watch(services) {
      source = services;
      takeEnded = createEnded(services.sessions.history, services.clock.now());
    },
    async text() {
      const { resourceMetrics, errors } = await reader.collect();
      for (const error of errors) log.warn(`Some figures are missing: ${(error as Error).message}`);
      return withUnit(serializer.serialize(resourceMetrics));
    },
    async close() {
      await withDeadline(clock, CLOSE_MS, () => Promise.allSettled([provider.forceFlush()]));
      isClosed = true;
      await withDeadline(clock, CLOSE_MS, () => Promise.allSettled([provider.shutdown(), spans?.close()]));
    },
  };
}
