import { homedir } from "node:os";
import type { IntegrationParts } from "../../integrations/integration-parts.js";
import { listTargets } from "../../integrations/list-targets.js";
import type { Monitoring } from "../../monitoring/monitoring.js";
import { chooseChannels } from "../../notices/choose-channels.js";
import type { Notifier } from "../../notices/notifier.js";
import { openOutboxes } from "../../notices/open-outboxes.js";
import { type DriverPlace, type PlansAtWork, runDriverProcess } from "../../plan-driver/index.js";
import { createServices, type ServiceOptions } from "../../server/services.js";
import { createSecrets } from "../../settings/secrets.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import { monitor } from "../monitor.js";
import { openOutsideAnswers } from "../outside-answers.js";
import { watchForLinks } from "./dashboard-of-driver.js";

/**
 * Carries plans out until none is open, or all wait for people for too long, and nobody looks at the dashboard. It asks the workflows API as a server does.
 * @param options.described what a server of these settings is made of
 * @returns the exit code
 */
export function drivePlans(options: {
  settings: Settings;
  described: ServiceOptions & { plans: NonNullable<ServiceOptions["plans"]> };
  /** Where this process notes that it is there. */
  place: DriverPlace;
  env: NodeJS.ProcessEnv;
  log: Log;
  /** Texts that the log never shows; more are added. */
  secrets: (string | undefined)[];
  onSignal: Parameters<typeof runDriverProcess>[0]["onSignal"];
}): Promise<number> {
  const { settings, described, place, log, secrets, onSignal } = options;

  async function open(onKey: (isTaken: boolean) => void): Promise<PlansAtWork> {
    const monitoring = await monitor({ ...settings, metrics: "off" }, log, secrets);
    const integrations = integrationsOf(options);
    const notifier = createDriverNotifier(options, integrations, monitoring);
    const host = createServices({ ...described, onKey, notifier, counters: monitoring, monitoring });
    const served = monitoring && (await serveFigures(monitoring, options));
    try {
      await host.discover();
      const plans = await host.services.plans.open();
      await plans.carryOn();
      const { services } = host;
      const dashboard = watchForLinks({ services, place, clock: systemClock, log });
      const answers = await openOutsideAnswers({ services, integrations, notifier, ...described.plans, log });
      return {
        async look() {
          const isOpen = await dashboard.isOpen();
          const work = await plans.lookAtWork();
          return { ...work, isBusy: work.isBusy || isOpen || (answers?.isBusy() ?? false) };
        },
        async close() {
          await Promise.all([dashboard.close(), served?.close(), answers?.close()]);
          await host.close();
        },
      };
    } catch (error) {
      await served?.close();
      await host.close();
      throw error;
    }
  }

  return runDriverProcess({
    ...place,
    version: VERSION,
    apiKey: settings.apiKey,
    open,
    idleMs: settings.engineIdleTimeoutS * 1000,
    clock: systemClock,
    log,
    onSignal,
  });
}

function integrationsOf({
  settings,
  env,
  log,
  secrets: hidden,
}: Parameters<typeof drivePlans>[0]): IntegrationParts {
  const onSecret = (one: string) => void hidden.push(one);
  const secrets = createSecrets({ settings, env, home: homedir(), onSecret });
  return { settings, secrets, env, clock: systemClock, log };
}

/** Tells of plans also while the engine, which tells of its runs, has ended; each notice is told by one of them. */
function createDriverNotifier(
  { settings, described, env, log }: Parameters<typeof drivePlans>[0],
  integrations: IntegrationParts,
  monitoring: Monitoring | undefined,
): Notifier | undefined {
  const machine = { env, platform: process.platform, home: homedir() };
  const { channels, problem } = chooseChannels(settings, machine, integrations.secrets);
  if (problem) log.warn(`Not all notifications can be given: ${problem}.`);
  const targets = listTargets(integrations);
  if (channels.length + targets.length === 0) return undefined;
  const onDone = monitoring?.notified;
  const { folder, address } = described.plans;
  return openOutboxes({ folder, address, channels, targets, clock: systemClock, log, onDone });
}

/** A port that is taken is no reason to leave plans alone. */
async function serveFigures(
  monitoring: Monitoring,
  { settings, log }: Pick<Parameters<typeof drivePlans>[0], "settings" | "log">,
): Promise<{ close(): Promise<void> } | undefined> {
  if (settings.metricsPort === 0) return undefined;
  const { serveMetrics } = await import("../../server/http/serve-metrics.js");
  try {
    const served = await serveMetrics(settings.metricsPort, monitoring.text);
    log.info(`Figures are told at http://127.0.0.1:${served.port}/metrics`);
    return served;
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "EADDRINUSE" ? "is taken" : "cannot be had";
    log.warn(`Figures are not told: port ${settings.metricsPort} ${why}.`);
    return undefined;
  }
}
