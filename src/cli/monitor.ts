import type { Monitoring } from "../monitoring/monitoring.js";
import type { Settings } from "../settings/settings.js";
import { systemClock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";

/**
 * What tells operators, where the settings ask for it; nothing of it is loaded otherwise.
 * @param secrets texts that the log never shows; the values of headers are added
 */
export async function monitor(
  settings: Pick<Settings, "metrics" | "metricsPort" | "otlpEndpoint" | "otlpHeaders" | "otlpIntervalS">,
  log: Log,
  secrets: (string | undefined)[],
): Promise<Monitoring | undefined> {
  const { metrics, metricsPort, otlpEndpoint, otlpHeaders = {}, otlpIntervalS } = settings;
  if (metrics === "off" && metricsPort === 0 && otlpEndpoint === undefined) return undefined;
  secrets.push(...Object.values(otlpHeaders));
  const { openMonitoring } = await import("../monitoring/open-monitoring.js");
  return openMonitoring({
    collector:
      otlpEndpoint === undefined
        ? undefined
        : { endpoint: otlpEndpoint, headers: otlpHeaders, intervalMs: otlpIntervalS * 1_000 },
    clock: systemClock,
    log,
  });
}
