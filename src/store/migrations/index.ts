import type { Migration } from "../migration.js";
import { sessionsMigration } from "./001-session-records.js";
import { engineMigration } from "./002-engine.js";

/** All steps, in their order. */
export const MIGRATIONS: readonly Migration[] = [sessionsMigration, engineMigration];
