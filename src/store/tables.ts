import type { SessionTables } from "./migrations/001-session-records.js";
import type { EngineTables } from "./migrations/002-engine.js";

/** Which migrations have been applied, and by which version of this product. */
interface MigrationTable {
  name: string;
  release: string;
  applied_at: number;
}

/** All tables of the database. Each subject describes its own beside the migration that makes them. */
export interface Tables extends SessionTables, EngineTables {
  schema_migrations: MigrationTable;
}
