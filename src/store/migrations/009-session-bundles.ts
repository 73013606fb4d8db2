/**
 * What sessions have committed, so that they can go on at another worker when theirs has gone. Only engines that share
 * a database write it. Times are epoch ms by the database's clock.
 */
export interface SessionBundleTables {
  session_bundles: {
    session_id: string;
    /** Whose it is, and the run at whose end it was stored. */
    worker_id: string;
    run_id: string;
    stored_at: number;
    /**
     * `bundle`: its commits are in the parts; `pushed`: in the repository; `large`: they were too many bytes, and are
     * nowhere but at the worker; `base`: there are none beyond the base; `none`: it has no repository.
     */
    kind: string;
    /** As the session knows it. */
    repository: string | null;
    branch: string | null;
    base_branch: string | null;
    base_commit: string | null;
    tip_commit: string | null;
    commits: number;
    /** What else is known, as JSON. */
    details: string;
    /** Names the parts of the bundle, and its size. */
    bundle_id: string | null;
    bytes: number;
    /** The session's handover note. */
    handover: string | null;
  };
  /** A bundle in pieces of a megabyte, from 0: each is one short transaction. `bytea` is a blob to SQLite as well. */
  session_bundle_parts: {
    bundle_id: string;
    number: number;
    stored_at: number;
    bytes: Uint8Array;
  };
}

export const sessionBundlesMigration = {
  name: "009-session-bundles",
  statements: [
    `create table session_bundles (
      session_id text not null primary key,
      worker_id text not null,
      run_id text not null,
      stored_at double precision not null,
      kind text not null,
      repository text,
      branch text,
      base_branch text,
      base_commit text,
      tip_commit text,
      commits bigint not null,
      details text not null,
      bundle_id text,
      bytes bigint not null,
      handover text
    )`,
    `create table session_bundle_parts (
      bundle_id text not null,
      number bigint not null,
      stored_at double precision not null,
      bytes bytea not null,
      primary key (bundle_id, number)
    )`,
  ],
  // A session of which an older release has not stored the last run is known as that.
  olderMayGoOn: true,
};
