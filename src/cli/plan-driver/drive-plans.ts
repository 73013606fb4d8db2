import { homedir } from "node:os";
import { chooseChannels } from "../../notices/choose-channels.js";
import { createNotifier, type Notifier } from "../../notices/notifier.js";
import { type PlansAtWork, runDriverProcess } from "../../plan-driver/index.js";
import { createServices, type ServiceOptions } from "../../server/services.js";
import type { Settings } from "../../settings/settings.js";
import { systemClock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";
import { VERSION } from "../../shared/version.js";
import { watchForLinks } from "./dashboard-of-driver.js";

/**
 * Carries plans out until none is open, or all wait for people for too long, and nobody looks at the dashboard. It asks the workflows API as a server does.
 * @param options.described what a server of these settings is made of
 * @returns the exit code
 */
export function drivePlans(options: {
  settings: Settings;
  described: ServiceOptions & { plans: NonNullable<ServiceOptions["plans"]> };
  env: NodeJS.ProcessEnv;
  log: Log;
  onSignal: Parameters<typeof runDriverProcess>[0]["onSignal"];
}): Promise<number> {
  const { settings, described, log, onSignal } = options;
  const { folder, upstream } = described.plans;

  async function open(onKey: (isTaken: boolean) => void): Promise<PlansAtWork> {
    const host = createServices({ ...described, onKey, notifier: createDriverNotifier(options) });
    try {
      await host.discover();
      const plans = await host.services.plans.open();
      await plans.carryOn();
      const { services } = host;
      const place = { stateFolder: folder, upstream };
      const dashboard = watchForLinks({ services, place, clock: systemClock, log });
      return {
        async look() {
          const isOpen = await dashboard.isOpen();
          const work = await plans.lookAtWork();
          return { ...work, isBusy: work.isBusy || isOpen };
        },
        async close() {
          await dashboard.close();
          await host.close();
        },
      };
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  return runDriverProcess({
    stateFolder: folder,
    upstream,
    version: VERSION,
    apiKey: settings.apiKey,
    open,
    idleMs: settings.engineIdleTimeoutS * 1000,
    clock: systemClock,
    log,
    onSignal,
  });
}

/** Tells of plans also while the engine, which tells of its runs, has ended; each notice is told by one of them. */
function createDriverNotifier({
  settings,
  described,
  env,
  log,
}: Parameters<typeof drivePlans>[0]): Notifier | undefined {
  const { channels, problem } = chooseChannels(settings, {
    env,
    platform: process.platform,
    home: homedir(),
  });
  if (problem) log.warn(`Notifications cannot be shown on the desktop: ${problem}.`);
  if (channels.length === 0) return undefined;
  return createNotifier({ folder: described.plans.folder, channels, clock: systemClock, log });
}
