import type { RawBuilder } from "kysely";

/** A step from one form of the database to the next. What was released never changes; a change is a new step. */
export interface Migration {
  /** As its file is called. */
  name: string;
  /** Carried out in one transaction. What SQLite and PostgreSQL both understand. */
  statements: readonly RawBuilder<unknown>[];
}
