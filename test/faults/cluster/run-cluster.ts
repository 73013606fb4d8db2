import { findPostgres } from "../../support/postgres-server.js";
import { type Cluster, openCluster } from "./cluster.js";
import { type ClusterReport, driveClusterSequence, type SequenceOptions } from "./drive.js";

export interface ClusterSummary {
  sequences: number;
  runs: number;
  plans: number;
  agents: number;
  events: number;
  faults: Record<string, number>;
  outcomes: Record<string, number>;
  named: Record<string, number>;
  violations: { number: number; what: string }[];
  slowest: { number: number; tookMs: number };
  tookMs: number;
}

const [WORKERS, SERVERS] = [3, 2];

/**
 * Drives sequences of a seed on three workers with one database; a cluster serves one sequence after another, until one
 * breaks a rule.
 * @param options.namespaces machines are namespaces; else processes
 * @param options.atOnce clusters
 * @throws Error where there is no PostgreSQL
 */
export async function runClusterSequences(
  options: {
    seed: number;
    numbers: readonly number[];
    atOnce?: number;
    namespaces: boolean;
    onSequence?: (report: ClusterReport, done: number) => void;
  } & SequenceOptions,
): Promise<ClusterSummary> {
  const { seed, namespaces, atOnce = 1 } = options;
  const programs = (await findPostgres()) ?? "";
  if (!programs) throw new Error("There is no PostgreSQL here.");
  const began = performance.now();
  const queue = [...options.numbers];
  const summary: ClusterSummary = {
    ...{
      sequences: 0,
      runs: 0,
      plans: 0,
      agents: 0,
      events: 0,
      faults: {},
      outcomes: {},
      named: {},
      violations: [],
    },
    ...{ slowest: { number: 0, tookMs: 0 }, tookMs: 0 },
  };

  function add(report: ClusterReport): void {
    summary.sequences++;
    for (const name of ["runs", "plans", "agents", "events"] as const) summary[name] += report[name];
    for (const name of ["faults", "outcomes", "named"] as const)
      for (const [what, times] of Object.entries(report[name]))
        summary[name][what] = (summary[name][what] ?? 0) + times;
    if (report.tookMs > summary.slowest.tookMs) summary.slowest = report;
    for (const what of report.violations) summary.violations.push({ number: report.number, what });
    options.onSequence?.(report, summary.sequences);
  }

  async function work(lane: number): Promise<void> {
    let cluster: Cluster | undefined;
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      let isWell = false;
      try {
        const net = ((process.pid % 60) * 4 + lane) % 250;
        const parts = { programs, workers: WORKERS, servers: SERVERS, namespaces, net };
        cluster ??= await openCluster(parts);
        const report = await driveClusterSequence(seed, number, cluster, options);
        add(report);
        isWell = report.violations.length === 0;
      } catch (error) {
        summary.violations.push({ number, what: `the harness itself failed: ${(error as Error).stack}` });
      }
      // What is broken would be seen by the next sequence, too.
      if (!isWell) await cluster?.dispose();
      if (!isWell) cluster = undefined;
    }
    await cluster?.dispose();
  }

  await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, (_, lane) => work(lane)));
  summary.tookMs = performance.now() - began;
  return summary;
}
