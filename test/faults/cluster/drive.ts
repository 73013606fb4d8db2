import { setTimeout as delay } from "node:timers/promises";
import { createRandom, mix } from "../random.js";
import { createCall, type Tap } from "./calls.js";
import type { Cluster } from "./cluster.js";
import { type EventReader, readEvents, type ToldEvent } from "./event-reader.js";
import { createHarm } from "./faults.js";
import { checkCluster } from "./invariants.js";
import { createLedger, knownRuns } from "./ledger.js";
import { markOf } from "./plans.js";
import type { ClusterProgram } from "./program.js";
import { callServer, type Told } from "./server.js";
import { type Facts, gatherFacts, settle } from "./settle.js";
import { drawSteps, type Step } from "./steps.js";
import { takeStep } from "./take-step.js";
import type { ClusterWorker } from "./worker.js";

/** A way to break the product, so that it can be seen that the harness notices. */
export interface ClusterSabotage {
  tap?(): Tap;
  /** Stands between a client and the servers. */
  tell?(cluster: Cluster): (server: ClusterProgram, args: Record<string, unknown>) => Promise<Told>;
  events?(): (event: ToldEvent, again: () => void) => ToldEvent | undefined;
  log?(text: string): string;
  /** Agents are doubled by `makeDoublingAgent`. */
  twice?: boolean;
}

/** What came of a sequence. */
export interface ClusterReport {
  number: number;
  violations: string[];
  /** What happened, a line each. */
  steps: string[];
  faults: Record<string, number>;
  outcomes: Record<string, number>;
  /** What the rules allow, and what should be known all the same. */
  named: Record<string, number>;
  runs: number;
  plans: number;
  agents: number;
  events: number;
  tookMs: number;
}

export interface SequenceOptions {
  /** Short faults only, and few steps. */
  brief: boolean;
  /** When all is over, what is to come about by itself is waited for so long, in ms; 20 s unless told. */
  patienceMs?: number;
  /** In place of those that are drawn. */
  steps?: readonly Step[];
  sabotage?: ClusterSabotage;
  /** Told each step as it is taken. */
  trace?: (line: string) => void;
}

/**
 * Drives one sequence on a cluster that is well and quiet, and leaves it so, unless it has broken a rule.
 * @param seed with the number it says what happens; how it interleaves depends on the machine
 */
export async function driveClusterSequence(
  seed: number,
  number: number,
  cluster: Cluster,
  { brief, sabotage = {}, trace, patienceMs = 20_000, ...options }: SequenceOptions,
): Promise<ClusterReport> {
  const began = performance.now();
  const random = createRandom(mix("cluster", seed, number));
  const { workers } = cluster;
  const violations: string[] = [];
  const steps: string[] = [];
  function note(what: string): void {
    const line = `${new Date().toISOString().slice(14, 23)}  ${what}`;
    steps.push(line);
    trace?.(line);
  }
  const complain = (what: string) => {
    note(`VIOLATION ${what}`);
    violations.push(what);
  };
  const call = createCall(sabotage.tap?.());
  const ledger = createLedger();
  const harm = createHarm(cluster, complain, note);
  const readers = [0, 1].map((index) => readEvents(workers[index] as ClusterWorker, sabotage.events?.()));
  const open = new Set<Promise<unknown>>();
  const token = `[${seed}/${number}/${Math.floor(began)}-`;
  const tell = sabotage.tell?.(cluster) ?? callServer;
  const readLog = ({ log }: ClusterProgram) => sabotage.log?.(log()) ?? log();
  const context = { readLog, patienceMs, cluster, call, tell, ledger, harm, readers, note, token };
  try {
    await opened(readers);
    for (const step of options.steps ??
      drawSteps(random, {
        ...{ links: cluster.link !== undefined, servers: cluster.servers.length, brief },
      })) {
      await delay(step.pauseMs);
      const task = takeStep(step, context).finally(() => open.delete(task));
      open.add(task);
      // Those that show something are in an order.
      if (options.steps) await task;
    }
    await harm.heal();
    await Promise.all(open);
    const settled = await settle(context, random, complain);
    const facts = await gatherFacts(context, settled, complain);
    for (const what of checkCluster(facts)) complain(what);
    const { lives, events } = facts;
    if (violations.length > 0) for (const line of await tellRuns(cluster, facts, violations)) note(line);
    return {
      ...{
        number,
        violations,
        steps,
        faults: harm.struck,
        outcomes: countOutcomes(ledger),
        named: facts.named,
      },
      ...{
        runs: knownRuns(ledger).length,
        plans: facts.plans.length,
        agents: lives.length,
        events: events.length,
      },
      tookMs: performance.now() - began,
    };
  } finally {
    await Promise.all(readers.map((reader) => reader.stop()));
  }
}

async function opened(readers: readonly EventReader[]): Promise<void> {
  while (readers.some((reader) => reader.lastId() === undefined)) await delay(20);
}

function countOutcomes(ledger: ReturnType<typeof createLedger>): Record<string, number> {
  const counts: Record<string, number> = {};
  const deeds = {
    start: ledger.starts.flatMap(({ posts }) => posts),
    message: ledger.messages,
    answer: ledger.answers,
    kill: ledger.kills,
    cleanup: ledger.cleanups,
  };
  for (const [name, list] of Object.entries(deeds))
    for (const { outcome } of list) {
      const how = outcome.kind === "refused" ? `refused with ${outcome.status}` : outcome.kind;
      counts[`${name}: ${how}`] = (counts[`${name}: ${how}`] ?? 0) + 1;
    }
  for (const [name, list] of Object.entries({ plan: ledger.plans, "decision at a gate": ledger.decisions }))
    for (const { outcome } of list) {
      const how = `${name}: ${outcome?.kind ?? "lost"}`;
      counts[how] = (counts[how] ?? 0) + 1;
    }
  return counts;
}

/** What the database and the agents have of the runs that complaints name. */
async function tellRuns(
  cluster: Cluster,
  { runs, plans, lives }: Facts,
  complaints: readonly string[],
): Promise<string[]> {
  const told: string[] = [];
  const isNamed = (...ids: string[]) => complaints.some((what) => ids.some((id) => what.includes(id)));
  for (const { planId, name, status, entries } of plans.filter((plan) => isNamed(plan.planId, plan.name))) {
    told.push(`plan ${planId}, ${name}: ${status}`);
    for (const entry of entries) told.push(`  ${JSON.stringify(entry).slice(0, 300)}`);
  }
  for (const { runId, sessionId, message } of runs) {
    const isOfPlan = plans.some(
      ({ planId, name }) => isNamed(planId, name) && message.includes(markOf(name)),
    );
    if (!isOfPlan && !isNamed(runId, sessionId)) continue;
    const events = await cluster.query<{
      at: number;
      id: string;
      type: string;
      status: string;
      data: string;
    }>(`select at, id, type, status, data from engine_events where run_id = '${runId}' order by id`);
    told.push(`run ${runId} of session ${sessionId}`);
    for (const { at, id, type, status, data } of events)
      told.push(
        `  ${new Date(at).toISOString().slice(14, 23)} ${id} ${type} ${status} ${data.slice(0, 200)}`,
      );
    for (const { run, began, seen, worker } of lives)
      if (run === runId) told.push(`  agent on ${worker.machine.name} for ${Math.round(seen - began)} ms`);
  }
  return told;
}
