import type { Migration } from "../migration.js";

/** Engines that share a database, and what they ask of one another. Times are epoch ms by the database's clock. */
export interface WorkerTables {
  workers: {
    worker_id: string;
    /** Its process: a later one of the same worker has another. */
    instance: string;
    /** Its machine, as a person calls it. */
    name: string;
    version: string;
    /** How many agents work there at once. */
    places: number;
    /** How many of these are taken. */
    busy: number;
    /** `ready`; `draining`: it begins nothing more; `ended`: in an orderly way. */
    state: string;
    began_at: number;
    seen_at: number;
    /** Silent for so long it is gone, in ms: its own setting counts for all. */
    timeout_ms: number;
  };
  /**
   * What one worker asks of another that has the session's workspace, as JSON. `taken_at`: it has begun; `answer`: what
   * has come of it.
   */
  worker_calls: {
    id: string;
    worker_id: string;
    instance: string;
    asked_at: number;
    call: string;
    taken_at: number | null;
    answer: string | null;
  };
}

export const workersMigration: Migration = {
  name: "008-workers",
  olderMayGoOn: true,
  statements: [
    `create table workers (
      worker_id text not null primary key,
      instance text not null,
      name text not null,
      version text not null,
      places bigint not null,
      busy bigint not null,
      state text not null,
      began_at double precision not null,
      seen_at double precision not null,
      timeout_ms double precision not null
    )`,
    `create table worker_calls (
      id text not null primary key,
      worker_id text not null,
      instance text not null,
      asked_at double precision not null,
      call text not null,
      taken_at double precision,
      answer text
    )`,
    `create index worker_calls_by_worker on worker_calls (worker_id, taken_at)`,
    `create index engine_runs_by_session on engine_runs (session_id, created_at)`,
    // Before the first step of which an older release may find that it can go on.
    `alter table schema_migrations add column older_may_go_on integer not null default 0`,
  ],
};
