import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { describe, expect, it, vi } from "vitest";
import type { ActionRequest, CallView } from "../src/dashboard/views/calls.js";
import { findChromium, keepScreenshot } from "./support/browser.js";
import { openStandIn } from "./support/stand-in-page.js";
import { useBrowser } from "./support/use-browser.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const chromium = await findChromium();
/** For what a busy machine does late, in ms. */
const PATIENCE = 20_000;

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

describe.skipIf(!chromium)("the page, in a browser", () => {
  const browser = useBrowser(chromium);

  const open = (...given: Parameters<typeof openStandIn> extends [unknown, ...infer Rest] ? Rest : never) =>
    openStandIn(browser.get(), ...given);

  it("shows what needs a person before all else, and asks no other server for anything", async () => {
    const viewport = { width: 1280, height: 1360 };
    const { page, requests, complaints, url } = await open(undefined, { viewport });
    await page.getByRole("heading", { name: "Ended today" }).waitFor();
    const headings = await page.getByRole("heading", { level: 2 }).allTextContents();
    expect(headings.map((text) => text.replace(/\s*\d+$/, "").trim())).toEqual([
      ...["Needs you", "Plans", "Running", "Queue", "Ended today"],
    ]);
    await vi.waitFor(async () => expect(await page.title()).toBe("(3) Board – Workflows"), PATIENCE);
    expect(requests.filter((address) => !address.startsWith(url))).toEqual(
      ["data:,"].filter((one) => requests.includes(one)),
    );
    expect(complaints).toEqual([]);
    await keepScreenshot(page, "board");
  });

  it("says that the board is loading, or could not be read yet, and not that there is nothing", async () => {
    const { page, server, told } = await open((given) => Object.assign(given, { isReading: true }));
    await page.getByRole("status").filter({ hasText: "Loading the board…" }).waitFor();
    const nothing = page.getByText(/^Nothing (is running|waits for you)/);
    expect(await nothing.count()).toBe(0);
    const lists = { needs: [], running: [], queue: [], ended: [], plans: [] };
    const totals = { running: 0, needs: 0, endedToday: 0, failedToday: 0, costTodayUsd: 0 };
    const problem = "The workflows API does not answer.";
    server.push("board", { ...told.board, ...lists, totals, problem, unread: true });
    await page.getByText(problem).waitFor();
    await page.getByRole("status").filter({ hasText: "What goes on could not be read yet." }).waitFor();
    expect(await nothing.count()).toBe(0);
    expect(await page.locator(".totals").count()).toBe(0);
    await keepScreenshot(page, "unread");
    server.push("change", { problem: "", unread: false });
    await page.getByText(/^Nothing is running, and nothing has ended today/).waitFor();
    expect(await page.getByText("could not be read yet").count()).toBe(0);
  });

  it("answers a question right there, by a choice or in own words", async () => {
    const { page, server } = await open();
    const card = page.getByRole("article", { name: "Two date formats" });
    // What can be chosen comes before the field, also for the Tab key.
    expect(await card.locator(".answer :is(button, textarea)").first().innerText()).toMatch(/^ISO 8601/);
    await card.getByLabel("Your answer").fill("Whatever the header says");
    await card.getByRole("button", { name: "Send my answer" }).click();
    await vi.waitFor(() => expect(server.actions).toHaveLength(1), PATIENCE);
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
    await vi.waitFor(() => expect(server.actions).toHaveLength(1), PATIENCE);
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
    await vi.waitFor(async () => expect(await page.title()).toBe("(3) Board – Workflows"), PATIENCE);
    expect(complaints).toEqual([]);
  });

  it("takes in what is told of it, and says since when it is told nothing", async () => {
    const { page, server, told } = await open();
    await page.getByText("Edit src/config/read-config.ts").waitFor();
    const run = told.board.running.find(({ session }) => session === "rename-config");
    server.push("change", { running: { set: [{ ...run!, action: "Runs npm test" }] } });
    await page.getByText("Runs npm test").waitFor();
    server.push("change", { needs: { set: [], order: [] }, totals: { ...told.board.totals, needs: 0 } });
    await page.getByRole("status").filter({ hasText: "Nothing waits for you." }).waitFor();
    await server.close();
    const lost = page.getByRole("alert").filter({ hasText: "Connection lost" });
    await lost.getByText("automagik-workflows-mcp dashboard").waitFor();
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

  it("kills only what was agreed to, with the careful answer in the focus", async () => {
    const { page, server } = await open(undefined, {}, "#/runs/run-implement");
    await page.getByRole("button", { name: "Kill…" }).click();
    const dialog = page.getByRole("dialog", { name: /^Kill the run of the session/ });
    await dialog.waitFor();
    expect(await page.evaluate("document.activeElement.textContent")).toBe("No");
    await page.keyboard.press("Escape");
    await vi.waitFor(() => expect(server.replies).toHaveLength(1), PATIENCE);
    expect(server.replies[0]?.values).toBeUndefined();
    await page.getByRole("button", { name: "Kill…" }).click();
    const yes = page.getByRole("button", { name: "Yes, do it" });
    expect(await yes.getAttribute("class")).toContain("danger");
    await yes.click();
    await page.getByText("Ended.").waitFor();
    expect(server.replies[1]).toEqual({ formId: "form-1", values: { confirm: "yes" } });
  });

  it("shows one form after the other, and takes no click for a form that has only just come", async () => {
    const { page, server } = await open();
    const ask = (call: string, request: ActionRequest): CallView => ({
      ...{ id: request.id, state: "form" },
      form: {
        id: call,
        message: `End ${call}?`,
        fields: [
          {
            ...{ name: "confirm", title: "", description: "", required: true },
            choices: [
              { value: "no", title: "No" },
              { value: "yes", title: "Yes" },
            ],
          },
        ],
      },
    });
    server.told.call = (request) => ask(String(request.arguments.answer), request);
    server.told.reply = ({ id }) => ({ id, state: "done", outcome: "ok", summary: "Done so." });
    await page.getByRole("button", { name: "Deny" }).waitFor();
    // Both were clicked before the form of the first one has come.
    await page.evaluate(`(() => {
      const named = (name) => [...document.querySelectorAll(".need button")].find((one) => one.textContent === name);
      named("Deny").click();
      named("Approve").click();
    })()`);
    const shown = page.getByRole("dialog");
    await vi.waitFor(() => expect(server.actions).toHaveLength(2), PATIENCE);
    const first = await shown.getByRole("heading").innerText();
    await shown.getByRole("button", { name: "Yes" }).click();
    // Clicked as soon as the next one is there, as the second half of a double click is.
    await page.evaluate(`new Promise((resolve) => {
      const look = () => {
        const dialog = document.querySelector("dialog[open]");
        if (!dialog || dialog.textContent.includes("${first}")) return requestAnimationFrame(look);
        [...dialog.querySelectorAll("button")].at(-1).click();
        resolve();
      };
      look();
    })`);
    await page.getByText("Done so.").first().waitFor();
    const second = await shown.getByRole("heading").innerText();
    expect([first, second].sort()).toEqual(["End approve?", "End deny?"]);
    expect(server.replies).toEqual([{ formId: first.slice(4, -1), values: { confirm: "yes" } }]);
    await shown.getByRole("button", { name: "No" }).click();
    await vi.waitFor(() => expect(server.replies).toHaveLength(2), PATIENCE);
    expect(server.replies[1]).toEqual({ formId: second.slice(4, -1), values: { confirm: "no" } });
  });

  it("lets its connection go when nobody has seen it for a minute, but for one of its pages", async () => {
    const { page, server, url } = await open();
    const other = await page.context().newPage();
    await other.goto(url);
    await vi.waitFor(() => expect(server.open).toBe(2), PATIENCE);
    const turn = async (one: Page, state: "hidden" | "visible") => {
      await one.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))`);
    };
    for (const one of [page, other]) {
      await one.clock.install();
      await turn(one, "hidden");
      await one.clock.fastForward(61_000);
    }
    await vi.waitFor(() => expect(server.open).toBe(1), PATIENCE);
    await turn(other, "visible");
    await vi.waitFor(() => expect(server.open).toBe(2), PATIENCE);
    server.push("change", { totals: { ...server.told.board.totals, needs: 7 } });
    await vi.waitFor(async () => expect(await page.title()).toBe("(7) Board – Workflows"), PATIENCE);
    await vi.waitFor(async () => expect(await other.title()).toBe("(7) Board – Workflows"), PATIENCE);
  });

  it.each(["unknown", "cancelled", "declined"])(
    "calls nothing done whose outcome is %s, and tells every word of it",
    async (outcome) => {
      const { page, server } = await open();
      const summary = "It is unknown whether the answer arrived.\n\nLook first.";
      server.told.call = ({ id }) => ({ id, state: "done", outcome, summary });
      await page.getByRole("button", { name: "Deny" }).click();
      const notice = page.locator(".notice");
      await notice.waitFor();
      expect(await notice.locator("p").innerText()).toBe(`Not done. ${summary}`);
    },
  );

  it("sends what was clicked once more under the same id when no answer came", async () => {
    const { page, server } = await open();
    await page.route("**/api/actions", (route) => route.abort(), { times: 1 });
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByText("Sent.").waitFor();
    expect(server.actions).toHaveLength(1);
  });

  it("follows the end of a log until the reader scrolls back, and keeps few of its rows in the page", async () => {
    const { page, server } = await open(undefined, {}, "#/runs/run-implement");
    await page.locator(".entry").last().waitFor();
    const entries = Array.from({ length: 20_000 }, (_, index) => ({
      key: 100 + index,
      kind: "action" as const,
      text: `Reads part ${index}`,
    }));
    server.push("log", { runId: "run-implement", entries });
    await page.getByText("Reads part 19999", { exact: true }).waitFor();
    expect(await page.locator(".log-frame li").count()).toBeLessThan(200);
    await page.locator(".log-frame").hover();
    await page.mouse.wheel(0, -1_000_000);
    await page.getByRole("button", { name: "Follow the end" }).waitFor();
    await page.getByText("Accepted").waitFor();
    server.push("log", { runId: "run-implement", entries: [{ key: 90_000, kind: "end", text: "Over" }] });
    await page.getByRole("button", { name: "Follow the end" }).click();
    await page.locator(".entry").getByText("Over", { exact: true }).waitFor();
  });

  it("shows a run's difference by files and lines, and reaches it by the arrow keys", async () => {
    const { page } = await open(undefined, {}, "#/runs/run-ended");
    await page.getByRole("tab", { name: "Log" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("button", { name: "src/report/menu.ts" }).waitFor();
    expect(await page.locator(".diff-add").count()).toBe(10);
    // To what has ended nothing more is said.
    expect(await page.getByLabel("Feedback").count()).toBe(0);
    await page.getByText("removed: ").first().waitFor({ state: "attached" });
    await keepScreenshot(page, "run");
  });

  it("shows a plan's steps, their times and decisions, and does a step again with words", async () => {
    const { page, server, complaints } = await open(
      undefined,
      { viewport: { width: 1280, height: 1240 } },
      "#/plans/plan-1",
    );
    await page.getByRole("region", { name: "Step review" }).waitFor();
    await keepScreenshot(page, "plan");
    await page.getByRole("button", { name: /^implement.*needs agree/ }).click();
    const step = page.getByRole("region", { name: "Step implement" });
    await step.getByRole("button", { name: "Do again…" }).click();
    await page.getByLabel("What is to be different").fill("Without a timer");
    await page.getByRole("button", { name: "Go on…" }).click();
    await vi.waitFor(() => expect(server.actions).toHaveLength(1), PATIENCE);
    expect(server.actions[0]).toMatchObject({
      action: "plan",
      arguments: { plan_id: "plan-1", change: "redo", step: "implement", message: "Without a timer" },
    });
    const row = page.getByRole("row", { name: /^agree/ });
    expect(await row.innerText()).toMatch(/approved[\s\S]*Keep it in memory for now[\s\S]*ada in a chat/);
    const bar = page.getByRole("link", { name: /attempt 2, retry, completed, 24 min, 14 turns, \$0\.62/ });
    expect(await bar.getAttribute("href")).toBe("#/runs/run-built");
    expect(complaints).toEqual([]);
  });

  it("can be used by the keyboard alone", async () => {
    const { page, server } = await open();
    await page.getByRole("heading", { name: "Running" }).waitFor();
    const focused = () => page.evaluate("document.activeElement.textContent.trim()");
    // To what answers, but to nothing that one Enter would decide for good.
    await page.keyboard.press("n");
    expect(await focused()).toBe("Send back");
    await page.keyboard.press("n");
    expect(await focused()).toBe("Deny");
    await page.keyboard.press("n");
    expect(await focused()).toBe("ISO 8601 (2026-03-01)");
    await page.getByRole("button", { name: "Send back" }).press("Enter");
    // Without words it asks for them.
    await page.getByRole("alert").waitFor();
    await page.keyboard.type("Smaller");
    await page.keyboard.press("Control+Enter");
    await vi.waitFor(() => expect(server.actions[0]?.arguments.answer).toBe("send back: Smaller"), PATIENCE);
    await page.getByLabel("What should change").press("Escape");
    await page.keyboard.press("n");
    expect(await focused()).toBe("Deny");
    await page.keyboard.press("/");
    await page.keyboard.type("rename");
    await page.getByRole("heading", { name: "Running 1 of 7" }).waitFor();
    await page.getByText("None of them fits the filter.").first().waitFor();
    await page.keyboard.press("Escape");
    // The two keys belong together only where they come shortly after each other, which no busy machine can promise.
    await vi.waitFor(async () => {
      await page.keyboard.press("g");
      await page.keyboard.press("f");
      expect(new URL(page.url()).hash).toBe("#/figures");
    }, PATIENCE);
    await page.getByRole("heading", { level: 1, name: "Figures" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
  });

  it("tells seconds in the timeline of a short plan, so that no two marks are the same", async () => {
    const { page } = await open(
      ({ plans }) => {
        const plan = plans["plan-1"];
        if (!plan) throw new Error("There is no plan.");
        plan.startedAt = plan.now - 75_000;
        plan.timeline = [];
      },
      {},
      "#/plans/plan-1",
    );
    await page.locator(".timeline-marks > span").nth(3).waitFor();
    const marks = await page.locator(".timeline-marks > span").allInnerTexts();
    expect(new Set(marks).size).toBe(marks.length);
    expect(marks[0]).toMatch(/^\d\d:\d\d:\d\d$/);
  });

  it("says of an address that leads nowhere that there is no such page", async () => {
    const { page } = await open(undefined, {}, "#/nonsense");
    await page.getByText("There is no such page.").waitFor();
    await page.getByRole("link", { name: "To the board" }).click();
    await page.getByRole("heading", { name: "Running" }).waitFor();
  });

  it("moves nothing for those who want less motion", async () => {
    const { page } = await open(undefined, { reducedMotion: "reduce" });
    await page.locator(".run-line .mark-dot").first().waitFor();
    expect(await page.evaluate("document.getAnimations().length")).toBe(0);
  });
});
