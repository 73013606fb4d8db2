/**
 * How long it takes from spawn to the answers to `initialize` and the first `tools/list`, and the memory (RSS) of the
 * process at that time: our bin beside a plain fastmcp server, one after the other in the same run, medians. Our bin
 * also with an API that is down and with one that takes every request and never answers.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { serveSimulatedApi } from "../mocks/serve.js";
import { type BenchOptions, BIN, median } from "./part.js";

/** Of the plain server's numbers. Chat clients start a server per window, and some give up after ten seconds. */
const GOALS = { listMs: 0.4, rssMb: 0.65 };
/** So much longer than with the API up may the answers take when it is not; what is below is noise. */
const DOWN_GOAL = 1.15;
/** With an API that hangs, the greeting and the first list of tools wait so long for the workflows, in ms. */
const BUDGETS_MS = { greetMs: 1_500, listMs: 3_000 };
const API_LATENCY_MS = 5;
/** Longer than serving ever waits for the list of workflows. */
const LIMIT_MS = 20_000;
/** Each of these takes the whole discovery budget. */
const HANGING_ROUNDS = 5;

const CLIENT = { name: "bench", version: "1.0.0" };
const HANDSHAKE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: CLIENT };
/** What protocol 2026-07-28 has in place of a handshake. */
const MODERN = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": CLIENT,
  "io.modelcontextprotocol/clientCapabilities": {},
};

interface Sample {
  greetMs: number;
  listMs: number;
  rssMb: number;
}

/** Starts a server as a chat client does, asks it for its tools, and ends it. */
async function start(script: string, baseUrl: string, folder: string, isModern: boolean): Promise<Sample> {
  const began = performance.now();
  const child = spawn(process.execPath, [script], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      AUTOMAGIK_WORKFLOWS_API_KEY: "key",
      AUTOMAGIK_WORKFLOWS_BASE_URL: baseUrl,
      AUTOMAGIK_WORKFLOWS_STATE_DIR: folder,
    },
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const send = (message: object) =>
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    async function answerTo(id: number): Promise<number> {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`${script} ended before its answer ${id}.`);
        const message = JSON.parse(value);
        if (message.error) throw new Error(message.error.message);
        if (message.id === id) return performance.now() - began;
      }
    }
    const params = isModern ? { _meta: MODERN } : {};
    if (isModern) send({ id: 1, method: "server/discover", params });
    else send({ id: 1, method: "initialize", params: HANDSHAKE });
    const greetMs = await answerTo(1);
    if (!isModern) send({ method: "notifications/initialized" });
    send({ id: 2, method: "tools/list", params });
    const listMs = await answerTo(2);
    return { greetMs, listMs, rssMb: readRssMb(child) };
  } finally {
    clearTimeout(limit);
    child.kill("SIGKILL");
    await ended;
  }
}

function readRssMb({ pid }: ChildProcess): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1024;
}

/** @returns the goals that were missed */
export async function benchStart({ rounds = 15, print }: BenchOptions): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const api = await serveSimulatedApi({ apiKey: "key" });
  api.api.fault({}, { delayMs: API_LATENCY_MS });
  const hanging = await serveSimulatedApi({ apiKey: "key" });
  hanging.api.fault({}, { hang: true });
  const gone = await serveSimulatedApi();
  await gone.close();
  const plainScript = fileURLToPath(new URL("plain-fastmcp.mjs", import.meta.url));
  const cases = {
    plain: { title: "plain fastmcp server", script: plainScript, url: api.url, rounds },
    ours: { title: `ours, API in ${API_LATENCY_MS} ms`, script: BIN, url: api.url, rounds },
    modern: { title: "ours, 2026-07-28", script: BIN, url: api.url, rounds },
    down: { title: "ours, API down", script: BIN, url: gone.url, rounds },
    hanging: {
      title: "ours, API hanging",
      script: BIN,
      url: hanging.url,
      rounds: Math.min(rounds, HANGING_ROUNDS),
    },
  };
  const names = ["plain", "ours", "modern", "down", "hanging"] as const;
  const samples: Record<keyof typeof cases, Sample[]> = {
    plain: [],
    ours: [],
    modern: [],
    down: [],
    hanging: [],
  };
  try {
    // The first round of each fills the machine's caches and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const name of names) {
        if (round > cases[name].rounds) continue;
        const sample = await start(cases[name].script, cases[name].url, folder, name === "modern");
        if (round > 0) samples[name].push(sample);
      }
    }
  } finally {
    await Promise.all([api.close(), hanging.close()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  const of = (name: keyof typeof cases, what: keyof Sample) => median(samples[name].map((one) => one[what]));
  print(`Start, medians of ${rounds} (hanging: ${cases.hanging.rounds})`);
  print(`${"".padEnd(24)}${["initialize", "tools/list", "RSS"].map((head) => head.padStart(20)).join("")}`);
  for (const name of names) {
    const cells = (["greetMs", "listMs", "rssMb"] as const).map((what) => {
      const value = of(name, what);
      const ratio = (value / of("plain", what)).toFixed(2);
      return `${value.toFixed(0)} ${what === "rssMb" ? "MB" : "ms"} (${ratio}×)`.padStart(20);
    });
    print(`${cases[name].title.padEnd(24)}${cells.join("")}`);
  }

  const missed: string[] = [];
  function expectAtMost(what: string, value: number, limit: number): void {
    const line = `${what}: ${value.toFixed(2)}, goal ${limit.toFixed(2)}`;
    print(`  ${line}${value > limit ? ", missed" : ""}`);
    if (value > limit) missed.push(line);
  }
  expectAtMost(
    "tools/list of the plain server's",
    of("ours", "listMs") / of("plain", "listMs"),
    GOALS.listMs,
  );
  expectAtMost(
    "server/discover of the plain server's initialize",
    of("modern", "greetMs") / of("plain", "greetMs"),
    GOALS.listMs,
  );
  expectAtMost("RSS of the plain server's", of("ours", "rssMb") / of("plain", "rssMb"), GOALS.rssMb);
  // Against the same rounds: a machine that has other work to do is not as fast in all of them.
  function upMs(name: keyof typeof cases, what: "greetMs" | "listMs"): number {
    return median(samples.ours.slice(0, samples[name].length).map((one) => one[what]));
  }
  expectAtMost(
    "API down, initialize of that with it up",
    of("down", "greetMs") / upMs("down", "greetMs"),
    DOWN_GOAL,
  );
  expectAtMost(
    "API down, tools/list of that with it up",
    of("down", "listMs") / upMs("down", "listMs"),
    DOWN_GOAL,
  );
  for (const [what, title] of [["greetMs", "initialize"] as const, ["listMs", "tools/list"] as const]) {
    const after = (of("hanging", what) - BUDGETS_MS[what]) / upMs("hanging", what);
    expectAtMost(`API hanging, ${title} after the budget of that with it up`, after, DOWN_GOAL);
  }
  return missed;
}
