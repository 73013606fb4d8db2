import type { Migration } from "../migration.js";

/** What is told to people and to other services: the one outbox. Times are epoch ms. */
export interface DeliveryTables {
  /** One row for each event and each place that is told of it. */
  deliveries: {
    /** The event's key. */
    id: string;
    /** Who takes it: `desktop`, `command`, or that of an integration. */
    target: string;
    /** Those of a target with the same lane go out one after the other, in the order in which they were written. */
    lane: string;
    kind: string;
    /** What the target needs, as JSON. It holds no secret. */
    payload: string;
    /** How often the payload was replaced. */
    version: number;
    /** `pending`; `sent`; `unknown`: it may have arrived; `failed`: it has not; `dropped`: it is no news any more. */
    state: string;
    /** Of this payload. */
    tries: number;
    /** How often a process has taken it on: by this a late one knows that it is another's now. */
    claims: number;
    /** 1 when a former try may have arrived. */
    maybe_sent: number;
    /** A process is at it, until then. */
    lease_until: number | null;
    next_at: number;
    created_at: number;
    changed_at: number;
    /** What the service calls what came of it. */
    remote_id: string | null;
    /** Why it was not told, in words. */
    note: string | null;
  };
}

export const deliveriesMigration: Migration = {
  name: "010-deliveries",
  // An older release tells what it has handed to its own table; each notice is handed over once.
  olderMayGoOn: true,
  statements: [
    `create table deliveries (
      id text not null,
      target text not null,
      lane text not null,
      kind text not null,
      payload text not null,
      version bigint not null,
      state text not null,
      tries bigint not null,
      claims bigint not null,
      maybe_sent bigint not null,
      lease_until double precision,
      next_at double precision not null,
      created_at double precision not null,
      changed_at double precision not null,
      remote_id text,
      note text,
      primary key (target, id)
    )`,
    `create index deliveries_by_state on deliveries (state, next_at)`,
    `create index deliveries_by_lane on deliveries (target, lane, created_at)`,
  ],
};
