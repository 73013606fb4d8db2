/**
 * How long it takes from spawn to the answers to `initialize` and the first `tools/list`, and the memory (RSS) of the
 * process at that time: our bin beside a plain fastmcp server, one after the other in the same run, medians.
 *
 *     npm run bench [-- --rounds 15] [-- --check]
 *
 * `--check` ends with exit code 1 when a goal is missed.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { serveSimulatedApi } from "../mocks/serve.js";

/** Of the plain server's numbers. Chat clients start a server per window, and some give up after ten seconds. */
const GOALS = { listMs: 0.4, rssMb: 0.65 };
const API_LATENCY_MS = 5;
/** Longer than serving ever waits for the list of workflows. */
const LIMIT_MS = 20_000;

const { values } = parseArgs({ options: { check: { type: "boolean" }, rounds: { type: "string" } } });
const rounds = Number(values.rounds ?? 15);
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const bin = at("../dist/cli.js");

interface Sample {
  greetMs: number;
  listMs: number;
  rssMb: number;
}

/** Starts a server as a chat client does, asks it for its tools, and ends it. */
async function start(script: string, baseUrl: string, folder: string): Promise<Sample> {
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
    send({
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "bench", version: "1.0.0" },
      },
    });
    const greetMs = await answerTo(1);
    send({ method: "notifications/initialized" });
    send({ id: 2, method: "tools/list" });
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

function median(samples: Sample[], of: keyof Sample): number {
  const sorted = samples.map((sample) => sample[of]).sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
const api = await serveSimulatedApi({ apiKey: "key" });
api.api.fault({}, { delayMs: API_LATENCY_MS });
const gone = await serveSimulatedApi();
await gone.close();
const CASES = {
  plain: { title: "plain fastmcp server", script: at("plain-fastmcp.mjs"), url: api.url },
  ours: { title: `ours, API in ${API_LATENCY_MS} ms`, script: bin, url: api.url },
  down: { title: "ours, API down", script: bin, url: gone.url },
};
const samples = { plain: [] as Sample[], ours: [] as Sample[], down: [] as Sample[] };
try {
  // The first round of each fills the machine's caches and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const name of ["plain", "ours", "down"] as const) {
      const sample = await start(CASES[name].script, CASES[name].url, folder);
      if (round > 0) samples[name].push(sample);
    }
  }
} finally {
  await api.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

const print = (line: string) => process.stdout.write(`${line}\n`);
print(
  `Start, medians of ${rounds}; Node ${process.version}, ${process.platform}, ${cpus().length} × ${cpus()[0]?.model}`,
);
print(`${"".padEnd(24)}${["initialize", "tools/list", "RSS"].map((head) => head.padStart(20)).join("")}`);
for (const name of ["plain", "ours", "down"] as const) {
  const cells = (["greetMs", "listMs", "rssMb"] as const).map((of) => {
    const value = median(samples[name], of);
    const ratio = (value / median(samples.plain, of)).toFixed(2);
    return `${value.toFixed(0)} ${of === "rssMb" ? "MB" : "ms"} (${ratio}×)`.padStart(20);
  });
  print(`${CASES[name].title.padEnd(24)}${cells.join("")}`);
}
const missed = (["listMs", "rssMb"] as const).filter(
  (of) => median(samples.ours, of) > GOALS[of] * median(samples.plain, of),
);
print(
  `Goals: tools/list ≤ ${GOALS.listMs}×, RSS ≤ ${GOALS.rssMb}×: ${missed.length > 0 ? "missed" : "reached"}`,
);
if (values.check && missed.length > 0) process.exitCode = 1;
