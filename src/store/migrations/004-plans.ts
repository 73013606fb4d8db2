import type { Generated } from "kysely";

/** Plans, and everything that has happened to them. Times are epoch ms. */
export interface PlanTables {
  plans: {
    plan_id: string;
    /** The workflows API that its runs are at. */
    upstream: string;
    name: string;
    status: string;
    created_at: number;
    changed_at: number;
    /** How many entries its journal has: whoever adds one states the number that was read. */
    entries: number;
    /** How it began: the event, and where its runs work, each as JSON. */
    start: string;
    place: string;
    /** What lists tell of it, as JSON. */
    summary: string;
    /** The process that carries it out, as JSON, and when that was last seen; null while nobody does. */
    owner: string | null;
    owner_seen: number | null;
    /** How often somebody has begun to carry it out (007-plan-epochs.ts). */
    epoch: Generated<number>;
  };
  /** Its journal: the events in their order, each as JSON; numbers begin at 1. */
  plan_entries: { plan_id: string; number: number; at: number; type: string; data: string };
  /**
   * What was begun outside and can neither be done twice nor be taken back: written down before it is done. `note` is
   * what it is found again by, as JSON; `run_id` the run that has come of it.
   */
  plan_acts: { plan_id: string; id: string; begun_at: number; note: string; run_id: string | null };
}

export const plansMigration = {
  name: "004-plans",
  statements: [
    `create table plans (
      plan_id text not null primary key,
      upstream text not null,
      name text not null,
      status text not null,
      created_at double precision not null,
      changed_at double precision not null,
      entries bigint not null,
      start text not null,
      place text not null,
      summary text not null,
      owner text,
      owner_seen double precision
    )`,
    `create index plans_by_status on plans (upstream, status)`,
    `create table plan_entries (
      plan_id text not null,
      number bigint not null,
      at double precision not null,
      type text not null,
      data text not null,
      primary key (plan_id, number),
      foreign key (plan_id) references plans (plan_id) on delete cascade
    )`,
    `create table plan_acts (
      plan_id text not null,
      id text not null,
      begun_at double precision not null,
      note text not null,
      run_id text,
      primary key (plan_id, id),
      foreign key (plan_id) references plans (plan_id) on delete cascade
    )`,
  ],
};
