import type { ColumnType } from "kysely";
import type { Migration } from "./migration.js";
import { type SessionTables, sessionsMigration } from "./migrations/001-session-records.js";
import { type EngineTables, engineMigration } from "./migrations/002-engine.js";
import { type NoticeTables, noticesMigration } from "./migrations/003-notices.js";
import { type PlanTables, plansMigration } from "./migrations/004-plans.js";
import { type PlanSightTables, planSightsMigration } from "./migrations/005-plan-sights.js";
import { type HistoryTables, historyMigration } from "./migrations/006-history.js";
import { planEpochsMigration } from "./migrations/007-plan-epochs.js";
import { type WorkerTables, workersMigration } from "./migrations/008-workers.js";
import { type SessionBundleTables, sessionBundlesMigration } from "./migrations/009-session-bundles.js";
import { type DeliveryTables, deliveriesMigration } from "./migrations/010-deliveries.js";
import { type OutsideQuestionTables, outsideQuestionsMigration } from "./migrations/011-outside-questions.js";

/** Which migrations have been applied, and by which version of this product. */
interface MigrationTable {
  name: string;
  release: string;
  applied_at: number;
  /** 1 for a step with which releases that do not know it may go on; not there before the step 008. */
  older_may_go_on: ColumnType<number | undefined, number | undefined, number>;
}

/** All tables of the database. Each subject describes its own beside the migration that makes them. */
export interface Tables
  extends SessionTables,
    EngineTables,
    NoticeTables,
    PlanTables,
    PlanSightTables,
    HistoryTables,
    WorkerTables,
    SessionBundleTables,
    DeliveryTables,
    OutsideQuestionTables {
  schema_migrations: MigrationTable;
}

/**
 * The steps to this form of the database, in their order, carried out in one transaction. What was released never
 * changes: a change is a new step.
 */
export const MIGRATIONS: readonly Migration[] = [
  sessionsMigration,
  engineMigration,
  noticesMigration,
  plansMigration,
  planSightsMigration,
  historyMigration,
  planEpochsMigration,
  workersMigration,
  sessionBundlesMigration,
  deliveriesMigration,
  outsideQuestionsMigration,
];
