import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findProgram } from "./debian-program.js";

/** Where screenshots of the tests go: they are looked at by people, and nothing compares them. */
const SCREENSHOTS =
  process.env.AUTOMAGIK_TEST_SCREENSHOTS ?? fileURLToPath(new URL("../../screenshots", import.meta.url));

/**
 * The path of Debian's chromium, or undefined where there is none and it cannot be installed; see findProgram.
 * @throws Error in CI on Linux, where what a browser shows is not to be left untested without a word
 */
export async function findChromium(): Promise<string | undefined> {
  const found = await findProgram("chromium", "chromium", "Tests in a browser");
  if (!found && process.env.CI && process.platform === "linux")
    throw new Error("There is no chromium, and in CI the tests in a browser are not skipped: install it.");
  return found;
}

export function launchChromium(executablePath: string): Promise<Browser> {
  // Its sandbox does not work for root.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page, with all that it asked for and all that it complained of. */
export interface WatchedPage {
  page: Page;
  /** Addresses of all requests. */
  requests: string[];
  /** Errors of scripts, and what the content security policy has refused. */
  complaints: string[];
}

/** Opens the address in a window of its own. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    locale: "en-GB",
    ...options,
  });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(url);
  return { page, requests, complaints };
}

/** Keeps what the page looks like, by name, for people. */
export async function keepScreenshot(page: Page, name: string, fullPage = false): Promise<string> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const path = join(SCREENSHOTS, `${name}.png`);
  await page.screenshot({ path, fullPage, animations: "disabled" });
  return path;
}
