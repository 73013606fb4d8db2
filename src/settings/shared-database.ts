import { createHash } from "node:crypto";
import { findFaultInPostgresAddress } from "./postgres-address.js";
import { readSecretFile } from "./secret-file.js";
import { type Settings, SettingsError } from "./settings.js";

const [VARIABLE, FILE] = ["AUTOMAGIK_WORKFLOWS_DATABASE", "AUTOMAGIK_WORKFLOWS_DATABASE_FILE"];

type DatabaseSettings = Partial<Pick<Settings, "database" | "databaseFile">>;

/** True where several servers share a PostgreSQL database, whose address need not be known for that. */
export function hasSharedDatabase({ database, databaseFile }: DatabaseSettings): boolean {
  return database !== undefined || databaseFile !== undefined;
}

/**
 * The address of the PostgreSQL database that several servers share, from the variable or the file; undefined without
 * one. It is a secret.
 * @throws SettingsError, which does not quote it, when the file cannot be used or both are set
 */
export function findSharedDatabase({ database, databaseFile }: DatabaseSettings): string | undefined {
  if (databaseFile === undefined) return database;
  if (database !== undefined)
    throw new SettingsError(`${VARIABLE} and ${FILE} are both set: only one of them can count`);
  const address = readSecretFile(FILE, databaseFile).trim();
  const fault = findFaultInPostgresAddress(address);
  if (fault) throw new SettingsError(`${FILE}: the text of the file ${fault}`);
  return address;
}

/** A name for the database, of letters and digits: the same for each who may use it, and nothing of a password. */
export function nameOfDatabase(address: string): string {
  const { host, pathname, searchParams } = new URL(address);
  const what = [host, pathname, ...searchParams.getAll("host")].join(" ");
  return createHash("sha256").update(what).digest("hex").slice(0, 12);
}
