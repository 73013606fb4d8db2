import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Clock } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Log } from "../shared/log.js";
import { VERSION } from "../shared/version.js";
import { createEnded } from "./ended.js";
import { type Collector, createExporters } from "./exporters.js";
import { createMeters } from "./meters.js";
import type { Monitoring } from "./monitoring.js";
import { METRICS } from "./names.js";
import { type Now, readNow } from "./now.js";
import { createSpans, type Spans } from "./spans.js";

/** What is read for the figures may take so long, in ms; then they are told without what it would have shown. */
const READ_MS = 3_000;
/** An API that has not answered is not asked again for so long, in ms, however often figures are fetched. */
const REST_MS = 3_000;
/** What is sent at the end may take so long, in ms. */
const CLOSE_MS = 2_000;

/** The figures that are true at one moment only. */
const OF_A_MOMENT: readonly string[] = [METRICS.runsActive, METRICS.waiting];

/** Prometheus wants the unit in a name, the conventions of OpenTelemetry want it beside it, and the exporter adds none. */
function withUnit(text: string): string {
  const name = METRICS.operationDuration.replaceAll(".", "_");
  return text.replaceAll(name, `${name}_seconds`);
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
  const sending = collector && send(collector);
  const provider = new MeterProvider({ resource, readers: [reader, ...(sending ? [sending.reader] : [])] });
  const spans: Spans | undefined = sending?.spans;
  let reading: Promise<string> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;
  /** Whether the last reading has shown what goes on. */
  let isKnown = false;
  let source: Parameters<Monitoring["watch"]>[0] | undefined;
  let takeEnded: () => ReturnType<ReturnType<typeof createEnded>> = async () => [];
  let isClosed = false;
  const meters = createMeters(provider.getMeter("automagik-workflows-mcp", VERSION), look);

  function send(to: Collector) {
    const { metrics, traces } = createExporters(to, log);
    const { intervalMs } = to;
    const give = metrics.export.bind(metrics);
    metrics.export = (told, done) => give(withoutOld(told), done);
    return {
      reader: new PeriodicExportingMetricReader({
        exporter: metrics,
        exportIntervalMillis: intervalMs,
        exportTimeoutMillis: Math.min(intervalMs, 10_000),
      }),
      spans: createSpans({ exporter: traces, resource, intervalMs }),
    };
  }

  /** What has ended is counted with what goes on, so that a run is never in neither. */
  async function look(): Promise<Now | undefined> {
    const isResting = clock.elapsed() - failedAt < REST_MS;
    const now = await readAll(isResting);
    isKnown = now !== undefined;
    if (!isKnown && !isResting) failedAt = clock.elapsed();
    return now;
  }

  async function readAll(isResting: boolean): Promise<Now | undefined> {
    if (!source || isClosed) return undefined;
    const { sessions, plans, catalogue } = source;
    meters.begin(catalogue.state().workflows.map(({ name }) => name));
    try {
      return await withDeadline(clock, READ_MS, async () => {
        const now = isResting
          ? undefined
          : await readNow({ sessions, plans }).catch((error: Error) => {
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

  async function collect(): Promise<string> {
    const { resourceMetrics, errors } = await reader.collect();
    for (const error of errors) log.warn(`Some figures are missing: ${(error as Error).message}`);
    return withUnit(serializer.serialize(withoutOld(resourceMetrics)));
  }

  /** What was true at one moment only is left out where it is not known: the SDK would tell the last of it for ever. */
  function withoutOld(told: ResourceMetrics): ResourceMetrics {
    if (isKnown) return told;
    const scopeMetrics = told.scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.filter(({ descriptor }) => !OF_A_MOMENT.includes(descriptor.name)),
    }));
    return { ...told, scopeMetrics };
  }

  return {
    ...meters,
    watch(services) {
      source = services;
      takeEnded = createEnded(services.sessions.history, services.clock.now());
    },
    text() {
      // All who ask at the same time are told the same.
      reading ??= collect().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    async close() {
      await withDeadline(clock, CLOSE_MS, () => Promise.allSettled([provider.forceFlush()]));
      isClosed = true;
      await withDeadline(clock, CLOSE_MS, () => Promise.allSettled([provider.shutdown(), spans?.close()]));
    },
  };
}
