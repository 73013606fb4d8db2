import type { Services } from "../../actions/define-action.js";
import {
  type DriverPlace,
  findLinkRequests,
  LOOK_FOR_LINKS_MS,
  removeDashboardRecord,
  withdrawLink,
  writeDashboardRecord,
} from "../../plan-driver/index.js";
import type { ServedDashboard } from "../../server/http/serve-dashboard.js";
import type { Clock } from "../../shared/clock.js";
import type { Log } from "../../shared/log.js";

/** The dashboard of a driver: served from the first link on that is asked for. */
export interface DashboardOfDriver {
  /** Takes up what was asked for, and says whether somebody looks at it, or is about to. Never throws. */
  isOpen(): Promise<boolean>;
  close(): Promise<void>;
}

/** Serves the dashboard as soon as a command in a terminal asks for a link to it. */
export function watchForLinks(options: {
  services: Services;
  place: DriverPlace;
  clock: Clock;
  log: Log;
}): DashboardOfDriver {
  const { place, clock, log } = options;
  let served: Promise<ServedDashboard> | undefined;
  let looking: Promise<void> | undefined;
  let cancel = () => {};
  let isClosed = false;

  async function serve(): Promise<ServedDashboard> {
    const { serveDashboard } = await import("../../server/http/serve-dashboard.js");
    const found = await serveDashboard(options);
    log.info(`The dashboard is served at ${found.url}.`);
    return found;
  }

  async function lookOnce(): Promise<void> {
    for (const digest of await findLinkRequests(place, clock)) {
      if (isClosed) return;
      try {
        served ??= serve();
        const { url, expect } = await served;
        // Whoever has asked finds where it is as soon as the request is gone.
        writeDashboardRecord(place, { pid: process.pid, url });
        expect(digest);
      } finally {
        // What has failed is asked for again, and not tried with each look.
        await withdrawLink(place, digest);
      }
    }
  }

  function look(): Promise<void> {
    looking ??= lookOnce()
      .catch((error: Error) => {
        served = undefined;
        log.warn(`The dashboard could not be served: ${error.message}`);
      })
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  function lookLater(): void {
    cancel = clock.after(LOOK_FOR_LINKS_MS, () => void look().then(() => isClosed || lookLater()));
  }
  lookLater();

  return {
    async isOpen() {
      await look();
      return (await served?.catch(() => undefined))?.isOpen() ?? false;
    },
    async close() {
      isClosed = true;
      cancel();
      await looking;
      if (!served) return;
      removeDashboardRecord(place);
      await (await served.catch(() => undefined))?.close();
    },
  };
}
