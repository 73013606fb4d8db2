import type { Browser, Page } from "playwright-core";
import type { LogEntry, RunRow } from "../src/dashboard/views/run.js";
import { findChromium, launchChromium, openPage } from "../test/support/browser.js";
import { busyDay } from "../test/support/dashboard-states.js";
import { StandInDashboard, type Told } from "../test/support/stand-in-dashboard.js";
import { measureRealBoard } from "./dashboard/real-board.js";
import { type BenchPart, median } from "./part.js";

const RUNS = 1_000;
const LOG_ENTRIES = 100_000;
const ENTRIES_AT_ONCE = 500;
const DEFAULT_ROUNDS = 9;
const UPDATES = 100;
/** Between two updates, in ms. */
const UPDATE_EVERY_MS = 40;
/** So long the real board is looked at, in s. */
const LOOKED_AT_S = 30;
const GOALS = { paintMs: 1_000, updateMs: 100, frameMs: 50 };

/**
 * Notes when something is first in sight: the frame after it came into the document, in epoch ms. A name is the selector
 * or the text that is waited for.
 */
const WATCH = `
window.sightings = {};
window.watchFor = (name, isThere) => {
  window.sightings[name] = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (!isThere()) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
    });
    observer.observe(document, { childList: true, subtree: true, characterData: true });
  });
};
window.watchFor("row", () => document.querySelector(".run-line"));
`;

/**
 * The dashboard's page in a real browser, with 1,000 runs on its board and 100,000 entries in a log: how long until the
 * board is seen, how long after an event, and how long the frames are while a log is scrolled. First with a server that
 * has all of it ready, which shows the page's own part, then with the built bin before 1,000 agents at work.
 */
export const benchDashboard: BenchPart = async ({ rounds = DEFAULT_ROUNDS, print }) => {
  const chromium = await findChromium();
  if (!chromium) return ["the dashboard in a browser: there is no chromium"];
  const told = manyRuns();
  const server = new StandInDashboard(told);
  const url = await server.listen();
  const browser = await launchChromium(chromium);
  try {
    print(
      `The dashboard in ${browser.browserType().name()} ${browser.version()}: ${RUNS} runs, ${LOG_ENTRIES} entries`,
    );
    const paints: number[] = [];
    for (let round = 0; round < rounds; round += 1) paints.push(await timePaint(browser, url));
    const updates = await timeUpdates(browser, url, server, told.board.running);
    const log = await timeLog(browser, `${url}#/runs/run-implement`, server);
    const real = await measureRealBoard(browser, RUNS, LOOKED_AT_S);
    const lines: [what: string, ms: number, goal: number][] = [
      ["from the navigation to the board, median", median(paints), GOALS.paintMs],
      ["an event to the sight of it, median", median(updates), GOALS.updateMs],
      ["an event to the sight of it, 95 of 100 below", high(updates), GOALS.updateMs],
      ["an entry of the full log to the sight of it, 95 of 100 below", high(log.updates), GOALS.updateMs],
      ["the built bin: from its link to the board, once", real.firstPaint, GOALS.paintMs],
      ["the built bin: from the navigation to the board, median", median(real.paints), GOALS.paintMs],
      [
        `the built bin: a turn to the sight of it, median of ${real.updates.length}`,
        median(real.updates),
        GOALS.updateMs,
      ],
      ["the built bin: a turn to the sight of it, 95 of 100 below", high(real.updates), GOALS.updateMs],
      ["a frame while the full log is scrolled, 95 of 100 below", high(log.frames), GOALS.frameMs],
    ];
    for (const [what, ms, goal] of lines) print(`  ${what}: ${ms.toFixed(0)} ms (goal: ${goal} ms)`);
    return lines.filter(([, ms, goal]) => !(ms <= goal)).map(([what]) => `the dashboard: ${what}`);
  } finally {
    await browser.close();
    await server.close();
  }
};

function high(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length * 0.95)] ?? Number.NaN;
}

function manyRuns(): Told {
  const told = busyDay(Date.now());
  const [first] = told.board.running;
  const running = Array.from({ length: RUNS }, (_, index) => ({
    ...(first as RunRow),
    runId: `many-${index}`,
    session: `session-${index}`,
  }));
  return { ...told, board: { ...told.board, running } };
}

async function timePaint(browser: Browser, url: string): Promise<number> {
  const { page } = await openPage(browser, "about:blank");
  await page.addInitScript(WATCH);
  const began = Date.now();
  await page.goto(url);
  const seen = await sighting(page, "row");
  await page.context().close();
  return seen - began;
}

/** Each of the events changes the first run of the board, which is in sight. */
async function timeUpdates(browser: Browser, url: string, server: StandInDashboard, running: RunRow[]) {
  const { page } = await openPage(browser, "about:blank");
  await page.addInitScript(WATCH);
  await page.goto(url);
  await sighting(page, "row");
  const times = await each(page, (name) =>
    server.push("change", { running: { set: [{ ...(running[0] as RunRow), action: name }] } }),
  );
  await page.context().close();
  return times;
}

async function timeLog(browser: Browser, url: string, server: StandInDashboard) {
  const { page } = await openPage(browser, "about:blank");
  await page.addInitScript(WATCH);
  await page.goto(url);
  await page.locator(".entry").first().waitFor();
  let key = 1_000;
  const entry = (text: string): LogEntry => ({ key: key++, at: Date.now(), kind: "action", text });
  for (let sent = 0; sent < LOG_ENTRIES; sent += ENTRIES_AT_ONCE) {
    const entries = Array.from({ length: ENTRIES_AT_ONCE }, () => entry(`Reads src/part-${key}.ts`));
    server.push("log", { runId: "run-implement", entries });
  }
  const updates = await each(page, (name) =>
    server.push("log", { runId: "run-implement", entries: [entry(name)] }),
  );
  const frames = (await page.evaluate(SCROLL)) as number[];
  await page.context().close();
  return { updates, frames };
}

/** Scrolls the log from its end upwards for 120 frames and gives their lengths in ms. */
const SCROLL = `new Promise((resolve) => {
  const frame = document.querySelector(".log-frame");
  const frames = [];
  let last = performance.now();
  const step = (at) => {
    frames.push(at - last);
    last = at;
    frame.scrollTop -= 700;
    if (frames.length < 120) requestAnimationFrame(step);
    else resolve(frames.slice(1));
  };
  requestAnimationFrame(step);
})`;

/** Sends updates one after the other, each with a text of its own, and gives how long until each was in sight, in ms. */
async function each(page: Page, send: (name: string) => void): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < UPDATES; index += 1) {
    const name = `Update ${index} of the bench`;
    await page.evaluate(
      `watchFor(${JSON.stringify(name)}, () => document.body.textContent.includes(${JSON.stringify(name)}))`,
    );
    await new Promise((resolve) => setTimeout(resolve, UPDATE_EVERY_MS));
    const sent = Date.now();
    send(name);
    times.push((await sighting(page, name)) - sent);
  }
  return times;
}

async function sighting(page: Page, name: string): Promise<number> {
  return (await page.evaluate(`sightings[${JSON.stringify(name)}]`)) as number;
}
