/** A step to the newest form of the database. */
export interface Migration {
  /** As its file is called. */
  name: string;
  /** Such as SQLite and PostgreSQL both understand. */
  statements: readonly string[];
  /**
   * Releases without this step go on with the database, for the time of an upgrade: it only adds tables, indexes, and
   * columns that may be left out, and nothing that older ones write is wrong by it.
   */
  olderMayGoOn?: true;
}
