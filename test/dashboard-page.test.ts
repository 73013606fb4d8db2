import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { findChromium, keepScreenshot, launchChromium, openPage } from "./support/browser.js";
import { busyDay } from "./support/dashboard-states.js";
import { StandInDashboard } from "./support/stand-in-dashboard.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const chromium = await findChromium();

it("the dashboard's files take at most 250 KB, compressed", () => {
  const folder = join(root, "dist/dashboard");
  const files = readdirSync(folder);
  expect(files.sort()).toEqual(["app.css", "app.js", "index.html"]);
  const bytes = files.map((name) => gzipSync(readFileSync(join(folder, name))).length);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250 * 1024);
});

it("no source of the page makes markup of text", () => {
  const folder = join(root, "src/dashboard/ui");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.tsx?$/.test(name),
  );
  expect(sources.length).toBeGreaterThan(20);
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\b|new Function/;
  expect(sources.filter((name) => forbidden.test(readFileSync(join(folder, name), "utf8")))).toEqual([]);
});

it("the page has no script and no style of its own in its markup", () => {
  const markup = readFileSync(join(root, "dist/dashboard/index.html"), "utf8");
  expect(markup).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*\bsrc=)/i);
});

describe.skipIf(!chromium)("the board, in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium(chromium as string);
  });
  afterAll(() => browser?.close());

  async function open(
    change: (told: ReturnType<typeof busyDay>) => void = () => {},
    options: BrowserContextOptions = {},
  ) {
    const told = busyDay(Date.now());
    change(told);
    const server = new StandInDashboard(told);
    const url = await server.listen();
    onTestFinished(() => server.close());
    const watched = await openPage(browser, url, options);
    onTestFinished(() => watched.page.context().close());
    return { ...watched, server, told, url };
  }

  it("shows what needs a person before all else, and asks no other server for anything", async () => {
    const { page, requests, complaints, url } = await open();
    await page.getByRole("heading", { name: "Ended today" }).waitFor();
    const headings = await page.getByRole("heading", { level: 2 }).allTextContents();
    expect(headings.map((text) => text.replace(/\s*\d+$/, "").trim())).toEqual([
      ...["Needs you", "Plans", "Running", "Queue", "Ended today"],
    ]);
    expect(await page.title()).toBe("(3) Board – Workflows");
    expect(requests.filter((address) => !address.startsWith(url))).toEqual(
      ["data:,"].filter((one) => requests.includes(one)),
    );
    expect(complaints).toEqual([]);
    await keepScreenshot(page, "board");
  });

  it("answers a question right there, by a choice or in own words", async () => {
    const { page, server } = await open();
    const card = page.getByRole("article", { name: "Two date formats" });
    await card.getByLabel("Or in your own words").fill("Whatever the header says");
    await card.getByRole("button", { name: "Send my answer" }).click();
    await vi.waitFor(() => expect(server.actions).toHaveLength(1));
    expect(server.actions[0]).toMatchObject({
      action: "answer",
      arguments: { run_id: "run-question", question_id: "q-1", answer: "Whatever the header says" },
    });
    await page.getByText("Sent.").waitFor();
  });

  it("sends a gate back only with words, and approves it with one click", async () => {
    const { page, server } = await open();
    const card = page.getByRole("article", { name: "Is the token bucket" });
    await card.getByRole("button", { name: "Send back" }).click();
    await card.getByRole("alert").waitFor();
    expect(server.actions).toEqual([]);
    await page.keyboard.type("One bucket per route");
    await card.getByRole("button", { name: "Send back" }).click();
    await vi.waitFor(() => expect(server.actions).toHaveLength(1));
    expect(server.actions[0]?.arguments.answer).toBe("send back: One bucket per route");
  });

  it("shows what agents write as text, whatever it is", async () => {
    const hostile = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
    const { page, complaints } = await open(({ board }) => {
      Object.assign(board.needs[0] ?? {}, { title: hostile, detail: hostile, plan: hostile });
      Object.assign(board.running[0] ?? {}, { session: hostile, action: hostile, branch: hostile });
    });
    await page.getByRole("heading", { name: hostile }).waitFor();
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.title()).toBe("(3) Board – Workflows");
    expect(complaints).toEqual([]);
  });

  it("takes in what is told of it, and says since when it is told nothing", async () => {
    const { page, server, told } = await open();
    await page.getByText("Edits src/config/read-config.ts").waitFor();
    const run = told.board.running.find(({ session }) => session === "rename-config");
    server.push("change", { running: { set: [{ ...run!, action: "Runs npm test" }] } });
    await page.getByText("Runs npm test").waitFor();
    server.push("change", { needs: { set: [], order: [] }, totals: { ...told.board.totals, needs: 0 } });
    await page.getByRole("status").filter({ hasText: "Nothing waits for you." }).waitFor();
    await server.close();
    await page.getByRole("alert").filter({ hasText: "Connection lost" }).waitFor();
  });

  it("fits a narrow screen, without scrolling sideways", async () => {
    const { page } = await open(undefined, { viewport: { width: 390, height: 844 } });
    await page.getByRole("heading", { name: "Running" }).waitFor();
    const widths = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]");
    expect(widths).toEqual([390, 390]);
    await keepScreenshot(page, "narrow");
  });

  it("is dark where the system is dark", async () => {
    const { page } = await open(undefined, { colorScheme: "dark" });
    await page.getByRole("heading", { name: "Running" }).waitFor();
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(18, 20, 23)");
    await keepScreenshot(page, "dark");
  });
});
