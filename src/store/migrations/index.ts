import type { Migration } from "../migration.js";
import { sessionsMigration } from "./001-session-records.js";
import { engineRunsMigration } from "./002-engine-runs.js";

/** All steps, in their order. */
export const MIGRATIONS: readonly Migration[] = [sessionsMigration, engineRunsMigration];
