import { describe, expect, it } from "vitest";
import { findChromium, keepScreenshot } from "./support/browser.js";
import { openStandIn } from "./support/stand-in-page.js";
import { useBrowser } from "./support/use-browser.js";

// What the dashboard's page shows of figures, in a real browser, before figures that the server's own code has made.

const chromium = await findChromium();

describe.skipIf(!chromium)("the page of figures, in a browser", () => {
  const browser = useBrowser(chromium);
  const open = (hash = "#/figures") => openStandIn(browser.get(), undefined, {}, hash);

  it("leads from a bar of the figures to the runs behind it", async () => {
    const { page, requests } = await open();
    const bar = page.getByRole("button", { name: /^implement/ }).first();
    await bar.click();
    await page.getByRole("heading", { name: /^implement 64 runs/ }).waitFor();
    expect(await bar.innerText()).toContain("64, 6 failed");
    expect(requests.some((url) => /figures\/rows\?by=workflow&key=implement&since=\d+/.test(url))).toBe(true);
    await keepScreenshot(page, "figures");
    await page.getByRole("link", { name: "csv-export", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "csv-export" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: /^implement 64 runs/ }).waitFor();
  });

  it("says that figures are loading, and shows none of another choice meanwhile", async () => {
    let held = Promise.resolve();
    let release = () => {};
    const hold = () => {
      held = new Promise<void>((resolve) => {
        release = resolve;
      });
    };
    const { page, told } = await open("#/help");
    const { figures, rows } = told;
    told.figures = (by) => held.then(() => figures(by));
    told.rows = (by, key) => held.then(() => rows(by, key));
    const loading = page.getByRole("status").filter({ hasText: "Loading the figures…" });
    const goOn = async () => {
      await loading.waitFor();
      release();
      await loading.waitFor({ state: "detached" });
      hold();
    };
    hold();
    await page.getByRole("link", { name: "Figures" }).click();
    await goOn();
    await page.getByRole("button", { name: "Repository" }).click();
    await loading.waitFor();
    expect(await page.getByRole("button", { name: /^implement/ }).count()).toBe(0);
    await goOn();
    await page.getByRole("button", { name: "Workflow" }).click();
    await goOn();
    await page
      .getByRole("button", { name: /^implement/ })
      .first()
      .click();
    await goOn();
    await page.getByRole("heading", { name: /^implement 64 runs/ }).waitFor();
  });

  it("shows the figures again that were chosen last", async () => {
    const { page, url } = await open();
    await page.getByRole("button", { name: "Repository" }).click();
    await page.getByRole("button", { name: "90 days" }).click();
    await page.getByRole("button", { name: "Cost", exact: true }).click();
    await page.getByRole("heading", { name: "Cost by repository" }).waitFor();
    const later = await page.context().newPage();
    await later.goto(url);
    await later.getByRole("link", { name: "Figures" }).click();
    await later.getByRole("heading", { name: "Cost by repository" }).waitFor();
    expect(await later.getByRole("button", { name: "90 days" }).getAttribute("aria-pressed")).toBe("true");
  });

  it("tells what a run took beside what was to be expected of one, and not the sums of all", async () => {
    const { page, told } = await open();
    const { groups } = await told.figures("workflow");
    const { expected } = groups.find(({ key }) => key === "fix") ?? {};
    // 48 runs of about 9 turns, $0.19 and 7 min each.
    expect(expected?.turnsActual).toBeGreaterThan(7);
    expect(expected?.turnsActual).toBeLessThan(11);
    const table = page.getByRole("region", { name: "All figures by workflow" });
    const row = table.getByRole("row", { name: /^fix/ });
    await row.waitFor();
    const heads = await table.getByRole("columnheader").allInnerTexts();
    const cell = (head: string) =>
      row
        .getByRole("cell")
        .nth(heads.indexOf(head) - 1)
        .innerText();
    expect(await cell("Turns of a run, of expected")).toMatch(/^(8|9|10)\.\d of (8|9)\.\d \([+−]?\d+ %\)$/);
    expect(await cell("Time of a run, of expected")).toMatch(/^(6|7) min of (6|7) min \(/);
    expect(await cell("Cost of a run, of expected")).toMatch(/^\$0\.(1|2)\d of \$0\.(1|2)\d \(/);
  });

  it("counts what a person has killed for no failure, in the bar as in the table", async () => {
    const { page } = await open("#/figures?by=workflow&days=30&figure=success");
    // 64 runs, of which 6 have failed and 3 were killed: 55 of 61.
    const bar = page.getByRole("button", { name: /^implement/ }).first();
    await bar.filter({ hasText: "90 %, 55 of 61 (3 killed)" }).waitFor();
    expect(await page.getByRole("row", { name: /^implement/ }).innerText()).toContain("90 %");
  });

  it("calls plans what it tells by template", async () => {
    const { page } = await open("#/figures?by=template&days=30&figure=runs");
    await page.getByRole("heading", { name: "Plans by template" }).waitFor();
    await page.getByRole("columnheader", { name: "Plans", exact: true }).waitFor();
    await page
      .getByRole("button", { name: /^feature/ })
      .first()
      .click();
    await page.getByRole("heading", { name: /^feature 9 plans/ }).waitFor();
    await page.getByRole("list", { name: "Plans of feature" }).waitFor();
    expect(await page.locator("main").innerText()).not.toMatch(/\bruns?\b/i);
  });

  it("calls repositories by their short name, with the address as title", async () => {
    const { page } = await open("#/figures?by=repository&days=30&figure=runs");
    const label = page.locator(".bar-label", { hasText: "gateway" });
    await label.waitFor();
    expect(await label.innerText()).toBe("gateway");
    expect(await label.getAttribute("title")).toBe("https://example.com/acme/gateway.git");
  });
});
