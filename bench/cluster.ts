/**
 * Several engines with one database: what three of them do in the time of one, how soon a run begins where a place is
 * free, how soon a client at one worker hears what happens at another one, what that asks of PostgreSQL, and where the
 * limit lies. Engines of the built bin with agents that wait, as real ones do most of their time: two cores cannot do
 * more for three machines than for one. As root on Linux each has namespaces as its machine, else they are processes.
 *
 *     npm run bench -- cluster [--check]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createCall } from "../test/faults/cluster/calls.js";
import { type Cluster, openCluster } from "../test/faults/cluster/cluster.js";
import { mayMakeNamespaces } from "../test/faults/cluster/machines.js";
import { KEY } from "../test/faults/cluster/program.js";
import useMemoryFolder from "../test/support/memory-folder.js";
import { findPostgres } from "../test/support/postgres-server.js";
import { countStatements, delaysToBegin, type Measured, readEvents, storeRuns } from "./cluster/measured.js";
import { type BenchOptions, median } from "./part.js";

const PLACES = 4;
/** What an agent waits for its model, in ms. */
const WAIT_MS = 2_000;
const RUNS = 300;
const [STORED_RUNS, EVENTS_EACH] = [10_000, 100];
/** Seconds for which events are written as fast as can be. */
const LIMIT_S = 8;

const p95 = (values: readonly number[]) =>
  values[Math.min(values.length - 1, Math.floor(values.length * 0.95))] ?? Number.NaN;

const call = createCall();

/** Starts so many runs at once, each with two steps and a wait, and measures until all have ended. */
async function measure(cluster: Cluster, runs: number): Promise<Measured> {
  const { workers, query } = cluster;
  const [newest] = await query<{ id: string }>("select coalesce(max(id), 0) as id from engine_events");
  const after = Number(newest?.id);
  const stop = new AbortController();
  const told = new Map<number, { worker: number; at: number }[]>();
  const reading = workers.map((worker) =>
    listen(worker.url(), stop.signal, (id) => {
      const list = told.get(id) ?? [];
      list.push({ worker: worker.index, at: Date.now() });
      told.set(id, list);
    }),
  );
  await query("select pg_stat_statements_reset()");
  const began = Date.now();
  const steps = [
    { text: "Reading" },
    { wait: WAIT_MS / 2 },
    { text: "Writing" },
    { wait: WAIT_MS / 2 },
    { text: "Done" },
  ];
  const body = { message: `Work\n#script ${JSON.stringify(steps)}`, input_format: "stream-json" };
  for (let index = 0; index < runs; index++) {
    const worker = workers[index % workers.length] as (typeof workers)[0];
    const started = await call(worker, "POST", "/run/implement", { body });
    if (started.kind !== "done") throw new Error(`A run was not started: ${JSON.stringify(started)}`);
  }
  for (;;) {
    const [left] = await query<{ count: string }>(
      "select count(*) from engine_runs where status in ('pending', 'running', 'waiting')",
    );
    if (Number(left?.count) === 0) break;
    await delay(250);
  }
  const statements = await countStatements(cluster);
  await delay(500);
  stop.abort();
  await Promise.all(reading);
  const events = await readEvents(cluster, after);
  const ended = events.filter(({ type }) => type === "ended");
  const numbers = await workerNumbers(cluster);
  const carriedOutBy = new Map(
    events.flatMap(({ run_id, worker }) => (worker ? [[run_id, numbers.get(worker)]] : [])),
  );
  const tells = events.flatMap(({ id, at, run_id }) => {
    const home = carriedOutBy.get(run_id);
    if (home === undefined) return [];
    return (told.get(id) ?? [])
      .filter(({ worker }) => worker !== home)
      .map((one) => Math.max(0, one.at - at));
  });
  return {
    runsPerMinute: (ended.length / (Math.max(...ended.map(({ at }) => at)) - began)) * 60_000,
    events: events.length,
    begins: delaysToBegin(events),
    tells: tells.sort((a, b) => a - b),
    statementsPerEvent: statements / events.length,
  };
}

/** Which worker has which id. */
async function workerNumbers({ query, workers }: Cluster): Promise<Map<string, number>> {
  const rows = await query<{ worker_id: string; name: string; began_at: string }>(
    "select worker_id, name from workers",
  );
  return new Map(
    rows.map(({ worker_id, name }) => {
      const index = workers.findIndex((worker) => worker.machine.name === name || worker.id() === worker_id);
      return [worker_id, index];
    }),
  );
}

/** Reads a worker's stream of events until it is told to stop. */
async function listen(url: string, signal: AbortSignal, onEvent: (id: number) => void): Promise<void> {
  try {
    const address = new URL("/api/v1/workflows/claude-code/events", url);
    const { body } = await fetch(address, { headers: { "x-api-key": KEY }, signal });
    let rest = "";
    for await (const bytes of body ?? []) {
      const blocks = `${rest}${Buffer.from(bytes).toString("utf8")}`.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const id = /^id: (\d+)\nevent: run$/m.exec(block)?.[1];
        if (id && !block.includes('"type":"wait"')) onEvent(Number(id));
      }
    }
  } catch {
    if (!signal.aborted) throw new Error("A stream of events has ended.");
  }
}

/** Events a second that so many writers get into the database together, each for so many runs. */
async function measureLimit(cluster: Cluster, writers: number, runs: number): Promise<number> {
  const { hostname } = new URL(cluster.database);
  if (!hostname) throw new Error("The database has no address.");
  const script = fileURLToPath(new URL("cluster/writer.ts", import.meta.url));
  const children = Array.from({ length: writers }, () => fork(script, [cluster.database]));
  const answer = async (child: ChildProcess) => (await once(child, "message"))[0];
  await Promise.all(children.map(answer));
  for (const child of children) child.send({ runs, seconds: LIMIT_S });
  const counts = await Promise.all(children.map(answer));
  for (const child of children) child.disconnect();
  return counts.reduce((sum, { events }) => sum + events, 0) / LIMIT_S;
}

function row(name: string, { runsPerMinute, events, begins, tells, statementsPerEvent }: Measured): string {
  const pair = (values: readonly number[]) =>
    values.length > 0 ? `${median(values).toFixed(0)} / ${p95(values).toFixed(0)}` : "–";
  return `| ${name} | ${runsPerMinute.toFixed(0)} | ${pair(begins)} | ${pair(tells)} | ${events} | ${statementsPerEvent.toFixed(1)} |`;
}

/**
 * Measures and prints the table.
 * @returns the goals that were missed, in words
 */
export async function benchCluster({ print, rounds = RUNS }: BenchOptions): Promise<string[]> {
  const programs = await findPostgres();
  if (!programs) {
    print("There is no PostgreSQL here: nothing was measured.");
    return [];
  }
  const removeFolder = useMemoryFolder();
  const namespaces = await mayMakeNamespaces();
  const settings = { ENGINE_CONCURRENCY: `${PLACES}`, ENGINE_WORKER_TIMEOUT: "60", LOG_LEVEL: "info" };
  const open = (workers: number) =>
    openCluster({
      ...{ programs, workers, namespaces, net: 240, settings },
      postgresSettings: ["shared_preload_libraries=pg_stat_statements", "max_connections=200"],
    }).then(async (cluster) => {
      await cluster.query("create extension pg_stat_statements");
      return cluster;
    });
  print(
    `Engines with one database, ${PLACES} slots each, ${namespaces ? "namespaces as machines" : "processes as machines"}; ` +
      `${rounds} runs of ${WAIT_MS / 1000} s (a third of that for one worker), agents that wait`,
  );
  print(
    "| workers | runs a minute | free slot to agent p50 / p95, ms | event to a client elsewhere p50 / p95, ms | events | statements an event |",
  );
  print("|---|---|---|---|---|---|");
  const alone = await open(1);
  const one = await measure(alone, Math.ceil(rounds / 3)).finally(() => alone.dispose());
  print(row("1", one));
  const cluster = await open(3);
  try {
    const three = await measure(cluster, rounds);
    print(row("3", three));
    const limits: [string, number][] = [];
    for (const [writers, runs] of [
      [1, 1],
      [1, 50],
      [3, 1],
      [3, 50],
    ] as const)
      limits.push([`${writers} × ${runs}`, await measureLimit(cluster, writers, runs)]);
    await Promise.all(cluster.workers.map((worker) => worker.kill()));
    await cluster.query(
      "delete from engine_parts where run_id in (select run_id from engine_runs where status = 'running')",
    );
    await cluster.query("delete from engine_runs where status = 'running'");
    await storeRuns(cluster, STORED_RUNS, EVENTS_EACH);
    await Promise.all(cluster.workers.map((worker) => worker.start()));
    const full = await measure(cluster, rounds);
    print(row(`3, with ${STORED_RUNS} sessions and ${STORED_RUNS * EVENTS_EACH} events stored`, full));
    print("");
    print(
      `Three workers carry out ${(three.runsPerMinute / one.runsPerMinute).toFixed(2)} times as much as one.`,
    );
    print(
      `Events a second, writers × runs: ${limits.map(([name, rate]) => `${name}: ${rate.toFixed(0)}`).join(", ")}`,
    );
    return missedGoals(one, three, full);
  } finally {
    await cluster.dispose();
    removeFolder?.();
  }
}

function missedGoals(one: Measured, three: Measured, full: Measured): string[] {
  const goals: [reached: boolean, words: string][] = [
    [
      three.runsPerMinute >= 2.7 * one.runsPerMinute,
      "three workers carry out less than 2.7 times as much as one",
    ],
  ];
  for (const [name, { begins, tells }] of [
    ["empty", three],
    ["full", full],
  ] as const)
    goals.push(
      [p95(begins) <= 200, `${name} database: p95 from a free slot to the agent over 200 ms`],
      [p95(tells) <= 100, `${name} database: p95 of an event to a client elsewhere over 100 ms`],
    );
  return goals.filter(([reached]) => !reached).map(([, words]) => words);
}
