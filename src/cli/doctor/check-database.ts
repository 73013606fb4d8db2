import { VERSION } from "../../shared/version.js";
import { OLDEST_VERSION, PostgresDatabase } from "../../store/postgres.js";
import { StoreError } from "../../store/store-error.js";
import { failure, ok, type Result, warning } from "./finding.js";

const VARIABLE = "AUTOMAGIK_WORKFLOWS_DATABASE";
/** What is newest is told by the clocks of the machines, which may differ so far, in ms. */
const CLOCKS_MS = 2_000;

/**
 * Looks at the PostgreSQL database in which several servers keep sessions, without changing anything in it.
 * @param address checked already; it is not shown
 * @param options.limitMs how long a server that is away is waited for
 */
export async function checkDatabase(
  address: string,
  options: { limitMs: number; clock: { now(): number } },
): Promise<Result> {
  let db: PostgresDatabase | undefined;
  try {
    db = await PostgresDatabase.open(address, options.limitMs);
    return await look(db, options.clock);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { kind, message } = error;
    const todo =
      kind === "newer-version" ? "Update this product." : `Correct that, or what ${VARIABLE} names.`;
    return failure(message.replace(/\.$/, ""), todo);
  } finally {
    await db?.destroy();
  }
}

async function look(db: PostgresDatabase, clock: { now(): number }): Promise<Result> {
  const began = clock.now();
  const { version, isReadOnly, now } = await db.inspect();
  const ended = clock.now();
  const { release, isNewer, mayCreate } = await db.inspectTables();
  const what = `the PostgreSQL server answers, version ${Math.floor(version / 10_000)}`;
  if (version < OLDEST_VERSION) return failure(what, "Name a server of version 13 or newer.");
  if (isReadOnly)
    return failure(
      `${what}, but it is a replica and takes no writes`,
      `Name the primary server in ${VARIABLE}.`,
    );
  if (release === undefined && !mayCreate)
    return failure(
      `${what}, but its user may not create tables in the database`,
      "As the database's owner: GRANT CREATE ON SCHEMA public TO <user>.",
    );
  const apart = now < began ? began - now : Math.max(0, now - ended);
  if (apart > CLOCKS_MS)
    return warning(
      `${what}; its clock and that of this machine are ${Math.round(apart / 1000)} s apart`,
      "Keep the clocks of all machines in step (NTP): what is newest is told by them.",
    );
  if (isNewer)
    return warning(
      `${what}; its tables were set up by version ${release} of this product, which is later than this one (${VERSION}); it can go on for the time of an upgrade`,
      "Update this product.",
    );
  return ok(
    `${what}; ${release ? `its tables were set up by version ${release} of this product` : "tables are created with the first session"}`,
  );
}
