import type { Cluster } from "../../test/faults/cluster/cluster.js";

/** Figures of one measurement; times in ms, sorted. */
export interface Measured {
  runsPerMinute: number;
  events: number;
  /** From a place that has become free to the start of the next agent in it. */
  begins: number[];
  /** From what happened at one worker to a client at another one; empty for one worker. */
  tells: number[];
  statementsPerEvent: number;
}

interface EventRow {
  id: number;
  at: number;
  type: string;
  run_id: string;
  worker: string | null;
}

/**
 * How long places were free, by what each worker has noted with its own clock: a run's end makes one free, and the next
 * agent of that worker takes it. Only while runs wait.
 */
export function delaysToBegin(events: readonly EventRow[]): number[] {
  const workerOf = new Map<string, string>();
  const free = new Map<string, number[]>();
  const delays: number[] = [];
  const lastAccepted = Math.max(...events.filter(({ type }) => type === "accepted").map(({ at }) => at));
  for (const { type, at, run_id, worker } of events) {
    if (type === "started" && worker) workerOf.set(run_id, worker);
    const own = workerOf.get(run_id);
    if (!own) continue;
    const places = free.get(own) ?? [];
    free.set(own, places);
    if (type === "ended" && at > lastAccepted) places.push(at);
    const since = type === "agent-started" ? places.shift() : undefined;
    if (since !== undefined) delays.push(at - since);
  }
  return delays.sort((a, b) => a - b);
}

/** The events after a number, in order, with the worker of those that begin a run. */
export async function readEvents({ query }: Cluster, after: number): Promise<EventRow[]> {
  const rows = await query<EventRow>(
    `select id, at, type, run_id, case when type = 'started' then data::json->>'worker' end as worker
     from engine_events where id > ${after} order by id`,
  );
  return rows.map((row) => ({ ...row, id: Number(row.id), at: Number(row.at) }));
}

/** Statements that the workers have sent since it was reset. */
export async function countStatements({ query }: Cluster): Promise<number> {
  const [row] = await query<{ calls: string }>(
    "select coalesce(sum(calls), 0) as calls from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database()) and query !~ 'pg_stat'",
  );
  return Number(row?.calls);
}

/**
 * Copies an ended run so many times, each with so many events, as if they had been carried out before. The workers read
 * them when they start. What PostgreSQL does once after so much has come at once is done before anything is measured.
 */
export async function storeRuns({ query }: Cluster, runs: number, eventsEach: number): Promise<void> {
  await query(`
    create table bench_ids as select gen_random_uuid()::text as run_id, gen_random_uuid()::text as session_id, number
      from generate_series(1, ${runs}) number;
    create table bench_model as select * from engine_runs where status = 'completed' order by first_event desc limit 1;
    insert into engine_runs select i.run_id, version, status, i.session_id, workflow_name, created_at - 1000000 + number,
      started_at, ended_at, turns, cost_usd, null, null,
      (select max(id) from engine_events) + (number - 1) * ${eventsEach} + 1,
      (select max(id) from engine_events) + number * ${eventsEach},
      replace(replace(state, m.run_id, i.run_id), m.session_id, i.session_id) from bench_model m, bench_ids i;
    insert into engine_parts select i.run_id, kind, id, data from engine_parts p join bench_model m using (run_id),
      bench_ids i where kind = 'request';
    insert into engine_events select (select max(id) from engine_events) + (number - 1) * ${eventsEach} + step, run_id,
      0, 'action', 'running', '{"text":"Step","turn":1}' from bench_ids, generate_series(1, ${eventsEach}) step;
    drop table bench_ids, bench_model`);
  await query("vacuum analyze engine_runs, engine_parts, engine_events");
  await query("checkpoint");
}
