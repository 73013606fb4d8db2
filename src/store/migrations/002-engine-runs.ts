import { sql } from "kysely";
import type { Migration } from "../migration.js";

/** The engine's runs and what happened to them. Times are epoch ms, money is US dollars. */
export interface EngineTables {
  engine_runs: {
    run_id: string;
    /** Counts the changes: whoever writes states the one that was read. */
    version: number;
    status: string;
    session_id: string;
    workflow_name: string;
    created_at: number;
    started_at: number | null;
    ended_at: number | null;
    turns: number;
    cost_usd: number | null;
    /** The client's own name for the start, and a digest of what it asked for. */
    request_key: string | null;
    request_digest: string | null;
    first_event: number;
    last_event: number;
    /** What it was asked for, as JSON. */
    request: string;
    /** The rest of the run as JSON, without messages and questions. */
    state: string;
  };
  /** Numbers increase and have holes; `status` is the run's after the event, `data` JSON. */
  engine_events: { id: number; run_id: string; at: number; type: string; status: string; data: string };
  /** `position` counts the messages of a run, `message` is JSON; `taken_at`: it waits no longer. */
  engine_messages: {
    run_id: string;
    message_id: string;
    position: number;
    message: string;
    taken_at: number | null;
  };
  /** `question` is the whole of it as JSON. */
  engine_questions: {
    run_id: string;
    question_id: string;
    position: number;
    asked_at: number;
    answered_at: number | null;
    question: string;
  };
  /** The days (counted from 1970) on which the engine was in use, in the order in which they came. */
  engine_days: { day: number; position: number };
  /** Single values, by name. */
  engine_facts: { name: string; value: string };
}

export const engineRunsMigration: Migration = {
  name: "002-engine-runs",
  statements: [
    sql`create table engine_runs (
      run_id text not null primary key,
      version bigint not null,
      status text not null,
      session_id text not null,
      workflow_name text not null,
      created_at double precision not null,
      started_at double precision,
      ended_at double precision,
      turns bigint not null,
      cost_usd double precision,
      request_key text unique,
      request_digest text,
      first_event bigint not null,
      last_event bigint not null,
      request text not null,
      state text not null
    )`,
    sql`create table engine_events (
      id bigint not null primary key,
      run_id text not null,
      at double precision not null,
      type text not null,
      status text not null,
      data text not null
    )`,
    sql`create index engine_events_by_run on engine_events (run_id, id)`,
    sql`create table engine_messages (
      run_id text not null,
      message_id text not null,
      position bigint not null,
      message text not null,
      taken_at double precision,
      primary key (run_id, message_id)
    )`,
    sql`create table engine_questions (
      run_id text not null,
      question_id text not null,
      position bigint not null,
      asked_at double precision not null,
      answered_at double precision,
      question text not null,
      primary key (run_id, question_id)
    )`,
    sql`create table engine_days (day bigint not null primary key, position bigint not null)`,
    sql`create table engine_facts (name text not null primary key, value text not null)`,
  ],
};
