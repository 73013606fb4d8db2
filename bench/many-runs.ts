/**
 * Many runs watched at once: how long it takes from a change upstream to the progress notification at the client, what
 * that costs upstream, and what it takes of the server's own process. The built bin over stdio with the official
 * client, against an API in a process of its own that has to be polled, and one that pushes its news.
 *
 *     npm run bench -- many-runs [--check]
 */
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { FromUpstream } from "./many-runs/messages.js";
import { type BenchOptions, BIN, median } from "./part.js";

type Way = "polled" | "pushed";

interface Row {
  way: Way;
  runs: number;
  changes: number;
  /** From the change to the notification, in ms. */
  delays: number[];
  /** From the end of a run to the answer of the call that follows it, in ms. */
  ends: number[];
  /** Changes and ends that were not told by the end of the measurement. */
  missed: number;
  requestsPerSecond: number;
  cpuPercent: number;
  rssMb: number;
  loopP99Ms: number;
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** Calls that are begun at once; the client's process is not what is measured. */
const STARTING = 20;
/** News that take longer than this to arrive are missed, in ms. */
const PATIENCE_MS = 5_000;
const CALL_MS = 3_600_000;

const percentile = (values: number[], share: number) =>
  values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
const p95 = (values: number[]) => percentile(values, 0.95);

/** Starts so many runs through a server of its own, lets them go on, and measures for so many seconds. */
async function measure(way: Way, runs: number, seconds: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const upstream = fork(at("many-runs/upstream.ts"), [way]);
  const changes: { name: string; turn: number | "end"; at: number }[] = [];
  /** When each turn of each run was first told, and its end. */
  const told = new Map<string, { turns: Map<number, number>; endedAt?: number }>();
  let onRequests: (count: number) => void = () => {};
  const url = await new Promise<string>((resolve, reject) => {
    upstream.once("exit", (code) => reject(new Error(`The upstream ended with code ${code}.`)));
    upstream.on("message", (message: FromUpstream) => {
      if (message.type === "ready") resolve(message.url);
      else if (message.type === "change") changes.push(message);
      else onRequests(message.count);
    });
  });
  const countRequests = () =>
    new Promise<number>((resolve) => {
      onRequests = resolve;
      upstream.send("requests");
    });
  const report = join(folder, "measured.json");
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ["--import", at("many-runs/monitor.mjs"), BIN],
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      BENCH_MONITOR: report,
      AUTOMAGIK_WORKFLOWS_API_KEY: "key",
      AUTOMAGIK_WORKFLOWS_BASE_URL: url,
      AUTOMAGIK_WORKFLOWS_STATE_DIR: join(folder, "state"),
      AUTOMAGIK_WORKFLOWS_LOG_LEVEL: "silent",
    },
    stderr: "inherit",
  });
  const client = new Client({ name: "bench", version: "1.0.0" });
  let isOver = false;

  /** Starts a run; resolves when it is known to go on. */
  function start(name: string): Promise<void> {
    const own: { turns: Map<number, number>; endedAt?: number } = { turns: new Map() };
    told.set(name, own);
    let resolve = () => {};
    let reject: (error: Error) => void = () => {};
    const promise = new Promise<void>((resolved, rejected) => {
      resolve = resolved;
      reject = rejected;
    });
    client
      .callTool(
        {
          name: "orchestrate_workflow",
          arguments: {
            workflow_name: "architect",
            message: name,
            session_name: name,
            repository_url: "",
            git_branch: "",
          },
        },
        undefined,
        {
          timeout: CALL_MS,
          onprogress({ message = "" }) {
            resolve();
            const turn = Number(/^Turn (\d+)/.exec(message)?.[1] ?? Number.NaN);
            if (!Number.isNaN(turn) && !own.turns.has(turn)) own.turns.set(turn, Date.now());
          },
        },
      )
      .then(
        ({ structuredContent, content }) => {
          const outcome = (structuredContent as { outcome?: string } | undefined)?.outcome;
          if (outcome === "completed") own.endedAt = Date.now();
          else reject(new Error(`${name}: ${JSON.stringify(content)}`));
        },
        (error) => {
          if (!isOver) reject(error);
        },
      );
    return promise;
  }

  try {
    await client.connect(transport);
    const names = Array.from({ length: runs }, (_, index) => `bench-${index + 1}`);
    await Promise.all(
      Array.from({ length: STARTING }, async () => {
        for (let name = names.shift(); name; name = names.shift()) await start(name);
      }),
    );
    // What the starts have left to do is not what is measured.
    await pause(5_000 + runs * 10);
    await countRequests();
    const began = Date.now();
    process.kill(transport.pid as number, "SIGUSR2");
    await pause(seconds * 1000);
    const requests = await countRequests();
    const ended = Date.now();
    process.kill(transport.pid as number, "SIGUSR2");
    while (!existsSync(report)) await pause(10);
    await pause(Math.max(0, PATIENCE_MS - (Date.now() - ended)));
    const measured = JSON.parse(readFileSync(report, "utf8"));
    const due = changes.filter((change) => change.at >= began && change.at < ended);
    const delays: number[] = [];
    const ends: number[] = [];
    let missed = 0;
    for (const change of due) {
      const own = told.get(change.name);
      const seenAt =
        change.turn === "end"
          ? own?.endedAt
          : // A turn that was over before it was looked at is told by the next one.
            Math.min(
              ...[...(own?.turns ?? [])]
                .filter(([turn]) => turn >= Number(change.turn))
                .map(([, time]) => time),
              own?.endedAt ?? Number.POSITIVE_INFINITY,
            );
      if (seenAt === undefined || seenAt === Number.POSITIVE_INFINITY) missed++;
      else (change.turn === "end" ? ends : delays).push(Math.max(0, seenAt - change.at));
    }
    for (const values of [delays, ends]) values.sort((one, other) => one - other);
    const requestsPerSecond = requests / ((ended - began) / 1000);
    return { way, runs, changes: due.length, delays, ends, missed, requestsPerSecond, ...measured };
  } finally {
    // The calls end with the connection. To cancel them one by one, the client would leave a listener for each on it.
    isOver = true;
    upstream.removeAllListeners("exit");
    await client.close();
    upstream.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The goals that the row misses, in words. */
function checkRow(row: Row): string[] {
  const goals: [boolean, string][] = [[row.missed === 0, `${row.missed} changes were never told`]];
  if (row.way === "polled") {
    // The default of POLLING_RATE.
    goals.push([row.requestsPerSecond <= 20, "more than 20 requests a second"]);
    if (row.runs === 50) goals.push([p95(row.delays) <= 1_000, "p95 of the delay over 1 s"]);
    if (row.runs > 0) goals.push([(row.ends.at(-1) ?? 0) <= 2_000, "an end told after more than 2 s"]);
  } else if (row.runs > 0) {
    goals.push([median(row.delays) <= 50, "median of the delay over 50 ms"]);
    goals.push([row.requestsPerSecond < 1, "requests while it is pushed"]);
  }
  if (row.runs === 1_000) {
    goals.push(
      [row.rssMb <= 200, "RSS over 200 MB"],
      [row.loopP99Ms <= 50, "event-loop delay p99 over 50 ms"],
    );
  }
  return goals.filter(([reached]) => !reached).map(([, words]) => `${row.way}, ${row.runs} runs: ${words}`);
}

/**
 * Measures and prints the table.
 * @returns the goals that were missed, in words
 */
export async function benchManyRuns({
  print,
  runs = [0, 1, 50, 1_000],
  seconds = 45,
}: BenchOptions & { runs?: number[]; seconds?: number }): Promise<string[]> {
  const missed: string[] = [];
  print(`Many runs watched for ${seconds} s, 8 to 20 turns of 5 to 10 s each`);
  print(
    "| API | runs | changes | delay p50 / p95 / p99, ms | ends p50 / max, ms | requests/s | CPU | RSS | loop p99 |",
  );
  print("|---|---|---|---|---|---|---|---|---|");
  for (const way of ["polled", "pushed"] as const) {
    for (const count of runs) {
      const row = await measure(way, count, seconds);
      const delay = [0.5, 0.95, 0.99].map((share) => percentile(row.delays, share).toFixed(0)).join(" / ");
      const ends =
        row.ends.length > 0 ? `${median(row.ends)} / ${row.ends.at(-1)} (${row.ends.length})` : "–";
      print(
        `| ${way} | ${count} | ${row.changes} | ${count > 0 ? delay : "–"} | ${ends} | ` +
          `${row.requestsPerSecond.toFixed(1)} | ${row.cpuPercent.toFixed(1)} % | ${row.rssMb.toFixed(0)} MB | ` +
          `${row.loopP99Ms.toFixed(1)} ms |`,
      );
      missed.push(...checkRow(row));
    }
  }
  return missed;
}
