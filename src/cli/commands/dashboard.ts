import { readSettings } from "../../settings/settings.js";
import { hasSharedDatabase } from "../../settings/shared-database.js";
import { systemClock } from "../../shared/clock.js";
import { StoreError } from "../../store/store-error.js";
import type { Invocation } from "../command-line.js";
import { makeLink } from "../dashboard/make-link.js";
import { openInBrowser } from "../dashboard/open-in-browser.js";
import { driverPlaceOf, openServerLog, settingsInTerminal } from "../describe-server.js";
import { findOrStartDriver } from "../plan-driver/start-driver.js";
import { lookAtPlans } from "../plan-driver/tell-driver.js";
import { findStateFolder, foreignEnvironment } from "../process.js";
import { out } from "./terminal.js";

/** `dashboard`: a link that opens the dashboard of this machine's sessions and plans in a browser, once. */
export async function dashboard(asked: Invocation): Promise<number> {
  const { flags, script } = asked;
  const settings = settingsInTerminal(readSettings(process.env, flags));
  if (hasSharedDatabase(settings)) {
    out(
      "With AUTOMAGIK_WORKFLOWS_DATABASE sessions are shared by servers, and no process of this machine has them: ask one of " +
        "these servers for a link, by POST /dashboard/link (docs/dashboard.md). Nothing was started.\n",
    );
    return 1;
  }
  const place = driverPlaceOf(findStateFolder(settings), settings);
  // Its process would end by this, and the reason stand in its log only.
  await lookAtPlans(place).catch((error) => {
    if (error instanceof StoreError && error.kind === "newer-version") throw error;
  });
  const log = openServerLog(settings, [settings.apiKey]);
  const link = await makeLink({
    place,
    findDriver: () => findOrStartDriver({ settings, flags, script, partial: true, place, log }),
    clock: systemClock,
  });
  out(
    `The dashboard: ${link}\nThis link opens it once, within 5 minutes. It is served on this machine only.\n`,
  );
  if (!asked["no-open"]) await openInBrowser(link, { env: foreignEnvironment(), platform: process.platform });
  return 0;
}
