import { driveSequence, type SequenceOptions } from "./drive.js";
import type { SequenceReport } from "./report.js";
import { createSteadyTime } from "./steady-time.js";

/** A rule that was broken, and by which sequence. */
export interface Violation {
  /** Of the sequence; 0 when it is not known. */
  number: number;
  what: string;
}

export interface Summary {
  sequences: number;
  calls: number;
  runs: number;
  posts: number;
  faults: Record<string, number>;
  outcomes: Record<string, number>;
  deeds: Record<string, number>;
  taken: Record<string, number>;
  violations: Violation[];
  slowest: { number: number; tookMs: number };
  /** The longest time in which nothing could happen, in ms. */
  standstillMs: number;
  /** Heap in use and resident memory after a collection, in MB, at equal distances over the whole run. */
  memory: { after: number; heapMb: number; residentMb: number }[];
  /** What keeps the process open at the end. */
  handles: string[];
  tookMs: number;
}

/** How often memory is looked at. */
const SAMPLES = 10;
const MB = 1024 * 1024;

/**
 * Drives sequences number 1 to `sequences` of a seed, several at once; each depends on its own number only.
 * @param options.only the numbers to drive
 */
export async function runSequences(
  options: {
    seed: number;
    sequences: number;
    only?: readonly number[];
    atOnce?: number;
    onSequence?: (report: SequenceReport, done: number) => void;
  } & Omit<SequenceOptions, "time">,
): Promise<Summary> {
  const { seed, sequences, only, atOnce = 16 } = options;
  const began = performance.now();
  const time = createSteadyTime();
  const numbers = only ?? Array.from({ length: sequences }, (_, index) => index + 1);
  const violations: Violation[] = [];
  const inFlight = new Set<number>();
  const summary: Summary = {
    sequences: 0,
    calls: 0,
    runs: 0,
    posts: 0,
    faults: {},
    outcomes: {},
    deeds: {},
    taken: {},
    violations,
    slowest: { number: 0, tookMs: 0 },
    standstillMs: 0,
    memory: [],
    handles: [],
    tookMs: 0,
  };
  const onRejection = (reason: unknown) => {
    const [number = 0] = inFlight;
    const told = (reason as Error)?.stack ?? String(reason);
    violations.push({ number, what: `an unhandled rejection (of one of ${[...inFlight]}): ${told}` });
  };
  const onException = (error: Error) => onRejection(error);
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onException);

  function add(report: SequenceReport): void {
    summary.sequences++;
    summary.calls += report.calls;
    summary.runs += report.runs;
    summary.posts += report.posts;
    addAll(summary.faults, report.faults);
    addAll(summary.outcomes, report.outcomes);
    addAll(summary.deeds, report.deeds);
    for (const [name, bytes] of Object.entries(report.taken)) {
      summary.taken[name] = Math.max(summary.taken[name] ?? 0, bytes);
    }
    if (report.tookMs > summary.slowest.tookMs) summary.slowest = report;
    for (const what of report.violations) violations.push({ number: report.number, what });
  }

  function sampleMemory(): void {
    globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    summary.memory.push({
      after: summary.sequences,
      heapMb: Math.round((heapUsed / MB) * 10) / 10,
      residentMb: Math.round(rss / MB),
    });
  }

  const afterlives: Promise<unknown>[] = [];
  const every = Math.max(1, Math.floor(numbers.length / SAMPLES));
  const queue = [...numbers];
  async function work(): Promise<void> {
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      inFlight.add(number);
      const own = number;
      try {
        const { report, afterlife } = await driveSequence(seed, own, { ...options, time });
        add(report);
        options.onSequence?.(report, summary.sequences);
        afterlives.push(
          afterlife.then((left) => {
            for (const what of left) violations.push({ number: own, what });
          }),
        );
      } catch (error) {
        violations.push({ number: own, what: `the harness itself failed: ${(error as Error).stack}` });
      }
      inFlight.delete(own);
      if (summary.sequences % every === 0) sampleMemory();
    }
  }

  await Promise.all(Array.from({ length: Math.min(atOnce, numbers.length) }, work));
  await Promise.all(afterlives);
  time.stop();
  sampleMemory();
  process.off("unhandledRejection", onRejection);
  process.off("uncaughtException", onException);
  // Connections and timers that were just closed are counted until a moment later.
  await new Promise((resolve) => setTimeout(resolve, 100));
  summary.handles = process.getActiveResourcesInfo();
  const left = summary.handles.filter((handle) => handle.startsWith("TCP"));
  if (left.length > 0) violations.push({ number: 0, what: `left open at the end: ${left}` });
  summary.standstillMs = time.longestStandstill();
  summary.tookMs = performance.now() - began;
  return summary;
}

function addAll(sum: Record<string, number>, more: Record<string, number>): void {
  for (const [name, number] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + number;
}
