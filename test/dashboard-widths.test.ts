import type { Page } from "playwright-core";
import { describe, expect, it, vi } from "vitest";
import { findChromium } from "./support/browser.js";
import { openStandIn } from "./support/stand-in-page.js";
import { useBrowser } from "./support/use-browser.js";

// Tables and differences of the dashboard on narrow and wide screens, in a real browser.

const chromium = await findChromium();
/** For what a busy machine does late, in ms. */
const PATIENCE = 20_000;
const SCREENS = [
  { width: 390, height: 844 },
  { width: 1280, height: 860 },
];
const LONG =
  "Is this what we want before it goes into every route, with all that was said of it by those who use it? ".repeat(
    6,
  );

/** The words of all cells of tables that stand on more than one line. */
const brokenWords = (page: Page) =>
  page.evaluate(`[...document.querySelectorAll(".table th, .table td")].flatMap((cell) => {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    const broken = [];
    for (let text = texts.nextNode(); text; text = texts.nextNode())
      for (const { 0: word, index } of text.data.matchAll(/[^\\s,/:·-]+/g)) {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) broken.push(word);
      }
    return broken;
  })`);

describe.skipIf(!chromium).each(SCREENS)("on a screen of $width pixels", (viewport) => {
  const browser = useBrowser(chromium);
  const open = (hash: string, change?: Parameters<typeof openStandIn>[1]) =>
    openStandIn(browser.get(), change, { viewport }, hash);

  it("no word in a table is broken, however long the question beside it is", async () => {
    const { page } = await open("#/plans/plan-1", ({ plans }) => {
      for (const gate of plans["plan-1"]?.gates ?? []) gate.question = LONG;
    });
    await page.getByRole("table").waitFor();
    expect(await brokenWords(page)).toEqual([]);
    await page.goto(new URL("#/figures", page.url()).href);
    await page.getByRole("region", { name: "All figures by workflow" }).getByRole("table").waitFor();
    expect(await brokenWords(page)).toEqual([]);
  });

  it("a day of the figures stands on one line", async () => {
    const { page } = await open("#/figures?by=day&days=30&figure=runs");
    await page
      .getByRole("button", { name: /^20\d\d-/ })
      .first()
      .waitFor();
    const lines = await page.evaluate(
      `[...document.querySelectorAll(".figures tbody th button")].map((day) => day.getClientRects()[0].height)`,
    );
    expect(Math.max(...(lines as number[]))).toBeLessThan(30);
  });

  it("a table that is wider than the screen says so, and is scrolled by the keyboard", async () => {
    const { page } = await open("#/plans/plan-1", ({ plans }) => {
      for (const gate of plans["plan-1"]?.gates ?? []) gate.step = "a_gate_with_a_long_name".repeat(8);
    });
    const frame = page.getByRole("region", { name: "Decisions at gates" });
    await frame.locator("xpath=following-sibling::p").getByText("scroll sideways").waitFor();
    await frame.focus();
    await page.keyboard.press("ArrowRight");
    await vi.waitFor(
      async () => expect(await page.evaluate("document.activeElement.scrollLeft")).toBeGreaterThan(0),
      PATIENCE,
    );
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(viewport.width);
  });

  it("a time in a plan's timeline for which there is no room is left out, and widens nothing", async () => {
    // Yesterday's, which are told with their day, and the last of them at the very end.
    const end = new Date(Date.now() - 86_400_000).setMinutes(0, 0, 0);
    const { page } = await open("#/plans/plan-1", ({ plans }) => {
      Object.assign(plans["plan-1"] ?? {}, {
        status: "completed",
        startedAt: end - 3_600_000,
        changedAt: end,
      });
    });
    await page.locator(".timeline-marks > span").first().waitFor();
    const marks = (await page.evaluate(`(() => {
      const frame = document.querySelector(".timeline").getBoundingClientRect();
      const below = document.querySelector(".timeline-rows").getBoundingClientRect().top;
      return [...document.querySelectorAll(".timeline-marks > span")]
        .filter((mark) => mark.checkVisibility())
        .map((mark) => {
          const { top, right } = mark.firstElementChild.getBoundingClientRect();
          return { isSeen: top < below, fits: right <= frame.right, left: mark.getBoundingClientRect().left };
        });
    })()`)) as { isSeen: boolean; fits: boolean; left: number }[];
    expect(marks.filter(({ isSeen, fits }) => isSeen && !fits)).toEqual([]);
    expect(marks.some(({ isSeen }) => isSeen)).toBe(true);
    // Its line is there all the same.
    expect(marks.at(-1)?.isSeen).toBe(false);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(viewport.width);
  });

  it("what an agent has said at length is scrolled by the keyboard, and what fits is no stop of it", async () => {
    const { page } = await open("#/", ({ board }) => {
      const gate = board.needs.find(({ kind }) => kind === "gate");
      if (gate) gate.detail = "> One more line of many\n".repeat(100);
    });
    const about = page.getByRole("region", { name: "What is decided on" });
    await about.getByText("One more line").waitFor();
    await vi.waitFor(async () => expect(await about.getAttribute("tabindex")).toBe("0"), PATIENCE);
    await about.focus();
    await page.keyboard.press("End");
    await vi.waitFor(
      async () => expect(await page.evaluate("document.activeElement.scrollTop")).toBeGreaterThan(0),
      PATIENCE,
    );
    const short = page.getByRole("region", { name: "What is needed to decide" });
    expect(await short.getAttribute("tabindex")).toBeNull();
  });

  it("a line of a difference is one line high, whatever its number", async () => {
    const { page } = await open("#/runs/run-ended", ({ diffs }) => {
      const text = [
        "diff --git a/a.ts b/a.ts",
        "--- a/a.ts",
        "+++ b/a.ts",
        "@@ -12345,3 +12345,3 @@",
        " one",
        "-two",
        "+three",
        " four",
        "",
      ];
      diffs["run-ended"] = { text: text.join("\n"), cut: false };
    });
    await page.getByRole("tab", { name: /Diff/ }).click();
    await page.locator(".diff-add").waitFor();
    const rows = await page.evaluate(
      `[...document.querySelectorAll(".diff-same, .diff-remove, .diff-add")].map((row) => row.clientHeight)`,
    );
    expect(rows).toHaveLength(4);
    expect(Math.max(...(rows as number[]))).toBeLessThan(25);
    // The number that is in sight is there as a whole.
    const cut = await page.evaluate(
      `[...document.querySelectorAll(".diff-number:nth-child(2)")].filter((one) => one.scrollWidth > one.clientWidth).length`,
    );
    expect(cut).toBe(0);
  });
});
