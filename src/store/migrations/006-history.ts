/** What ended runs and plans have taken, kept longer than they are themselves. Times are epoch ms. */
export interface HistoryTables {
  /**
   * One row for a run or a plan of an API. What nobody has told is null, and never 0. Of a row that a person has deleted
   * only the key is left, so that it does not come back with the API's list.
   */
  history: {
    /** Names the workflows API, as `sessions` and `plans` do. */
    upstream: string;
    /** `run` or `plan`. */
    kind: string;
    id: string;
    /** How many changes of its API's history there were with its last one. */
    changed: number;
    deleted: number;
    ended_at: number | null;
    repository: string | null;
    /** All else, as JSON. */
    figures: string | null;
  };
  /** Repositories of which everything up to a moment was deleted. */
  history_deletions: { repository: string; deleted_at: number };
}

export const historyMigration = {
  name: "006-history",
  statements: [
    `create table history (
      upstream text not null,
      kind text not null,
      id text not null,
      changed bigint not null,
      deleted integer not null,
      ended_at double precision,
      repository text,
      figures text,
      primary key (upstream, kind, id)
    )`,
    `create unique index history_by_change on history (upstream, changed)`,
    `create table history_deletions (
      repository text not null primary key,
      deleted_at double precision not null
    )`,
  ],
};
