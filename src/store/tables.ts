import { type SessionTables, sessionsMigration } from "./migrations/001-session-records.js";
import { type EngineTables, engineMigration } from "./migrations/002-engine.js";
import { type NoticeTables, noticesMigration } from "./migrations/003-notices.js";
import { type PlanTables, plansMigration } from "./migrations/004-plans.js";
import { type PlanSightTables, planSightsMigration } from "./migrations/005-plan-sights.js";
import { type HistoryTables, historyMigration } from "./migrations/006-history.js";
import { planEpochsMigration } from "./migrations/007-plan-epochs.js";
import { type WorkerTables, workersMigration } from "./migrations/008-workers.js";

/** Which migrations have been applied, and by which version of this product. */
interface MigrationTable {
  name: string;
  release: string;
  applied_at: number;
}

/** All tables of the database. Each subject describes its own beside the migration that makes them. */
export interface Tables
  extends SessionTables,
    EngineTables,
    NoticeTables,
    PlanTables,
    PlanSightTables,
    HistoryTables,
    WorkerTables {
  schema_migrations: MigrationTable;
}

/**
 * The steps to this form of the database, in their order. `name` is as the step's file is called; its statements are
 * such as SQLite and PostgreSQL both understand, and carried out in one transaction. What was released never changes: a
 * change is a new step.
 */
export const MIGRATIONS = [
  sessionsMigration,
  engineMigration,
  noticesMigration,
  plansMigration,
  planSightsMigration,
  historyMigration,
  planEpochsMigration,
  workersMigration,
];
