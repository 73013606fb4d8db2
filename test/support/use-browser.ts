import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { launchChromium } from "./browser.js";

/** A browser for all tests of a block, begun before the first of them. */
export function useBrowser(executablePath: string | undefined): { get(): Browser } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await launchChromium(executablePath as string);
  });
  afterAll(() => browser?.close());
  return {
    get() {
      if (!browser) throw new Error("The browser has not begun.");
      return browser;
    },
  };
}
