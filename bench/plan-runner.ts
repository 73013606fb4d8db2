/**
 * Plans that are carried out: how long it takes from the end of what a step needs, as soon as it is known, to its start
 * at the API; what many runs at once cost, upstream and in memory. The parts of a server in a process of their own, on
 * the sources, against the simulated API in another one.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchOptions } from "./part.js";
import type { DriverOrder, FromDriver, FromUpstream } from "./plans/messages.js";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const START_GOAL_MS = 50;
const MEMORY_GOAL_MB = 200;
/** The default of POLLING_RATE. */
const POLLING_RATE = 20;
const PLANS = 10;
const STEPS = 20;
const AT_ONCE = 200;

interface Measured {
  /** When each start came, and when the end of each run was known, by the names of sessions. Epoch ms. */
  started: Map<string, number>;
  ended: Map<string, number>;
  seconds: number;
  rssMb: number;
  looks: number;
}

/** @param how.paceMs how long a turn takes */
async function carryOut(
  plans: object[],
  how: { paceMs: number; turns: number; perSecond?: number },
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "automagik-bench-"));
  const started = new Map<string, number>();
  const ended = new Map<string, number>();
  const upstream = fork(at("plans/upstream.ts"), [String(how.paceMs), String(how.turns)]);
  try {
    const url = await new Promise<string>((resolve) => {
      upstream.on("message", (message: FromUpstream) => {
        if (message.type === "ready") resolve(message.url);
        else if (message.type === "start") started.set(message.name, message.at);
      });
    });
    const order: DriverOrder = { url, folder, perSecond: how.perSecond ?? POLLING_RATE, plans };
    const driver = fork(at("plans/driver.ts"), [JSON.stringify(order)]);
    const over = await new Promise<{ seconds: number; rssMb: number; looks: number }>((resolve, reject) => {
      driver.once("exit", (code) => reject(new Error(`The driver ended with code ${code}.`)));
      driver.on("message", (message: FromDriver) => {
        if (message.type === "ended") ended.set(message.name, message.at);
        else resolve(message);
      });
    });
    driver.removeAllListeners("exit");
    driver.kill("SIGKILL");
    return { ...over, started, ended };
  } finally {
    upstream.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function percentiles(values: number[]): { p50: number; p95: number; max: number } {
  const sorted = values.sort((one, other) => one - other);
  const share = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { p50: share(0.5), p95: share(0.95), max: share(1) };
}

/** Steps behind each other, in plans that all go on at once. */
function createChains(): object[] {
  return Array.from({ length: PLANS }, (_, plan) => ({
    name: `p${plan}`,
    steps: Array.from({ length: STEPS }, (_, step) => ({
      id: `s${step}`,
      run: "fix",
      task: "Work",
      ...(step === 0 ? {} : { needs: [`s${step - 1}`] }),
    })),
  }));
}

/** Many steps of one plan that are all ready when the first has ended. */
function createFan(): object {
  const first = { id: "s0", run: "fix", task: "Work" };
  const rest = Array.from({ length: AT_ONCE }, (_, at) => ({ ...first, id: `s${at + 1}`, needs: ["s0"] }));
  return { name: "p0", limits: { parallel: AT_ONCE, runs: AT_ONCE + 1 }, steps: [first, ...rest] };
}

/** @returns the goals that were missed */
export async function benchPlanRunner({ print }: BenchOptions): Promise<string[]> {
  const missed: string[] = [];
  const pace = { paceMs: 300, turns: 1 };
  for (const perSecond of [POLLING_RATE, 1_000]) {
    const { started, ended, looks, seconds } = await carryOut(createChains(), { ...pace, perSecond });
    const delays = [...started].flatMap(([name, began]) => {
      const [plan, step] = name.split("-s");
      const met = ended.get(`${plan}-s${Number(step) - 1}`);
      return met === undefined ? [] : [began - met];
    });
    const { p50, p95, max } = percentiles(delays);
    const title = `${PLANS} plans × ${STEPS} steps, at most ${perSecond} requests a second`;
    print(
      `  ${title}: from needs met to the start at the API p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, ` +
        `max ${max.toFixed(1)} ms; ${(looks / seconds).toFixed(1)} requests a second besides`,
    );
    if (p95 > START_GOAL_MS) missed.push(`${title}: p95 ${p95.toFixed(1)} ms, goal ${START_GOAL_MS} ms`);
  }
  const { started, ended, looks, seconds, rssMb } = await carryOut([createFan()], {
    paceMs: 1_000,
    turns: 15,
  });
  const met = ended.get("p0-s0") ?? Number.NaN;
  const all = Math.max(...started.values()) - met;
  print(
    `  ${AT_ONCE} runs at once in one plan: all started within ${all.toFixed(0)} ms, ${rssMb.toFixed(0)} MB, ` +
      `${(looks / seconds).toFixed(1)} requests a second besides`,
  );
  if (rssMb > MEMORY_GOAL_MB) missed.push(`${AT_ONCE} runs at once: ${rssMb.toFixed(0)} MB`);
  if (looks / seconds > POLLING_RATE + 1) missed.push(`${AT_ONCE} runs at once: more requests than may be`);
  if (started.size !== AT_ONCE + 1) missed.push(`${AT_ONCE} runs at once: ${started.size} starts`);
  return missed;
}
