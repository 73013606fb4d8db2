/** The engine's runs and what happened to them. Times are epoch ms, money is US dollars. */
export interface EngineTables {
  engine_runs: {
    run_id: string;
    /** Counts the changes: what is in memory is known by it to be the same as here. */
    version: number;
    status: string;
    session_id: string;
    workflow_name: string;
    created_at: number;
    started_at: number | null;
    ended_at: number | null;
    turns: number;
    cost_usd: number;
    /** The client's own name for the start, and a digest of what it asked for. */
    request_key: string | null;
    request_digest: string | null;
    first_event: number;
    last_event: number;
    /** The run as JSON; messages and questions are named in it by their ids. */
    state: string;
  };
  /** What was asked for, the messages that wait and all questions, each as JSON; what was asked for has no id. */
  engine_parts: { run_id: string; kind: "request" | "message" | "question"; id: string; data: string };
  /** Numbers increase and have holes; `status` is the run's after the event, `data` JSON. */
  engine_events: { id: number; run_id: string; at: number; type: string; status: string; data: string };
  /** Single values, by name. */
  engine_facts: { name: string; value: string };
}

export const engineMigration = {
  name: "002-engine",
  statements: [
    `create table engine_runs (
      run_id text not null primary key,
      version bigint not null,
      status text not null,
      session_id text not null,
      workflow_name text not null,
      created_at double precision not null,
      started_at double precision,
      ended_at double precision,
      turns bigint not null,
      cost_usd double precision not null,
      request_key text unique,
      request_digest text,
      first_event bigint not null,
      last_event bigint not null,
      state text not null
    )`,
    `create table engine_parts (
      run_id text not null,
      kind text not null,
      id text not null,
      data text not null,
      primary key (run_id, kind, id)
    )`,
    `create table engine_events (
      id bigint not null primary key,
      run_id text not null,
      at double precision not null,
      type text not null,
      status text not null,
      data text not null
    )`,
    `create index engine_events_by_run on engine_events (run_id, id)`,
    `create table engine_facts (name text not null primary key, value text not null)`,
  ],
};
