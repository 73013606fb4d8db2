import { afterAll, describe } from "vitest";
import { keepPlansAt } from "./support/plan-place.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();

/** What a runner does with plans does not depend on where they are kept. */
describe.skipIf(!programs)("plans in a PostgreSQL database", async () => {
  let server: Promise<PostgresServer> | undefined;
  const addresses = new Map<string, Promise<string>>();
  keepPlansAt(async (folder) => {
    server ??= startPostgres(programs as string);
    const { createDatabase } = await server;
    if (folder === undefined) return createDatabase();
    const address = addresses.get(folder) ?? createDatabase();
    addresses.set(folder, address);
    return address;
  });
  afterAll(async () => {
    // Other files share this process.
    keepPlansAt(undefined);
    await (await server)?.dispose();
  });

  await import("./plan-runner.test.js");
});
