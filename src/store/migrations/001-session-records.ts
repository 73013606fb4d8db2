/** The sessions of each API (`upstream`). */
export interface SessionTables {
  sessions: {
    upstream: string;
    /** A digest of the record's own key, which may be any text. */
    key: string;
    /** How many changes of its API's sessions there were with its last one. */
    changed: number;
    /** All that is known of it, as JSON; null when it was removed. */
    record: string | null;
  };
  /** What a session is found by: what the eye sees of its name, in small letters, and ids. */
  session_terms: { upstream: string; term: string; session_key: string };
  /** What has been taken over from the files of earlier releases. */
  taken_over: { name: string; taken_at: number };
}

export const sessionsMigration = {
  name: "001-session-records",
  statements: [
    `create table sessions (
      upstream text not null,
      key text not null,
      changed bigint not null,
      record text,
      primary key (upstream, key)
    )`,
    `create unique index sessions_by_change on sessions (upstream, changed)`,
    `create table session_terms (
      upstream text not null,
      term text not null,
      session_key text not null,
      primary key (upstream, term, session_key)
    )`,
    `create table taken_over (name text primary key, taken_at double precision not null)`,
  ],
};
