import { sql } from "kysely";
import type { Migration } from "../migration.js";

/**
 * The sessions of each API (`upstream`), found by its key, which is escaped as within JSON, by what the eye
 * sees of its name, in small letters, or by an id. Times are epoch ms, money is US dollars. `more` has what this release does not know, as JSON.
 */
export interface SessionTables {
  sessions: {
    upstream: string;
    key: string;
    name: string;
    visible_name: string;
    session_id: string | null;
    session_id_seen_at: number | null;
    repository_url: string | null;
    git_branch: string | null;
    created_at: number;
    updated_at: number;
    /** How many changes of its API's sessions there were with its last one. */
    changed: number;
    more: string | null;
  };
  session_changes: { upstream: string; changes: number };
  session_runs: {
    upstream: string;
    session_key: string;
    run_id: string;
    workflow_name: string;
    status: string;
    started_at: number | null;
    completed_at: number | null;
    turns: number | null;
    max_turns: number | null;
    cost_usd: number | null;
    session_id: string | null;
    resumes: string | null;
    error_code: string | null;
    updated_at: number;
    /** Tells runs that began at the same time apart. */
    position: number;
    more: string | null;
  };
  /** What has been taken over from the files of earlier releases. */
  taken_over: { name: string; taken_at: number };
}

export const sessionsMigration: Migration = {
  name: "001-sessions",
  statements: [
    sql`create table sessions (
      upstream text not null,
      key text not null,
      name text not null,
      visible_name text not null,
      session_id text,
      session_id_seen_at double precision,
      repository_url text,
      git_branch text,
      created_at double precision not null,
      updated_at double precision not null,
      changed bigint not null,
      more text,
      primary key (upstream, key)
    )`,
    sql`create table session_changes (upstream text primary key, changes bigint not null)`,
    sql`create index sessions_by_change on sessions (upstream, changed)`,
    sql`create index sessions_by_name on sessions (upstream, visible_name)`,
    sql`create index sessions_by_id on sessions (upstream, session_id)`,
    sql`create table session_runs (
      upstream text not null,
      session_key text not null,
      run_id text not null,
      workflow_name text not null,
      status text not null,
      started_at double precision,
      completed_at double precision,
      turns double precision,
      max_turns double precision,
      cost_usd double precision,
      session_id text,
      resumes text,
      error_code text,
      updated_at double precision not null,
      position integer not null,
      more text,
      primary key (upstream, session_key, run_id),
      foreign key (upstream, session_key) references sessions (upstream, key) on delete cascade
    )`,
    // With what is asked for in them: the primary key would else be looked through for it.
    sql`create index session_runs_by_run on session_runs (upstream, run_id, session_key)`,
    sql`create index session_runs_by_id on session_runs (upstream, session_id, session_key)`,
    sql`create index session_runs_by_resumed on session_runs (upstream, resumes, session_key)`,
    sql`create table taken_over (name text primary key, taken_at double precision not null)`,
  ],
};
