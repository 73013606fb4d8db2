import type { Browser, BrowserContextOptions } from "playwright-core";
import { onTestFinished } from "vitest";
import { openPage } from "./browser.js";
import { busyDay } from "./dashboard-states.js";
import { StandInDashboard, type Told } from "./stand-in-dashboard.js";

/** Opens the page at a place of it, before a server that tells a busy day; both end with the test. */
export async function openStandIn(
  browser: Browser,
  change: (told: Told) => void = () => {},
  options: BrowserContextOptions = {},
  hash = "",
) {
  const told = busyDay(Date.now());
  change(told);
  const server = new StandInDashboard(told);
  const url = await server.listen();
  onTestFinished(() => server.close());
  const watched = await openPage(browser, url + hash, options);
  onTestFinished(() => watched.page.context().close());
  return { ...watched, server, told, url };
}
