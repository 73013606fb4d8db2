import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { transaction } from "../src/store/database.js";
import { PostgresDatabase } from "../src/store/postgres.js";
import { findPostgres, type PostgresServer, startPostgres } from "./support/postgres-server.js";

const programs = await findPostgres();
const PATIENT = { timeout: 30_000, interval: 10 };
const CHANNEL = "a_channel";

describe.skipIf(!programs)("what servers tell each other by PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres(programs as string);
  }, 60_000);
  afterAll(() => server.dispose());

  async function openTwo(): Promise<[PostgresDatabase, PostgresDatabase]> {
    const address = await server.createDatabase();
    const two = [await PostgresDatabase.open(address), await PostgresDatabase.open(address)] as const;
    onTestFinished(async () => {
      for (const db of two) await db.destroy();
    });
    await two[0].prepare(Date.now());
    return [...two];
  }

  /** Listens; what has come is in `heard`, with "?" for what may have been missed. */
  async function listenAt(db: PostgresDatabase) {
    const heard: string[] = [];
    const stop = db.shared.listen(CHANNEL, (payload) => heard.push(payload ?? "?"));
    await vi.waitFor(() => expect(heard).toEqual(["?"]), PATIENT);
    return { heard, stop };
  }

  const tell = (db: PostgresDatabase, text: string) =>
    transaction(db, (trx) => db.shared.notify(trx, CHANNEL, text));

  test("comes with the change, and not at all when that is not made", async () => {
    const [here, there] = await openTwo();
    const { heard } = await listenAt(there);
    const failing = transaction(here, async (trx) => {
      await here.shared.notify(trx, CHANNEL, "never");
      throw new Error("It is not made.");
    });
    await expect(failing).rejects.toThrow("It is not made.");
    await tell(here, "one");
    await tell(here, "it's two");
    await vi.waitFor(() => expect(heard).toEqual(["?", "one", "it's two"]), PATIENT);
  });

  test("comes again after the server was away, and that something may have been missed is told", async () => {
    const [here, there] = await openTwo();
    const { heard } = await listenAt(there);
    await server.kill();
    await server.start();
    await vi.waitFor(() => expect(heard).toEqual(["?", "?"]), PATIENT);
    await vi.waitFor(() => tell(here, "back"), PATIENT);
    await vi.waitFor(() => expect(heard.slice(0, 3)).toEqual(["?", "?", "back"]), PATIENT);
  }, 60_000);

  test("is heard no more when nobody listens, and no connection stays", async () => {
    const [here, there] = await openTwo();
    const { heard, stop } = await listenAt(there);
    const { heard: other } = await listenAt(here);
    stop();
    await tell(here, "one");
    await vi.waitFor(() => expect(other).toContain("one"), PATIENT);
    expect(heard).toEqual(["?"]);
    await here.destroy();
    await there.destroy();
    const listening = "select 1 from pg_stat_activity where query ilike 'listen%'";
    await vi.waitFor(async () => expect(await server.query(listening)).toEqual([]), PATIENT);
  });

  test("is heard on one connection, whatever the number of channels", async () => {
    const [here, there] = await openTwo();
    const { heard } = await listenAt(there);
    const others: string[] = [];
    const stop = there.shared.listen("another_channel", (payload) => others.push(payload ?? "?"));
    await vi.waitFor(() => expect(others).toEqual(["?"]), PATIENT);
    const open = await server.query("select 1 from pg_stat_activity where query ilike 'listen%'");
    expect(open).toHaveLength(1);
    await tell(here, "one");
    await transaction(here, (trx) => here.shared.notify(trx, "another_channel", "two"));
    await vi.waitFor(
      () =>
        expect([heard, others]).toEqual([
          ["?", "one"],
          ["?", "two"],
        ]),
      PATIENT,
    );
    stop();
    await tell(here, "three");
    await vi.waitFor(() => expect(heard).toEqual(["?", "one", "three"]), PATIENT);
  });

  test("the clock is the database's, in ms", async () => {
    const [db] = await openTwo();
    const [row] = await server.query<{ now: number }>(
      "select (extract(epoch from clock_timestamp()) * 1000)::float8 as now",
    );
    expect((await db.shared.readNow(db)) - (row?.now ?? 0)).toBeGreaterThanOrEqual(0);
  });
});
