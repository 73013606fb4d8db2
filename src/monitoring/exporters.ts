import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import type { Log } from "../shared/log.js";
import { cleanLine } from "../shared/text.js";

/** Where figures and traces are sent. */
export interface Collector {
  /** Without a slash at its end. */
  endpoint: string;
  headers: Readonly<Record<string, string>>;
  intervalMs: number;
}

/** What is said of a failure, in characters: the collector may have worded it. */
const WHY_CHARS = 200;
/** The code of an export that has failed; the SDK's own enumeration is in a package of which nothing else is used. */
const FAILED = 1;

/** What sends figures and traces to a collector; the log is told when that fails, and when it goes again. */
export function createExporters({ endpoint, headers }: Collector, log: Log) {
  return withoutForeignHeaders(() => ({
    metrics: telling(
      new OTLPMetricExporter({ url: `${endpoint}/v1/metrics`, headers: { ...headers } }),
      "Figures",
      log,
    ),
    traces: telling(
      new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, headers: { ...headers } }),
      "Traces",
      log,
    ),
  }));
}

/** The SDK says nothing of failures by itself. Each is told once, until one has got through again. */
function telling<Items, Exporter extends { export(items: Items, done: (result: Result) => void): void }>(
  exporter: Exporter,
  what: string,
  log: Log,
): Exporter {
  const send = exporter.export.bind(exporter);
  let isFailing = false;
  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code === FAILED && !isFailing)
        log.warn(`${what} did not reach the collector: ${cleanLine(whyOf(result), WHY_CHARS)}`);
      else if (result.code !== FAILED && isFailing) log.info(`${what} reach the collector again.`);
      isFailing = result.code === FAILED;
      done(result);
    });
  return exporter;
}

interface Result {
  code: number;
  error?: Error;
}

function whyOf({ error }: Result): string {
  const { message, code } = (error ?? {}) as { message?: string; code?: number | string };
  return [message, code].filter(Boolean).join(", ") || "no reason was given";
}

/**
 * Headers of the environment are meant for another collector and may have its key: the SDK would add them to ours. It
 * reads them when an exporter is made.
 */
function withoutForeignHeaders<Made>(make: () => Made): Made {
  const foreign = Object.entries(process.env).filter(([name]) =>
    /^OTEL_EXPORTER_OTLP_(\w+_)?HEADERS$/.test(name),
  );
  for (const [name] of foreign) delete process.env[name];
  try {
    return make();
  } finally {
    Object.assign(process.env, Object.fromEntries(foreign));
  }
}
