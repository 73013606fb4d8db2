import { execFile, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { openPage } from "../../test/support/browser.js";
import type { FromUpstream } from "../many-runs/messages.js";
import { BIN } from "../part.js";

const run = promisify(execFile);
const KEY = "key";
/** Starts that are sent at once. */
const STARTING = 20;
const RELOADS = 5;

/** Notes when the first row is seen, and for each row in sight when each of its turns is, in epoch ms. */
const WATCH = `
let seen;
window.firstRow = new Promise((resolve) => { seen = resolve; });
window.turnsSeen = {};
const look = () => {
  const now = performance.timeOrigin + performance.now();
  for (const row of document.querySelectorAll(".run-line")) {
    seen(now);
    const turn = /^turn (\\d+)/.exec(row.querySelector(".turns span")?.textContent ?? "");
    const name = row.querySelector(".run-name a, .run-name span");
    if (!turn || !name) continue;
    const key = name.textContent + " " + turn[1];
    window.turnsSeen[key] ??= now;
  }
};
new MutationObserver(() => requestAnimationFrame(look)).observe(document, { childList: true, subtree: true, characterData: true });
`;

/** What was measured, each in ms. */
export interface RealBoard {
  /** From the navigation to the first row: at first, when the server reads all runs, and afterwards. */
  firstPaint: number;
  paints: number[];
  /** From a turn of an agent to the sight of it, of the rows in sight. */
  updates: number[];
}

/**
 * The dashboard of the built bin, in front of the engine's own API with so many agents at work that only keep time:
 * agent, engine, events, background process, events, browser.
 */
export async function measureRealBoard(browser: Browser, runs: number, seconds: number): Promise<RealBoard> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const upstream = fork(fileURLToPath(new URL("../many-runs/upstream.ts", import.meta.url)), ["pushed"]);
  const changes: Extract<FromUpstream, { type: "change" }>[] = [];
  const url = await new Promise<string>((resolve) => {
    upstream.on("message", (message: FromUpstream) => {
      if (message.type === "ready") resolve(message.url);
      else if (message.type === "change") changes.push(message);
    });
  });
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
    AUTOMAGIK_WORKFLOWS_BASE_URL: url,
    AUTOMAGIK_WORKFLOWS_API_KEY: KEY,
  };
  const bin = (...args: string[]) => run(process.execPath, [BIN, ...args], { env });
  try {
    const names = Array.from({ length: runs }, (_, index) => `bench-${index + 1}`);
    await Promise.all(
      Array.from({ length: STARTING }, async () => {
        for (let name = names.shift(); name; name = names.shift()) await start(url, name);
      }),
    );
    const link = /http:\S+/.exec((await bin("dashboard", "--no-open")).stdout)?.[0] ?? "";
    const { page } = await openPage(browser, "about:blank");
    await page.addInitScript(WATCH);
    const paint = async (to: string) => {
      const began = Date.now();
      await page.goto(to);
      return ((await page.evaluate("firstRow")) as number) - began;
    };
    const firstPaint = await paint(link);
    const home = page.url();
    const paints: number[] = [];
    for (let round = 0; round < RELOADS; round += 1) {
      await page.goto("about:blank");
      paints.push(await paint(home));
    }
    const from = Date.now();
    await pause(seconds * 1_000);
    const seen = (await page.evaluate("turnsSeen")) as Record<string, number>;
    const updates = changes.flatMap(({ name, turn, at }) => {
      const seenAt = seen[`${name} ${turn}`];
      return at < from || seenAt === undefined ? [] : [seenAt - at];
    });
    await page.context().close();
    return { firstPaint, paints, updates };
  } finally {
    await bin("engine", "stop").catch(() => undefined);
    upstream.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function start(url: string, name: string): Promise<void> {
  const answer = await fetch(`${url}/api/v1/workflows/claude-code/run/architect`, {
    method: "POST",
    headers: { "x-api-key": KEY, "content-type": "application/json" },
    body: JSON.stringify({ message: name, session_name: name, input_format: "stream-json" }),
  });
  if (!answer.ok) throw new Error(`The start of ${name} was answered with ${answer.status}.`);
}
